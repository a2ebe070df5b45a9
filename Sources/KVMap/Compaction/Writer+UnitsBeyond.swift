/// Counting what keeps the file from becoming shorter.
extension Writer {
  /// What lies beyond the unit at which the file could end and can be moved from there, in units.
  struct UnitsBeyond {
    /// The unit at which the file could end.
    let end: UInt64
    /// Free units before the end, to which it could be moved.
    var freeBefore = 0
    /// Units of segments that are not being written.
    var segments = 0
    /// Units of segments that are being written: compaction closes them one after the other.
    var openSegments = 0
    /// Index units in use.
    var index = 0
    /// Units of large values.
    var extents = 0
    var total: Int { segments + openSegments + index + extents }

    /// Whether another round may gain anything. It does not if others pin what became free before
    /// the end.
    var hasRoom: Bool { freeBefore >= min(total, 2 * Int(Layout.segmentUnits)) }

    /// Whether the last round was worth it. Segments are opened before the round that makes room
    /// for them, so closing them takes some rounds.
    func isLess(than before: UnitsBeyond?) -> Bool {
      guard let before else { return true }
      return openSegments > 0 || total < before.total
    }
  }

  /// Counts what lies beyond `end`, and what is free before it.
  mutating func unitsBeyond(_ end: UInt64) throws(Store.Error) -> UnitsBeyond {
    try space.reuse.refresh(memory, backing)
    var beyond = UnitsBeyond(end: end)
    var number = Layout.firstFreeUnit
    while number < space.highWater {
      let unit = Unit(number: number)
      let entry = try space.entry(unit)
      let length = max(1, entry?.length ?? 1)
      defer { number += UInt64(length) }
      if number + UInt64(length) <= end {
        if space.isFree(entry) { beyond.freeBefore += 1 }
        continue
      }
      switch entry?.kind {
      case .segment where isInUse(unit): beyond.openSegments += length
      case .segment: beyond.segments += length
      case .extent: beyond.extents += length
      case .index where entry?.used != 0: beyond.index += 1
      default: break
      }
    }
    return beyond
  }
}
