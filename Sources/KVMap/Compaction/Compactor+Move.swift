/// Emptying segments: their live records are moved elsewhere.
extension Compactor {
  /// Moves records, in proportion to what the last commit wrote.
  mutating func moveSomeRecords(_ writer: inout Writer, _ garbage: Int) throws(Store.Error) {
    credit = min(
      credit + writer.takeWritten() * moveRatio(garbage), Compactor.mostCredit)
    while credit > 0 {
      guard let cost = try moveNextRecord(&writer, fullest: Compactor.fullest) else {
        credit = 0
        return
      }
      credit -= cost
    }
  }

  /// Looks at the next record of the victim, the segment that is being emptied, and moves it if it
  /// is live. Returns what that cost, in bytes; nil if no segment is worth emptying.
  mutating func moveNextRecord(_ writer: inout Writer, fullest: Int) throws(Store.Error) -> Int? {
    if writer.shared[.victim].number == 0 {
      guard let segment = try chooseVictim(&writer, fullest) else { return nil }
      writer.shared[.victim] = segment
      writer.shared[.victimOffset] = Position(
        offset: segment.position.offset + UInt64(SegmentHeader.byteCount))
    }
    let victim = writer.shared[.victim]
    let end = Int(victim.position.offset) + Layout.segmentBytes
    let offset = Int(writer.shared[.victimOffset].offset)
    guard offset + RecordHeader.byteCount <= end else { return try finishVictim(&writer, victim) }
    let record = Record(writer.memory, uncheckedAt: offset)
    guard record.header.fits(in: end - offset), record.kind != .link else {
      return try finishVictim(&writer, victim)
    }
    lookAhead(&writer, from: offset, end)
    var cost = 16
    if record.kind == .put || record.kind == .move {
      let hash = record.keyHash
      if let slot = try IndexReader(memory: writer.memory).slot(leadingTo: record.position, hash) {
        // After a damaged record it is unknown where the next one begins.
        guard record.isIntact else { return try finishVictim(&writer, victim) }
        try move(&writer, record, hash, slot)
        cost = record.storedBytes
      }
    }
    writer.shared[.victimOffset] = Position(offset: UInt64(offset + record.storedBytes))
    return cost
  }

  /// How far ahead of the next record the index is prefetched, in bytes of the victim.
  private static let bytesAhead = 4_096

  /// Prefetches the lines of the index that the next records will need, so that their cache misses
  /// overlap.
  private mutating func lookAhead(_ writer: inout Writer, from offset: Int, _ end: Int) {
    if lookedAt < offset || lookedAt > offset + 2 * Self.bytesAhead { lookedAt = offset }
    let index = IndexReader(memory: writer.memory)
    while lookedAt < offset + Self.bytesAhead, lookedAt + RecordHeader.byteCount <= end {
      let record = Record(writer.memory, uncheckedAt: lookedAt)
      guard record.header.fits(in: end - lookedAt) else { return }
      if record.kind == .put || record.kind == .move { index.prefetch(record.keyHash) }
      lookedAt += record.storedBytes
    }
  }

  private mutating func chooseVictim(_ writer: inout Writer, _ fullest: Int) throws(Store.Error) -> Unit? {
    let now = writer.clock.now()
    while let candidate = candidates.popLast() {
      let segment = candidate.segment
      // Other processes may have written since it was looked at.
      guard let entry = try writer.space.entry(segment), entry.kind == .segment,
        entry.length == Int(Layout.segmentUnits), writer.mayBeEmptied(segment)
      else { continue }
      let live = try writer.space.liveBytes(segment, at: now)
      if live.counted == 0 {
        try releaseSegment(&writer, segment)
      } else if live.probable <= fullest {
        return segment
      }
    }
    return nil
  }

  /// Releases the victim if all its live records have moved; else remembers it as damaged.
  private mutating func finishVictim(_ writer: inout Writer, _ segment: Unit) throws(Store.Error) -> Int {
    if try writer.space.liveBytes(segment, at: 0).counted == 0 {
      try releaseSegment(&writer, segment)
    } else {
      damaged.insert(segment.number)
    }
    writer.shared[.victim] = Unit(number: 0)
    return 64
  }

  /// Releases a segment without live records.
  mutating func releaseSegment(_ writer: inout Writer, _ segment: Unit) throws(Store.Error) {
    try writer.space.makeWritable((segment, Int(Layout.segmentUnits)))
    try writer.space.releaseUnits(segment)
    writer.shared.lower(.garbage, by: UInt64(Layout.segmentBytes))
  }

  /// Moves a live record, or removes it if it has expired. `found` is where the slot that points to
  /// it was found.
  private mutating func move(
    _ writer: inout Writer, _ record: Record, _ hash: KeyHash, _ found: Int
  ) throws(Store.Error) {
    let bucket = try writer.writableBucket(hash).page
    let position = record.position
    let bits = Slot(tag: hash.tag, position: position)
    guard let slot = try writer.index.slotOffset(bits, foundAt: found, in: bucket, hash) else { return }
    let match = IndexReader.Match(record, slotOffset: slot, slot: bits)
    if try writer.isExpired(match) {
      try writer.prepareRelease(match)
      try writer.space.flushReleases()
      try writer.unpublish(Writer.Prepared(slotOffset: slot, old: match))
      // The look has already counted it as garbage, as one that has probably expired.
      writer.shared.lower(.garbage, by: UInt64(record.storedBytes))
      return try writer.mergeAfterRemoval(hash)
    }
    _ = try writer.space.writableEntry(position.unit)
    let unit = try writer.mover.makeRoom(for: record.storedBytes, space: &writer.space)
    _ = try writer.space.writableEntry(unit)
    try writer.space.flushReleases()
    let expiry = record.expiry
    let target = writer.mover.copy(record)
    writer.memory.bytes.storeRelease(Slot(tag: hash.tag, position: target).bits, slot)
    try writer.space.addRecord(unit, bytes: record.storedBytes, expiry: expiry)
    try writer.space.removeRecord(position.unit, bytes: record.storedBytes, expires: expiry != nil)
    writer.shared.raise(.garbage, by: UInt64(record.storedBytes))
    movedBytes += record.storedBytes
  }
}
