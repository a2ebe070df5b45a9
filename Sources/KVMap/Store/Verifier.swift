/// Checks everything a store holds against everything else: O(size of the store).
///
/// Every page reachable from the roots: its checksum, kind, depth and place in
/// the tree; every record: checksum, and that its key belongs where its slot is;
/// every unit of the space table: that it is used for what the table says, by
/// exactly one owner; and all counters. Nothing found in the file is trusted
/// before it was checked, and no page is followed twice, so a hostile file costs
/// no more than a sound one.
struct Verifier: ~Copyable {
  let memory: StoreMemory
  let live: LivePage
  private(set) var report: VerificationReport

  /// A bit for each page that something led to.
  private var reached: [UInt64]
  /// Bytes of live records that start in each unit.
  private var liveBytes: [Int]
  /// For each unit with a large value, how many units its run has.
  private var runs: [UInt64: Int] = [:]
  private var recordBytes = 0
  private var indexPages = 0

  private let unitCount: Int

  init(memory: StoreMemory, live: LivePage, report: VerificationReport) {
    self.memory = memory
    self.live = live
    self.report = report
    let mapped = memory.mappedBytes / Layout.unitBytes
    unitCount = min(Int(clamping: live[LivePage.highWater]), mapped)
    reached = Array(repeating: 0, count: (unitCount * Layout.pagesPerUnit + 63) / 64)
    liveBytes = Array(repeating: 0, count: unitCount)
  }

  mutating func run() {
    walkDirectory()
    checkCounters()
    walkSpace()
  }

  private mutating func checkCounters() {
    let counted = report.recordCount
    if report.faults.isEmpty, Int(clamping: live[LivePage.recordCount]) != counted {
      report.add(
        "record count", at: Layout.liveOffset,
        "it says \(live[LivePage.recordCount]), but the index leads to \(counted) records")
    }
    if report.faults.isEmpty, Int(clamping: live[LivePage.liveBytes]) != recordBytes {
      report.add(
        "live bytes", at: Layout.liveOffset,
        "they are said to be \(live[LivePage.liveBytes]), but the records take \(recordBytes)")
    }
  }

  // MARK: Pages

  /// Whether a page may be followed: in bounds, not met before, intact.
  private mutating func visit(_ page: PageNumber, _ what: String, from: Int) -> Bool {
    guard page.number >= Layout.firstFreeUnit * UInt64(Layout.pagesPerUnit),
      page.number < UInt64(unitCount * Layout.pagesPerUnit)
    else {
      report.add(what, at: from, "it leads to page \(page.number), which the store does not have")
      return false
    }
    let number = Int(page.number)
    if reached[number / 64] & 1 << UInt64(number % 64) != 0 {
      report.add(what, at: from, "it leads to page \(page.number), which something else leads to")
      return false
    }
    reached[number / 64] |= 1 << UInt64(number % 64)
    indexPages += 1
    let header = PageHeader(bytes: memory.bytes, page: page)
    if header.epoch.number > live[LivePage.epoch] {
      report.add("index page", at: page.offset, "it is from an epoch that has not come yet")
      return false
    }
    if header.epoch.number <= live[LivePage.sealedEpoch], !header.isIntact(seed: memory.seed) {
      report.add("index page", at: page.offset, "its checksum does not match; the keys in it are unknown")
      return false
    }
    return true
  }

  private mutating func isKind(_ kind: PageKind, _ page: PageNumber) -> Bool {
    let found = PageHeader(bytes: memory.bytes, page: page).kindByte
    if found == kind.rawValue { return true }
    report.add("index page", at: page.offset, "it is of kind \(found) where kind \(kind.rawValue) belongs")
    return false
  }

  // MARK: Directory

  private mutating func walkDirectory() {
    let root = PagePointer(bits: live[LivePage.root])
    guard (1...8).contains(root.depth) else {
      report.add("directory root", at: Layout.liveOffset, "its height, \(root.depth), is impossible")
      return
    }
    guard visit(root.page, "directory root", from: Layout.liveOffset) else { return }
    walkNode(root.page, depth: 0, prefix: 0, level: root.depth)
  }

