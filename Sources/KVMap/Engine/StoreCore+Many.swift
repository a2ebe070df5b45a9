/// Lookups of many keys, whose cache misses overlap.
extension StoreCore {
  /// How many keys are looked up together. More would push one another out of the processor's
  /// nearest cache.
  static let mostAtOnce = 64

  /// Appends the values of some keys. What their lookups will read is prefetched: first the lines of
  /// the index, for all of them, and then the records that these point to.
  func get(
    _ numbers: Range<Int>,
    _ withKey: (_ number: Int, (RawSpan) throws(StoreError) -> Void) throws(StoreError) -> Void,
    _ values: inout [[UInt8]?]
  ) throws(StoreError) {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    // What is prefetched stays mapped meanwhile.
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    let index = IndexReader(memory: source.memory)
    try unsafe withUnsafeTemporaryAllocation(of: LookAhead.self, capacity: numbers.count) {
      ahead throws(StoreError) in
      for number in numbers {
        try withKey(number) { key throws(StoreError) in
          let hash = KeyHash(key, seed: source.seed)
          unsafe ahead.initializeElement(
            at: number - numbers.lowerBound, to: LookAhead(hash: hash, bucket: index.prefetch(hash)))
        }
      }
      for number in 0..<numbers.count {
        let key = unsafe ahead[number]
        if let bucket = key.bucket { index.prefetchRecords(key.hash, in: bucket) }
      }
      for number in numbers {
        let hash = unsafe ahead[number - numbers.lowerBound].hash
        try withKey(number) { key throws(StoreError) in values.append(try get(key, hash)) }
      }
    }
  }

  /// What is known of a key that is about to be looked up. The bucket is only a hint.
  private struct LookAhead: BitwiseCopyable {
    let hash: KeyHash
    let bucket: PageNumber?
  }
}
