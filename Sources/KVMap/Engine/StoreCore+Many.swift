/// Calls for many keys, whose cache misses overlap.
extension StoreCore {
  /// How many keys are looked up together. More would push one another out of the processor's
  /// nearest cache.
  static let mostAtOnce = 64

  /// Calls the closure that it gets with a key, and the value that goes with it.
  typealias WithPair = (
    _ number: Int, (_ key: RawSpan, _ value: RawSpan) throws(StoreError) -> Void
  ) throws(StoreError) -> Void

  /// Appends the values of some keys.
  func get(
    _ numbers: Range<Int>, _ withPair: WithPair, _ values: inout [[UInt8]?]
  ) throws(StoreError) {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    // What is prefetched stays mapped meanwhile.
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    try lookAhead(numbers, withPair, in: source.memory) { number, hash throws(StoreError) in
      try withPair(number) { key, _ throws(StoreError) in values.append(try get(key, hash)) }
    }
  }

  /// Puts or removes many, in one transaction. Returns how many there were.
  func change(_ kind: RecordKind, _ count: Int, _ durability: Durability?, _ withPair: WithPair) throws -> Int
  {
    var changed = 0
    try unsafe transaction(durability) { open in
      for first in stride(from: 0, to: count, by: Self.mostAtOnce) {
        let numbers = first..<min(first + Self.mostAtOnce, count)
        try lookAhead(numbers, withPair, in: source.memory) { number, _ throws(StoreError) in
          try withPair(number) { key, value throws(StoreError) in
            let isChanged =
              kind == .put
              ? try unsafe open.pointee.put(key, value, .always, .never)
              : try unsafe open.pointee.remove(key)
            if isChanged { changed += 1 }
          }
        }
      }
    }
    return changed
  }

  /// Calls `body` for each of some keys, after what their lookups will read has been prefetched:
  /// first the lines of the index, for all of them, and then the records that these point to.
  private func lookAhead(
    _ numbers: Range<Int>, _ withPair: WithPair, in memory: StoreMemory,
    _ body: (_ number: Int, KeyHash) throws(StoreError) -> Void
  ) throws(StoreError) {
    let index = IndexReader(memory: memory)
    try unsafe withUnsafeTemporaryAllocation(of: LookAhead.self, capacity: numbers.count) {
      ahead throws(StoreError) in
      for number in numbers {
        try withPair(number) { key, _ throws(StoreError) in
          let hash = KeyHash(key, seed: source.seed)
          unsafe ahead.initializeElement(
            at: number - numbers.lowerBound, to: LookAhead(hash: hash, bucket: index.prefetch(hash)))
        }
      }
      for number in 0..<numbers.count {
        let key = unsafe ahead[number]
        if let bucket = key.bucket { index.prefetchRecords(key.hash, in: bucket) }
      }
      for number in numbers { try body(number, unsafe ahead[number - numbers.lowerBound].hash) }
    }
  }

  /// What is known of a key that is about to be looked up. The bucket is only a hint.
  private struct LookAhead: BitwiseCopyable {
    let hash: KeyHash
    let bucket: PageNumber?
  }
}