  private mutating func walkNode(_ page: PageNumber, depth: Int, prefix: UInt64, level: Int) {
    guard isKind(.directory, page) else { return }
    let node = NodePage(bytes: memory.bytes, page: page)
    var entry = 0
    while entry < NodePage.entryCount {
      let pointer = node[entry]
      let place = node.offset(of: entry)
      guard pointer.depth >= depth, pointer.depth <= depth + 8, pointer.depth < 64 else {
        report.add("directory entry", at: place, "its depth, \(pointer.depth), is impossible")
        return
      }
      let span = 1 << (8 - (pointer.depth - depth))
      guard entry % span == 0 else {
        report.add("directory entry", at: place, "it covers hashes that the one before covers")
        return
      }
      for other in entry..<entry + span where node[other] != pointer {
        report.add(
          "directory entry", at: node.offset(of: other),
          "it differs from those that lead to the same page")
      }
      let bits = prefix | (depth < 64 ? UInt64(entry) << UInt64(56 - min(depth, 56)) : 0)
      if visit(pointer.page, "directory entry", from: place) {
        checkPlace(pointer, prefix: bits)
        if level > 1 {
          walkNode(pointer.page, depth: pointer.depth, prefix: bits, level: level - 1)
        } else {
          walkBucket(pointer, prefix: bits)
        }
      }
      entry += span
    }
  }

  private mutating func checkPlace(_ pointer: PagePointer, prefix: UInt64) {
    let header = PageHeader(bytes: memory.bytes, page: pointer.page)
    if header.depth != pointer.depth || header.prefix != prefix {
      report.add(
        "index page", at: pointer.page.offset,
        "it covers other hashes than the reference to it says; its keys cannot be found")
    }
    if header.epoch.tag != pointer.epochTag {
      report.add("index page", at: pointer.page.offset, "it is of another epoch than the reference to it")
    }
  }

  // MARK: Buckets

  private mutating func walkBucket(_ pointer: PagePointer, prefix: UInt64) {
    guard isKind(.bucket, pointer.page) else { return }
    var hashes: [UInt64: [Position]] = [:]
    walkSlots(pointer.page, isOverflow: false, depth: pointer.depth, prefix: prefix, &hashes)
    var from = pointer.page
    while true {
      let next = PageHeader(bytes: memory.bytes, page: from).overflow
      if next.number == 0 { break }
      guard visit(next, "overflow reference", from: from.offset), isKind(.overflow, next) else { break }
      walkSlots(next, isOverflow: true, depth: pointer.depth, prefix: prefix, &hashes)
      from = next
    }
    for positions in hashes.values where positions.count > 1 { checkDifferent(positions) }
  }

  private mutating func checkDifferent(_ positions: [Position]) {
    let records = RecordReader(memory: memory)
    var keys: Set<[UInt8]> = []
    for position in positions {
      guard let head = try? records.head(at: position) else { continue }
      let key = memory.bytes.array(Int(position.offset) + head.keyOffset, count: head.keyLength)
      if !keys.insert(key).inserted {
        report.add("record", at: Int(position.offset), "the index has its key twice")
      }
    }
  }

  private mutating func walkSlots(
    _ page: PageNumber, isOverflow: Bool, depth: Int, prefix: UInt64,
    _ hashes: inout [UInt64: [Position]]
  ) {
    let bucket = Bucket(bytes: memory.bytes, page: page)
    for line in 1...Bucket.lineCount {
      for index in 0..<Bucket.slotsPerLine {
        let slot = bucket.load(line: line, slot: index)
        if slot.isEmpty { continue }
        let place = bucket.offset(line: line, slot: index)
        if slot.isPending {
          report.add("slot", at: place, "it belongs to a transaction that has ended")
          continue
        }
        guard let hash = checkRecord(slot, from: place) else { continue }
        let lines = hash.lines
        if hash.tag != slot.tag || !(isOverflow || lines.first == line || lines.second == line)
          || (depth > 0 && (hash.bits ^ prefix) >> UInt64(64 - depth) != 0)
        {
          report.add("slot", at: place, "its record's key belongs elsewhere and cannot be found")
          continue
        }
        hashes[hash.bits, default: []].append(slot.position)
        report.recordCount += 1
      }
    }
  }

  /// The hash of the record's key, if the record is whole.
  private mutating func checkRecord(_ slot: Slot, from place: Int) -> KeyHash? {
    let records = RecordReader(memory: memory)
    let position = slot.position
    guard position.unit.number >= Layout.firstFreeUnit, position.unit.number < UInt64(unitCount),
      let head = try? records.head(at: position)
    else {
      report.add("slot", at: place, "it leads to \(position.offset.hexadecimal), where no record can be")
      return nil
    }
    guard head.isIntact(memory.bytes, at: Int(position.offset), seed: memory.seed) else {
      report.add("record", at: Int(position.offset), "its checksum does not match; its value is lost")
      return nil
    }
    guard head.kind == .put || head.kind == .move else {
      report.add("record", at: Int(position.offset), "the index leads to it, but it holds no value")
      return nil
    }
    if head.flags.contains(.external) {
      do throws(StoreError) {
        let range = try records.valueRange(head, at: position)
        try records.verifyExternal(head, at: position, range: range)
        let unit = UInt64(range.lowerBound / Layout.unitBytes)
        let count = (range.count + Layout.unitBytes - 1) / Layout.unitBytes
        if runs.updateValue(count, forKey: unit) != nil {
          report.add("record", at: Int(position.offset), "its large value belongs to another record too")
        }
      } catch {
        report.add("record", at: Int(position.offset), "its large value is lost: \(error.message)")
        return nil
      }
    }
    liveBytes[Int(position.unit.number)] += head.storedBytes
    recordBytes += head.liveBytes
    return records.keyHash(head, at: position)
  }

