/// Looking through the space table: which space can be reclaimed, and which of it is worth the
/// work.
extension Compactor {
  /// Begins the look of this epoch.
  mutating func beginLook(_ writer: inout Writer) throws(Store.Error) {
    // Space that has become free since the last look must count as free.
    try writer.space.reuse.refresh(writer.memory, writer.backing)
    begin(writer.shared[.durableEpoch].number, taken: writer.space.takenUnits)
    writer.space.takenUnits = 0
    if writer.space.trimmedEnd > 0, try writer.punchEnd(upTo: writer.space.trimmedEnd) {
      writer.space.trimmedEnd = 0
    }
  }

  /// Looks at the next `count` entries of the table: what they hold, and what of it is worth
  /// reclaiming.
  mutating func lookAtUnits(_ writer: inout Writer, _ count: Int) throws(Store.Error) {
    let now = writer.clock.now()
    for _ in 0..<count {
      guard let number = cursor else { return }
      guard number < writer.space.highWater else { return finishLook(&writer) }
      let unit = Unit(number: number)
      let entry = try writer.space.entry(unit)
      cursor = number + UInt64(max(1, entry?.length ?? 1))
      switch entry?.kind {
      case .segment where entry?.length == Int(Layout.segmentUnits): try lookAtSegment(&writer, unit, now)
      case .index: try lookAtIndexUnit(&writer, unit, entry)
      case .free, nil:
        // After a crash the table may not know of a unit's disk space. A compaction of the whole
        // store punches such units nevertheless.
        let isKnown = entry.map { $0.diskSpace != .none } ?? false
        if isKnown { otherBytes += Layout.unitBytes }
        if writer.space.isFree(entry), isKnown || calls.areUnderWay { noteSpare(number) }
      default: break
      }
    }
  }

  private mutating func lookAtSegment(
    _ writer: inout Writer, _ segment: Unit, _ now: UInt64
  ) throws(Store.Error) {
    guard writer.mayBeEmptied(segment) else { return }
    let live = try writer.space.liveBytes(segment, at: now)
    if live.counted == 0 { return try releaseSegment(&writer, segment) }
    liveBytes += live.probable
    segmentBytes += Layout.segmentBytes
    if !damaged.contains(segment.number) {
      candidates.append(Compactor.Candidate(segment: segment, live: live.probable))
    }
  }

  /// Frees an index unit if none of its pages is in use or may still be read by anyone.
  private mutating func lookAtIndexUnit(
    _ writer: inout Writer, _ unit: Unit, _ entry: SpaceEntry?
  ) throws(Store.Error) {
    guard let entry else { return }
    otherBytes += Layout.unitBytes - entry.used.nonzeroBitCount * Layout.pageBytes
    guard writer.space.open?.unit != unit, writer.space.isUnusedIndexUnit(entry) else { return }
    let epoch = entry.epoch
    let changed = try writer.space.writableEntry(unit)
    // Copying the path to the entry may have allocated pages of this unit.
    guard changed.used == 0, writer.space.open?.unit != unit else { return }
    changed.reset(.free)
    changed.diskSpace = .all
    changed.epoch = epoch
    writer.space.searchAgain(from: unit)
    noteSpare(unit.number)
  }

  private mutating func noteSpare(_ number: UInt64) {
    spareUnits += 1
    if let last = spare.last, last.upperBound == number {
      spare[spare.count - 1] = last.lowerBound..<number + 1
    } else {
      spare.append(number..<number + 1)
    }
  }

  private mutating func finishLook(_ writer: inout Writer) {
    endLook(
      indexBytes: Int(clamping: writer.shared[.indexPages]) * Layout.pageBytes,
      checkpointLog: Int(clamping: promise.checkpointLog(writer.shared)))
    writer.shared[.garbage] = UInt64(max(0, segmentBytes - liveBytes))
  }
}
