/// Punching: returning the disk space of free units to the file system.
extension Compactor {
  /// Punches at most one segment's worth of spare units, the last of the file first.
  mutating func punchSpare(_ writer: inout Writer) throws(Store.Error) {
    guard let range = spare.popLast() else {
      spareUnits = 0
      return
    }
    let count = min(range.count, Int(Layout.segmentUnits))
    let first = range.upperBound - UInt64(count)
    if range.lowerBound < first { spare.append(range.lowerBound..<first) }
    spareUnits -= count
    try punch(&writer, first..<range.upperBound)
  }

  /// Punches those of the units that are still free, row by row.
  ///
  /// Recovery trusts the last checkpoint's table, in which an `.all` unit is used without
  /// allocating. So demote the entry to `.some` first, as if the unit was released now, and punch
  /// only when that is durable: then the reuse rule lets the unit be found again.
  private mutating func punch(_ writer: inout Writer, _ units: Range<UInt64>) throws(Store.Error) {
    // This allocates pages, which may come from these units: so do it before looking at any of
    // them.
    for number in units where try isEnteredAsStored(&writer, number) {
      _ = try writer.space.writableEntry(Unit(number: number))
    }
    var row = units.lowerBound..<units.lowerBound
    for number in units {
      let entry = try writer.space.entry(Unit(number: number))
      var isIncluded = writer.space.isFree(entry)
      if isIncluded, let entry, entry.diskSpace == .all {
        entry.diskSpace = .some
        entry.epoch = writer.space.epoch
        isIncluded = false
      }
      if isIncluded {
        row = row.lowerBound..<number + 1
      } else {
        try punchRow(&writer, row)
        row = number + 1..<number + 1
      }
    }
    try punchRow(&writer, row)
  }

  private func isEnteredAsStored(_ writer: inout Writer, _ number: UInt64) throws(Store.Error) -> Bool {
    guard let entry = try writer.space.entry(Unit(number: number)) else { return false }
    return writer.space.isFree(entry) && entry.diskSpace != .none
  }

  private mutating func punchRow(_ writer: inout Writer, _ row: Range<UInt64>) throws(Store.Error) {
    if row.isEmpty { return }
    let offset = Int(Unit(number: row.lowerBound).position.offset)
    guard try writer.backing.punch(offset: offset, count: row.count * Layout.unitBytes) else {
      isPaused = true
      return
    }
    for number in row {
      if let entry = try writer.space.entry(Unit(number: number)), entry.diskSpace != .none {
        entry.diskSpace = .none
      }
    }
  }
}
