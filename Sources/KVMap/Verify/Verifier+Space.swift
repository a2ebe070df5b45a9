/// Checks the space table, and whether the file is used as it says.
extension Verifier {
  // MARK: Space table

  mutating func walkSpace() {
    let root = shared[.spaceRoot]
    guard (1...4).contains(root.depth) else {
      report.add("space table root", at: Layout.liveOffset, "its height, \(root.depth), is impossible")
      return
    }
    var units: [SpaceEntry?] = Array(repeating: nil, count: unitCount)
    let before = report.faultCount
    if visit(root.page, "space table root", from: Layout.liveOffset) {
      checkEpoch(root)
      walkSpaceNode(root.page, first: 0, level: root.depth, &units)
    }
    let isTableWhole = report.faultCount == before
    checkSegmentHeaders(units)
    // If a page of the table cannot be read, each of its units would give a fault.
    if !isTableWhole { return }
    checkUnits(units)
    if isIndexWhole, Int(clamping: shared[.indexPages]) != indexPages {
      report.add(
        "index page count", at: Layout.liveOffset,
        "it says \(shared[.indexPages]), but \(indexPages) are in use")
    }
  }

  private mutating func walkSpaceNode(
    _ page: PageNumber, first: UInt64, level: Int, _ units: inout [SpaceEntry?]
  ) {
    guard isKind(.spaceNode, page) else { return }
    let node = memory.node(page)
    for entry in 0..<NodePage.entryCount {
      let pointer = node[entry]
      let number = first << 8 | UInt64(entry)
      if pointer.bits == 0 { continue }
      guard visit(pointer.page, "space table entry", from: node.offset(of: entry)) else { continue }
      checkEpoch(pointer)
      if level > 1 {
        walkSpaceNode(pointer.page, first: number, level: level - 1, &units)
      } else if isKind(.spaceLeaf, pointer.page) {
        for index in 0..<SpaceEntry.entriesPerLeaf {
          let unit = number.multipliedReportingOverflow(by: UInt64(SpaceEntry.entriesPerLeaf))
          guard !unit.overflow, unit.partialValue + UInt64(index) < UInt64(unitCount) else { break }
          units[Int(unit.partialValue) + index] = SpaceEntry(
            bytes: memory.bytes,
            offset: pointer.page.offset + PageHeader.byteCount + index * SpaceEntry.byteCount)
        }
      }
    }
  }

  /// Checks that each segment with live records has a header. The index points to the records
  /// without it, but a search of the log cannot follow.
  private mutating func checkSegmentHeaders(_ units: [SpaceEntry?]) {
    for unit in 0..<unitCount where units[unit]?.kind == .segment {
      let start = unit * Layout.unitBytes
      let end = min(unit + Int(Layout.segmentUnits), unitCount)
      let hasRecords = liveBytes[unit..<end].contains { $0 > 0 }
      if hasRecords, SegmentHeader(memory.bytes, at: start, seed: memory.seed) == nil {
        report.add(
          "log segment", at: start,
          "its header is not what was written; its records can be read, but not in the order of the log")
      }
    }
  }

  private mutating func checkUnits(_ units: [SpaceEntry?]) {
    var unit = 0
    while unit < unitCount {
      let entry = units[unit]
      let place = entry?.offset ?? unit * Layout.unitBytes
      var length = 1
      switch entry.map({ $0.kind }) ?? .free {
      case .fixed:
        if unit >= Int(Layout.firstFreeUnit) {
          report.add(
            "space table entry", at: place, "it keeps a unit for superblocks that is not one of theirs")
        }
      case .free: break
      case .index: break
      case .segment, .extent: length = checkRow(unit, units, place)
      case .continuation:
        report.add("space table entry", at: place, "it continues a row of units that has no beginning")
      case nil:
        report.add("space table entry", at: place, "its kind is unknown")
      }
      for number in unit..<min(unit + length, unitCount) {
        checkUse(number, units[unit], units[number])
        if let entry = units[number] { checkFields(number, units[unit]?.kind, entry) }
      }
      if runs[UInt64(unit)] != nil, entry?.kind != .extent || entry?.length != runs[UInt64(unit)] {
        report.add("space table entry", at: place, "a large value lies there, but the table does not know it")
      }
      if isIndexWhole, entry?.kind == .extent, runs[UInt64(unit)] == nil {
        report.add(
          "space table entry", at: place, "it keeps \(length) units for a large value that no record has")
      }
      unit += max(1, length)
    }
  }

