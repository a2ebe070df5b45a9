/// Units: log segments, runs of large values, and the end of the file.
extension SpaceTable {
  /// Takes `count` units in a row, enters them as `kind`, and returns the first.
  /// They have no disk space yet. Throws, without effect, if the file cannot grow.
  mutating func allocate(_ count: Int, as kind: UnitKind) throws(StoreError) -> Unit {
    let free = try findFree(count)
    let unit = if let free { free } else { try extend(by: count) }
    try claim(unit, count, as: kind)
    return unit
  }

  /// Enters a row of units as used. Recovery claims what the log names.
  mutating func claim(_ first: Unit, _ count: Int, as kind: UnitKind) throws(StoreError) {
    // All entries are made writable before one is changed: no half-entered row.
    try makeWritable((first, count))
    for number in first.number..<first.number + UInt64(count) {
      let isFirst = number == first.number
      try writableEntry(Unit(number: number)).reset(
        isFirst ? kind : .continuation, length: isFirst ? count : 0)
    }
  }

  /// Makes the entries of a row of units writable, so that changing them cannot fail.
  mutating func makeWritable(_ row: (first: Unit, count: Int)) throws(StoreError) {
    for number in row.first.number..<row.first.number + UInt64(row.count) {
      _ = try writableEntry(Unit(number: number))
    }
  }

  /// Gives back the run or segment that begins at `first`.
  mutating func releaseUnits(_ first: Unit) throws(StoreError) {
    let count = try row(first, of: [.run, .segment])
    let epoch = epoch
    for number in first.number..<first.number + UInt64(count) {
      let entry = try writableEntry(Unit(number: number))
      entry.reset(.free)
      entry.epoch = epoch
    }
  }

  /// How many units the row that begins at `first` has. Throws unless it is one of
  /// those kinds and lies in the file.
  func row(_ first: Unit, of kinds: [UnitKind]) throws(StoreError) -> Int {
    guard let entry = try entry(first), let kind = entry.kind, kinds.contains(kind), entry.length >= 1,
      UInt64(entry.length) <= highWater, first.number <= highWater - UInt64(entry.length)
    else {
      throw .damaged(
        "space table", at: Int(clamping: first.position.offset),
        "what lies there is not entered as what it is")
    }
    return entry.length
  }

  /// Moves the end of what is used up by `count` units.
  mutating func extend(by count: Int) throws(StoreError) -> Unit {
    let first = highWater
    let end = first + UInt64(count)
    guard end <= Layout.largestFile / UInt64(Layout.unitBytes) else {
      throw StoreError(.diskFull, "the store has reached the largest size its format allows, 1 PiB")
    }
    try backing.grow(to: Int(end) * Layout.unitBytes)
    memory.noteMapped(backing.mappedBytes)
    try reserve.ensure(above: end, memory, backing)
    memory.live[LivePage.highWater] = end
    return Unit(number: first)
  }

  /// A row of free units whose release the reuse rule has passed.
  mutating func findFree(_ count: Int) throws(StoreError) -> Unit? {
    if isRecovering { return nil }
    try reuse.refresh(memory, backing)
    if let known = unitsExhausted, known.limit == reuse.limit, known.count <= count { return nil }
    let quarantine = Epoch(number: memory.live[LivePage.quarantine])
    let end = highWater
    var run: UInt64 = 0
    if unitCursor >= end { unitCursor = Layout.firstFreeUnit }
    var number = unitCursor
    var looked: UInt64 = 0
    // One round, and as much again as a row across the starting point needs.
    while looked < end + UInt64(count) {
      if number >= end {
        number = Layout.firstFreeUnit
        run = 0
      }
      let entry = try entry(Unit(number: number))
      let isFree =
        entry.map { $0.kind == .free && max($0.epoch, quarantine) <= reuse.limit }
        ?? (quarantine <= reuse.limit)
      run = isFree ? run + 1 : 0
      number += 1
      looked += 1
      if run == UInt64(count) {
        unitCursor = number
        return Unit(number: number - run)
      }
    }
    unitsExhausted = (reuse.limit, count)
    return nil
  }
}
