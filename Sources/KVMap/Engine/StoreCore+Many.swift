/// Calls for many keys, whose cache misses overlap.
extension StoreCore {
  /// How many keys are looked up together. More would push one another out of the processor's
  /// nearest cache.
  static let mostAtOnce = 64

  /// Calls the closure that it gets with a key, and the value that goes with it.
  typealias WithPair = (
    _ number: Int, (_ key: RawSpan, _ value: RawSpan) throws(Store.Error) -> Void
  ) throws(Store.Error) -> Void

  /// Appends the values of some keys.
  func get(
    _ numbers: Range<Int>, _ withPair: WithPair, _ values: inout [[UInt8]?]
  ) throws(Store.Error) {
    let before = values.count
    try unsafe withUnsafeTemporaryAllocation(of: LookAhead.self, capacity: numbers.count) {
      ahead throws(Store.Error) in
      try read { memory throws(Store.Error) in
        // The read may be repeated.
        values.removeSubrange(before...)
        try unsafe lookAhead(numbers, withPair, in: memory, ahead)
        for number in numbers {
          let hash = unsafe ahead[number - numbers.lowerBound].hash
          try withPair(number) { key, _ throws(Store.Error) in
            values.append(try found(key, hash, in: memory)?.array)
          }
        }
      }
    }
  }

  /// Passes the values of some keys to `body` where they lie.
  func withValues(
    _ numbers: Range<Int>, _ withPair: WithPair, _ body: (Int, RawSpan) throws -> Void
  ) throws {
    try unsafe withUnsafeTemporaryAllocation(of: LookAhead.self, capacity: numbers.count) { ahead in
      try pinned {
        try readFrozen { memory throws(Store.Error) in
          try unsafe lookAhead(numbers, withPair, in: memory, ahead)
        }
        for number in numbers {
          let hash = unsafe ahead[number - numbers.lowerBound].hash
          var value: FoundBytes?
          try withPair(number) { key, _ throws(Store.Error) in
            value = try readFrozen { memory throws(Store.Error) in try found(key, hash, in: memory) }
          }
          if let value { try body(number, value.span) }
        }
        try checkNothingReadWasLost()
      }
    }
  }

  /// Puts or removes many, in one transaction. Returns how many there were.
  func change(
    _ kind: RecordKind, _ count: Int, _ durability: Store.Durability?, _ withPair: WithPair
  ) throws -> Int {
    var changed = 0
    try unsafe withUnsafeTemporaryAllocation(of: LookAhead.self, capacity: Self.mostAtOnce) { ahead in
      try unsafe transaction(durability) { open in
        for first in stride(from: 0, to: count, by: Self.mostAtOnce) {
          let numbers = first..<min(first + Self.mostAtOnce, count)
          try unsafe lookAhead(numbers, withPair, in: source.memory, ahead)
          for number in numbers {
            let hash = unsafe ahead[number - first].hash
            try withPair(number) { key, value throws(Store.Error) in
              let isChanged =
                kind == .put
                ? try unsafe open.pointee.put(key, hash, value, .always, .never)
                : try unsafe open.pointee.remove(key, hash)
              if isChanged { changed += 1 }
            }
          }
        }
      }
    }
    return changed
  }

  /// Prefetches what the lookups of some keys will read: first the lines of the index, for all of
  /// them, and then the records that these point to. Notes the hashes in `ahead`.
  private func lookAhead(
    _ numbers: Range<Int>, _ withPair: WithPair, in memory: StoreMemory,
    _ ahead: UnsafeMutableBufferPointer<LookAhead>
  ) throws(Store.Error) {
    let index = IndexReader(memory: memory)
    for number in numbers {
      try withPair(number) { key, _ throws(Store.Error) in
        let hash = KeyHash(key, seed: source.seed)
        unsafe ahead.initializeElement(
          at: number - numbers.lowerBound, to: LookAhead(hash: hash, bucket: index.prefetch(hash)))
      }
    }
    for number in 0..<numbers.count {
      let key = unsafe ahead[number]
      if let bucket = key.bucket { index.prefetchRecords(key.hash, in: bucket) }
    }
  }

  /// What is known of a key that is about to be looked up. The bucket is only a hint.
  private struct LookAhead: BitwiseCopyable {
    let hash: KeyHash
    let bucket: PageNumber?
  }
}