  // MARK: Space table

  private mutating func walkSpace() {
    let root = PagePointer(bits: live[LivePage.spaceRoot])
    guard (1...4).contains(root.depth) else {
      report.add("space table root", at: Layout.liveOffset, "its height, \(root.depth), is impossible")
      return
    }
    var units: [SpaceEntry?] = Array(repeating: nil, count: unitCount)
    guard visit(root.page, "space table root", from: Layout.liveOffset) else { return }
    walkSpaceNode(root.page, first: 0, level: root.depth, &units)
    checkUnits(units)
    if report.faults.isEmpty, Int(clamping: live[LivePage.indexPages]) != indexPages {
      report.add(
        "index page count", at: Layout.liveOffset,
        "it says \(live[LivePage.indexPages]), but \(indexPages) are in use")
    }
  }

  private mutating func walkSpaceNode(
    _ page: PageNumber, first: UInt64, level: Int, _ units: inout [SpaceEntry?]
  ) {
    guard isKind(.spaceNode, page) else { return }
    let node = NodePage(bytes: memory.bytes, page: page)
    for entry in 0..<NodePage.entryCount {
      let pointer = node[entry]
      let number = first << 8 | UInt64(entry)
      if pointer.bits == 0 { continue }
      guard visit(pointer.page, "space table entry", from: node.offset(of: entry)) else { continue }
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

  private mutating func checkUnits(_ units: [SpaceEntry?]) {
    var unit = 0
    while unit < unitCount {
      let entry = units[unit]
      let place = entry?.offset ?? unit * Layout.unitBytes
      var length = 1
      switch entry.map({ $0.kind }) ?? .free {
      case .fixed:
        if unit >= Int(Layout.firstFreeUnit) {
          report.add("space table entry", at: place, "it keeps a unit for superblocks that is none of theirs")
        }
      case .free: break
      case .index: break
      case .segment, .run: length = checkRow(unit, units, place)
      case .continuation:
        report.add("space table entry", at: place, "it continues a row of units that has no beginning")
      case nil:
        report.add("space table entry", at: place, "its kind is unknown")
      }
      for number in unit..<min(unit + length, unitCount) { checkUse(number, units[unit], units[number]) }
      if runs[UInt64(unit)] != nil, entry?.kind != .run || entry?.length != runs[UInt64(unit)] {
        report.add("space table entry", at: place, "a large value lies there, but the table does not know it")
      }
      if entry?.kind == .run, runs[UInt64(unit)] == nil {
        report.add(
          "space table entry", at: place, "it keeps \(length) units for a large value that no record has")
      }
      unit += max(1, length)
    }
  }

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

  /// Compares what the table says of a unit with what leads to it.
  private mutating func checkUse(_ unit: Int, _ head: SpaceEntry?, _ entry: SpaceEntry?) {
    let first = unit * Layout.pagesPerUnit
    let pages = UInt16(truncatingIfNeeded: reached[first / 64] >> UInt64(first % 64))
    let used = entry?.kind == .index ? entry?.used ?? 0 : 0
    if pages & ~used != 0 {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "pages of unit \(unit) are in use that it does not say are; they could be overwritten")
    }
    if report.faults.isEmpty, used & ~pages != 0 {
      report.add(
        "space table entry", at: entry?.offset ?? 0,
        "it keeps pages of unit \(unit) that nothing leads to")
    }
    let counted = liveBytes[unit]
    let said = head?.kind == .segment ? entry?.live ?? 0 : 0
    if counted > 0, head?.kind != .segment {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "records lie in unit \(unit), which it does not say is log; they could be overwritten")
    } else if report.faults.isEmpty, counted != said {
      report.add(
        "space table entry", at: entry?.offset ?? unit * Layout.unitBytes,
        "it says \(said) bytes of unit \(unit) are live, but \(counted) are")
    }
  }
}