  /// Checks that the units of a segment or extent follow its first one. Returns how many do.
  private mutating func checkRow(_ unit: Int, _ units: [SpaceEntry?], _ place: Int) -> Int {
    guard let entry = units[unit], entry.length >= 1, entry.length <= unitCount - unit else {
      report.add("space table entry", at: place, "its row of units reaches beyond the store")
      return 1
    }
    for number in unit + 1..<unit + entry.length where units[number]?.kind != .continuation {
      report.add(
        "space table entry", at: place,
        "its row of \(entry.length) units is interrupted after \(number - unit)")
      return number - unit
    }
    return entry.length
  }

  /// Compares what the table says about a unit with what points to it. `head`: the entry of the
  /// first unit of its row.
  private mutating func checkUse(_ unit: Int, _ head: SpaceEntry?, _ entry: SpaceEntry?) {
    let first = unit * Layout.pagesPerUnit
    let pages = UInt16(truncatingIfNeeded: reached[first / 64] >> UInt64(first % 64))
    let used = entry?.kind == .index ? entry?.used ?? 0 : 0
    if pages & ~used != 0 {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "pages of unit \(unit) are in use that it does not say are; they could be overwritten")
    }
    if isIndexWhole, used & ~pages != 0 {
      report.add(
        "space table entry", at: entry?.offset ?? 0,
        "it keeps pages of unit \(unit) that nothing points to")
    }
    let counted = liveBytes[unit]
    let said = head?.kind == .segment ? entry?.live ?? 0 : 0
    if counted > 0, head?.kind != .segment {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "records lie in unit \(unit), which it does not say is log; they could be overwritten")
    } else if isIndexWhole, counted != said {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "it says \(said) bytes of unit \(unit) are live, but \(counted) are")
    }
  }

  // MARK: Fields

  /// Checks the other fields of an entry. `kind`: the kind of the row that its unit belongs to.
  private mutating func checkFields(_ unit: Int, _ kind: UnitKind?, _ entry: SpaceEntry) {
    switch kind {
    case .index: checkReleases(unit, entry)
    case .segment: if isIndexWhole { checkExpiry(unit, entry) }
    case .free: checkFree(unit, entry)
    case .extent: checkNothingLives(unit, entry)
    case .fixed, .continuation, nil: break
    }
  }

  /// Checks the fields for released pages. A page released in an epoch to come would never be used
  /// again, and one that is in use and released would be used twice.
  private mutating func checkReleases(_ unit: Int, _ entry: SpaceEntry) {
    if entry.used & (entry.releasedBefore | entry.releasedLately) != 0 {
      report.add("space table entry", at: entry.offset, "pages of unit \(unit) are in use and released")
    }
    if entry.releasedBefore & entry.releasedLately != 0 {
      report.add("space table entry", at: entry.offset, "pages of unit \(unit) were released twice")
    }
    if entry.epochBefore > entry.epoch || entry.epoch.number > shared[.epoch].number {
      report.add(
        "space table entry", at: entry.offset, "pages of unit \(unit) were released in an epoch to come")
    }
    if entry.length != 1 {
      report.add("space table entry", at: entry.offset, "an index unit is one, not \(entry.length)")
    }
    checkNothingLives(unit, entry)
  }

  private mutating func checkFree(_ unit: Int, _ entry: SpaceEntry) {
    if entry.epoch.number > shared[.epoch].number {
      report.add("space table entry", at: entry.offset, "unit \(unit) was released in an epoch to come")
    }
    if !entry.isDiskSpaceKnown {
      report.add(
        "space table entry", at: entry.offset, "it does not say how much disk space unit \(unit) has")
    }
    if entry.used != 0 || entry.length != 0 || entry.expiring != 0 {
      report.add(
        "space table entry", at: entry.offset, "unit \(unit) is free, but the entry speaks of its use")
    }
    checkNothingLives(unit, entry)
  }

  private mutating func checkNothingLives(_ unit: Int, _ entry: SpaceEntry) {
    if entry.live != 0 {
      report.add(
        "space table entry", at: entry.offset,
        "it says \(entry.live) bytes of unit \(unit) are live, but no log is there")
    }
  }

  /// Checks the fields from which compaction estimates what has expired. A program that writes the
  /// store may leave them 0.
  private mutating func checkExpiry(_ unit: Int, _ entry: SpaceEntry) {
    let counted = expiring[unit]
    if entry.expiring == 0 { return }
    if entry.expiring != counted?.bytes ?? 0 {
      report.add(
        "space table entry", at: entry.offset,
        "it says \(entry.expiring) of the live bytes of unit \(unit) will expire, but \(counted?.bytes ?? 0) will"
      )
    } else if let counted, counted.earliest < entry.earliestExpiry || counted.latest > entry.latestExpiry {
      report.add(
        "space table entry", at: entry.offset,
        "records of unit \(unit) expire at other times than from \(entry.earliestExpiry) to "
          + "\(entry.latestExpiry) ms since 1970")
    }
  }
}
