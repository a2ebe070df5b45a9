/// Compaction of all of a store, in slices between which others may write.
extension Compactor {
  /// Begins to look through the table for all that can be won.
  mutating func beginWholeLook(_ writer: inout Writer) throws(StoreError) {
    try writer.space.reuse.refresh(writer.memory, writer.backing)
    begin(writer.shared[.durableEpoch].number, taken: 0)
  }

  /// Keeps as candidates what has garbage, or lies beyond where the file could
  /// end; returns how many bytes they hold.
  ///
  /// - Parameter room: units that a later round may fill. Most garbage was won in the
  ///   first one.
  mutating func chooseAllCandidates(end: UInt64, room: Int?) -> Int {
    let fullest = room == nil ? Compactor.fullestOfAll : Layout.segmentBytes / 2
    candidates.removeAll {
      $0.live > fullest && $0.segment.number + Layout.segmentUnits <= end
    }
    guard let room else { return candidates.reduce(0) { $0 + $1.live } }
    // The emptiest, which come last, as far as there is room for them.
    var bytes = 0
    let first = candidates.lastIndex {
      bytes += $0.live
      return bytes > room * Layout.unitBytes
    }
    if let first { bytes -= candidates[first].live }
    candidates.removeSubrange(..<(first.map { $0 + 1 } ?? 0))
    return bytes
  }

  /// Moves records for a slice of time; false at the end.
  mutating func moveSlice(_ writer: inout Writer, bytes: Int) throws(StoreError) -> Bool {
    var cost = 0
    while cost < bytes {
      guard let one = try moveNextRecord(&writer, fullest: .max) else { return false }
      cost += one
    }
    return true
  }

  /// Which of the buckets' pages are rewritten, and whether their large values are looked at.
  struct Rewriting {
    /// Where the file could end.
    var end: UInt64
    /// All of them, which also merges them; else those that lie beyond the end.
    var isOfAll: Bool
    var includesExtents: Bool
  }

  /// Rewrites the index pages of some buckets, which puts them into the lowest free
  /// pages, and moves large values that lie beyond the end. Returns the hash to go on
  /// with, nil at the end.
  mutating func rewriteBuckets(
    _ writer: inout Writer, from hash: UInt64, _ rewriting: Rewriting
  ) throws(StoreError) -> UInt64? {
    var next: UInt64? = hash
    for _ in 0..<64 {
      guard let from = next else { return nil }
      let key = KeyHash(bits: from)
      if rewriting.isOfAll { try writer.index.mergeBucket(key, space: &writer.space) }
      if !rewriting.isOfAll, !rewriting.includesExtents, try !writer.isBeyond(rewriting.end, key, &next) {
        continue
      }
      let bucket = try writer.index.writablePath(key, space: &writer.space).bucket
      if writer.memory.header(bucket.page).overflow.number != 0 {
        try writer.index.makeOverflowWritable(bucket.page, space: &writer.space)
      }
      movedBytes += Layout.pageBytes
      if rewriting.includesExtents { try moveExtents(&writer, bucket.page, beyond: rewriting.end) }
      try writer.space.flushReleases()
      next = bucket.end(after: from)
    }
    return next
  }

  private mutating func moveExtents(_ writer: inout Writer, _ bucket: PageNumber, beyond end: UInt64)
    throws(StoreError)
  {
    var page = bucket
    // Made writable, and so checked, by the caller.
    while page.number != 0 {
      let slots = writer.memory.bucket(page)
      for (line, index, slot) in slots.slots {
        let record = try Record(writer.memory, at: slot.position)
        guard record.isExternal else { continue }
        let extent = try record.extent()
        guard extent.first.number + UInt64(extent.count) > end else { continue }
        try moveExtent(&writer, record, slot, at: slots.offset(line: line, slot: index), extent)
      }
      page = writer.memory.header(page).overflow
    }
  }

  /// Copies a large value and its record, if there is room for it further down.
  private mutating func moveExtent(
    _ writer: inout Writer, _ record: Record, _ slot: Slot, at slotOffset: Int,
    _ extent: (first: Unit, count: Int)
  ) throws(StoreError) {
    let range = try record.valueRange()
    // Damage stays where it is, and is told when it is met.
    guard record.isIntact, (try? record.verifyExternal(range)) != nil else { return }
    let match = IndexReader.Match(record, slotOffset: slotOffset, slot: slot)
    try writer.prepareRelease(match)
    let unit = try writer.mover.makeRoom(for: record.storedBytes, space: &writer.space)
    _ = try writer.space.writableEntry(unit)
    guard let target = try writer.space.allocateBelow(extent.first, extent.count, as: .extent) else { return }
    do {
      try writer.backing.allocate(
        offset: Int(target.position.offset), count: extent.count * Layout.unitBytes, order: .random)
      try writer.space.flushReleases()
    } catch {
      try writer.space.releaseUnits(target)
      throw error
    }
    let offset = Int(target.position.offset)
    writer.memory.bytes.copy(from: range.lowerBound, to: offset, count: range.count)
    movedBytes += range.count
    let position = writer.mover.copy(record, extent: offset)
    writer.memory.bytes.storeRelease(Slot(tag: slot.tag, position: position).bits, slotOffset)
    let expiry = record.expiry
    try writer.space.addRecord(unit, bytes: record.storedBytes, expiry: expiry)
    try writer.space.removeRecord(slot.position.unit, bytes: record.storedBytes, expires: expiry != nil)
    try writer.space.releaseUnits(extent.first)
  }
}
