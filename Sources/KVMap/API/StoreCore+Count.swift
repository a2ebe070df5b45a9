/// Counting keys.
extension StoreCore {
  func count() throws(Store.Error) -> Int {
    try checkOpen()
    defer { withExtendedLifetime(self) {} }
    let shared = shared
    // In this order: a writer lowers the earliest expiry before it raises the count.
    let count = shared[.recordCount]
    let now = clock.now()
    if shared[.earliestExpiry] > now { return Int(clamping: count) }
    if try !holdsExpired(at: now) { return Int(clamping: count) }
    return try pinning { Result { () throws(Store.Error) in try countUnexpired(in: nil) } }.get()
  }

  /// Whether a segment may hold a record that has expired by now.
  private func holdsExpired(at now: UInt64) throws(Store.Error) -> Bool {
    let end = min(shared[.highWater].number, Layout.largestFile / UInt64(Layout.unitBytes))
    let perLeaf = UInt64(SpaceEntry.entriesPerLeaf)
    var number = Layout.firstFreeUnit
    while number < end {
      // One leaf for each read: no read keeps space from being reused for long.
      let found = try read { memory throws(Store.Error) -> Bool in
        let table = SpaceReader(memory: memory)
        for number in number..<min(number + perLeaf, end) {
          let entry = try table.entry(Unit(number: number))
          if entry?.holdsExpired(at: now) == true { return true }
        }
        return false
      }
      if found { return true }
      number += perLeaf
    }
    return false
  }

  /// Counts the keys that have not expired, by going through the index. The caller keeps what is
  /// read from being reused.
  func countUnexpired(in snapshot: Store.Snapshot?) throws(Store.Error) -> Int {
    let clock = snapshot?.clock ?? clock
    var count = 0
    var next: UInt64? = 0
    while let from = next {
      var slots: [Slot] = []
      if let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot) { throw damage }
      let bytes = source.memory.bytes
      for slot in slots { bytes.prefetch(Int(slot.position.offset)) }
      count += try read(snapshot) { index throws(Store.Error) in
        var unexpired = 0
        for slot in slots {
          let record = try Record(index.memory, at: slot.position)
          if try !record.isExpired(clock) { unexpired += 1 }
        }
        return unexpired
      }
    }
    return count
  }
}
