/// Compaction of a whole store, in slices between which other writers run.
extension Compactor {
  /// Begins a look through the whole space table.
  mutating func beginWholeLook(_ writer: inout Writer) throws(Store.Error) {
    try writer.space.reuse.refresh(writer.memory, writer.backing)
    begin(writer.shared[.durableEpoch].number, taken: 0)
  }

  /// Keeps as candidates the segments that have garbage, and those that reach beyond `end`, where
  /// the file could end. Returns how many live bytes they hold.
  ///
  /// - Parameter room: free units that a later round may fill; nil in the first round, which
  ///   reclaims most of the garbage.
  mutating func chooseAllCandidates(end: UInt64, room: Int?) -> Int {
    let fullest = room == nil ? Compactor.fullestOfAll : Layout.segmentBytes / 2
    candidates.removeAll {
      $0.live > fullest && $0.segment.number + Layout.segmentUnits <= end
    }
    guard let room else { return candidates.reduce(0) { $0 + $1.live } }
    // Keep the emptiest, which come last, as far as there is room for them.
    var bytes = 0
    let first = candidates.lastIndex {
      bytes += $0.live
      return bytes > room * Layout.unitBytes
    }
    if let first { bytes -= candidates[first].live }
    candidates.removeSubrange(..<(first.map { $0 + 1 } ?? 0))
    return bytes
  }

  /// Moves records until that costs `bytes`. Returns false when no record is left to move.
  mutating func moveSlice(_ writer: inout Writer, bytes: Int) throws(Store.Error) -> Bool {
    var cost = 0
    while cost < bytes {
      guard let one = try moveNextRecord(&writer, fullest: .max) else { return false }
      cost += one
    }
    return true
  }

  /// Which buckets' pages are rewritten, and whether their large values are moved.
  struct Rewriting {
    /// The unit at which the file could end.
    var end: UInt64
    /// Whether all buckets are rewritten and merged; else only those that have pages beyond the
    /// end, or all of them if large values are moved.
    var isOfAll: Bool
    /// Whether large values that reach beyond the end are moved.
    var includesExtents: Bool
  }

  /// Rewrites the index pages of up to 64 buckets, which puts them into the lowest free pages, and
  /// moves large values that reach beyond the end. Returns the hash to continue with; nil at the
  /// end.
  mutating func rewriteBuckets(
    _ writer: inout Writer, from hash: UInt64, _ rewriting: Rewriting
  ) throws(Store.Error) -> UInt64? {
    var next: UInt64? = hash
    for _ in 0..<64 {
      guard let from = next else { return nil }
      let key = KeyHash(bits: from)
      if rewriting.isOfAll { try writer.index.mergeBucket(key, space: &writer.space) }
      if !rewriting.isOfAll, !rewriting.includesExtents, try !writer.isBeyond(rewriting.end, key, &next) {
        continue
      }
      let bucket = try writer.writableBucket(key)
      movedBytes += Layout.pageBytes
      if rewriting.includesExtents { try moveExtents(&writer, bucket.page, beyond: rewriting.end) }
      try writer.space.flushReleases()
      next = bucket.end(after: from)
    }
    return next
  }

  private mutating func moveExtents(
    _ writer: inout Writer, _ bucket: PageNumber, beyond end: UInt64
  ) throws(Store.Error) {
    var page = bucket
    // The caller has made the pages writable, which checks them.
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

  /// Copies a large value and its record if there is room further down in the file.
  private mutating func moveExtent(
    _ writer: inout Writer, _ record: Record, _ slot: Slot, at slotOffset: Int,
    _ extent: (first: Unit, count: Int)
  ) throws(Store.Error) {
    let range = try record.valueRange()
    // A damaged value stays where it is; the call that reads it reports the damage.
    guard record.isIntact, (try? record.verifyExternal(range)) != nil else { return }
    let match = IndexReader.Match(record, slotOffset: slotOffset, slot: slot)
    try writer.prepareRelease(match)
    let unit = try writer.mover.makeRoom(for: record.storedBytes, space: &writer.space)
    _ = try writer.space.writableEntry(unit)
    guard let target = try writer.space.allocateBelow(extent.first, extent.count, as: .extent) else { return }
    do {
      try writer.backing.allocate(
        offset: Int(target.position.offset), count: Int(Layout.endOfPage(UInt64(range.count)))
      )
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
