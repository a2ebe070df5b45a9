extension Writer {
  /// What lies beyond where the file could end and can be moved from there, in units.
  struct UnitsBeyond {
    let end: UInt64
    /// Units before the end that it could be moved to.
    var freeBefore = 0
    var segments = 0
    /// Segments that are being written: they are left one after the other.
    var openSegments = 0
    var index = 0
    var extents = 0
    var total: Int { segments + openSegments + index + extents }

    /// Whether moving it again may win anything. Where others pin what became free
    /// before the end, it does not.
    var hasRoom: Bool { freeBefore >= min(total, 2 * Int(Layout.segmentUnits)) }

    /// Whether the last round was worth it. Segments are opened before the round that
    /// makes room for them, so leaving them takes some rounds.
    func isLess(than before: UnitsBeyond?) -> Bool {
      guard let before else { return true }
      return openSegments > 0 || total < before.total
    }
  }

  /// Counts what lies beyond `end`, and what is free before it.
  mutating func unitsBeyond(_ end: UInt64) throws(StoreError) -> UnitsBeyond {
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
