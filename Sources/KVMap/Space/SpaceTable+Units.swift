/// Allocating and releasing units: log segments, extents, and the end of the file.
extension SpaceTable {
  /// Allocates `count` units in a row, enters them as `kind`, and returns the first. They may have no
  /// disk space yet. Throws, without effect, if the file cannot grow.
  mutating func allocate(_ count: Int, as kind: UnitKind) throws(Store.Error) -> Unit {
    let free = try findFree(count)
    let unit = if let free { free } else { try extend(by: count) }
    try enter(unit, count, as: kind)
    return unit
  }

  /// As `allocate`, but only below `limit`; nil if there is no room.
  mutating func allocateBelow(
    _ limit: Unit, _ count: Int, as kind: UnitKind
  ) throws(Store.Error) -> Unit? {
    guard let unit = try findFree(count, below: limit) else { return nil }
    try enter(unit, count, as: kind)
    return unit
  }

  /// Enters units that were found free. If that fails, they will be found again.
  private mutating func enter(_ unit: Unit, _ count: Int, as kind: UnitKind) throws(Store.Error) {
    // Entering them may take a unit for pages of the table; that must not be one of these.
    claiming = unit.number..<unit.number + UInt64(count)
    defer { claiming = 0..<0 }
    do throws(Store.Error) {
      try claim(unit, count, as: kind)
    } catch {
      unitCursor.unit = min(unitCursor.unit, unit.number)
      throw error
    }
    takenUnits += count
  }

  /// Enters a row of units as used. Recovery claims what the log names.
  mutating func claim(_ first: Unit, _ count: Int, as kind: UnitKind) throws(Store.Error) {
    // All entries are made writable before any is changed, so no row is half entered.
    try makeWritable((first, count))
    for number in first.number..<first.number + UInt64(count) {
      let isFirst = number == first.number
      try writableEntry(Unit(number: number)).reset(
        isFirst ? kind : .continuation, length: isFirst ? count : 0)
    }
  }

  /// Makes the entries of a row of units writable, so that changing them cannot fail.
  mutating func makeWritable(_ row: (first: Unit, count: Int)) throws(Store.Error) {
    for number in row.first.number..<row.first.number + UInt64(row.count) {
      _ = try writableEntry(Unit(number: number))
    }
  }

  /// Releases the extent or segment that begins at `first`.
  mutating func releaseUnits(_ first: Unit) throws(Store.Error) {
    let count = try row(first, of: [.extent, .segment])
    let epoch = epoch
    for number in first.number..<first.number + UInt64(count) {
      let entry = try writableEntry(Unit(number: number))
      entry.reset(.free)
      entry.diskSpace = .some
      entry.epoch = epoch
    }
  }

  /// How many units the row that begins at `first` has. Throws `damaged` unless it is of one of
  /// these kinds and lies in the file.
  func row(_ first: Unit, of kinds: [UnitKind]) throws(Store.Error) -> Int {
    guard let entry = try entry(first), let kind = entry.kind, kinds.contains(kind), entry.length >= 1,
      UInt64(entry.length) <= highWater, first.number <= highWater - UInt64(entry.length)
    else {
      throw .damaged(
        "space table", at: Int(clamping: first.position.offset),
        "the entry does not match what lies there")
    }
    return entry.length
  }

  /// Raises the high-water mark by `count` units, and returns the first of them. Throws
  /// `diskFull` if the store or its reserve cannot grow.
  mutating func extend(by count: Int) throws(Store.Error) -> Unit {
    let first = highWater
    let end = first + UInt64(count)
    guard end <= Layout.largestFile / UInt64(Layout.unitBytes) else {
      throw Store.Error(.diskFull, "the store has reached the largest size its format allows, 1 PiB")
    }
    try backing.grow(to: Int(end) * Layout.unitBytes)
    try reserve.ensure(above: end, memory, backing)
    working.refresh()
    memory.shared[.highWater] = Unit(number: end)
    return Unit(number: first)
  }

  /// Finds the lowest row of free units that the reuse rule allows; nil if there is none, or
  /// during recovery. The lowest, so that the end of the file becomes free and can be truncated.
  /// Does not look at units from `limit` on.
  mutating func findFree(_ count: Int, below limit: Unit? = nil) throws(Store.Error) -> Unit? {
    if isRecovering { return nil }
    try reuse.refresh(memory, backing)
    if unitCursor.limit != reuse.limit { unitCursor = (Layout.firstFreeUnit, reuse.limit) }
    let end = min(highWater, limit?.number ?? .max)
    var number = unitCursor.unit
    var first = number
    while number < end {
      let entry = try entry(Unit(number: number))
      if isFree(entry), !claiming.contains(number) {
        number += 1
        if number - first == UInt64(count) {
          // A gap that was too small for this row is skipped until more is free.
          unitCursor.unit = number
          return Unit(number: first)
        }
      } else {
        number += UInt64(max(1, entry?.length ?? 1))
        first = number
      }
    }
    unitCursor.unit = first
    return nil
  }

  /// Has the next search for free units find `unit`, which is free by now.
  mutating func searchAgain(from unit: Unit) { unitCursor.unit = min(unitCursor.unit, unit.number) }

  /// Lowers the high-water mark to the end of the last unit that is not free. After the next
  /// checkpoint the file may be truncated there.
  mutating func trimEnd() throws(Store.Error) {
    try reuse.refresh(memory, backing)
    do {
      try forgetDiskSpace(from: try endOfUse())
    } catch {
      // On a full disk, what space remains is for other things.
      guard error.code == .diskFull else { throw error }
      return
    }
    let end = try endOfUse()
    guard end < highWater else { return }
    trimmedEnd = max(trimmedEnd, highWater)
    memory.shared[.highWater] = Unit(number: end)
    unitCursor.unit = min(unitCursor.unit, end)
    reserve.forget()
  }

  private func endOfUse() throws(Store.Error) -> UInt64 {
    var end = highWater
    while end > Layout.firstFreeUnit, isFree(try entry(Unit(number: end - 1))) { end -= 1 }
    return end
  }

  /// Ensures that no free unit from `end` on is entered as having all its disk space. Above the
  /// mark the file may be truncated or punched, and an operation that raises the mark again,
  /// above all a recovery, may skip some of these units. Takes pages, perhaps from these units.
  private mutating func forgetDiskSpace(from end: UInt64) throws(Store.Error) {
    try taking(for: .adding) { table throws(Store.Error) in
      var number = end
      while number < table.highWater {
        let unit = Unit(number: number)
        if let entry = try table.entry(unit), entry.kind == .free, entry.diskSpace == .all {
          let entry = try table.writableEntry(unit)
          // Making the entry writable may have taken the unit itself.
          if entry.kind == .free { entry.diskSpace = .some }
        }
        number += 1
      }
    }
  }

  /// Whether the unit of an entry may be rewritten or punched now. nil is the entry of a unit
  /// that was never used.
  func isFree(_ entry: SpaceEntry?) -> Bool {
    let quarantine = memory.shared[.quarantine].number
    guard let entry else { return quarantine <= reuse.limit.number }
    return entry.kind == .free && max(entry.epoch.number, quarantine) <= reuse.limit.number
  }
}
