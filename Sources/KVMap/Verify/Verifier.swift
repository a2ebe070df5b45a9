/// Checks everything a store holds against everything else: O(size of the store).
///
/// Every page that can be reached from the roots: its checksum, kind, depth and place in the tree.
/// Every record: its checksum, and that its key belongs where its slot is. Every unit of the space
/// table: that exactly one owner uses it, and for what the table says. And all counters. Nothing
/// found in the file is trusted before it was checked, and no page is followed twice, so a hostile
/// file costs no more than a sound one.
struct Verifier: ~Copyable {
  let memory: StoreMemory
  let shared: SharedState
  /// No page is from a later epoch.
  private let newest: Epoch
  var report: Store.VerificationReport

  /// A bit for each page that something points to.
  var reached: [UInt64]
  /// Bytes of live records that start in each unit.
  var liveBytes: [Int]
  /// How many of them have an expiry, and the first and last of these, in milliseconds since 1970.
  var expiring: [Int: (bytes: Int, earliest: UInt64, latest: UInt64)] = [:]
  /// For each unit in which a large value begins, how many units its extent has.
  var runs: [UInt64: Int] = [:]
  var recordBytes = 0
  var indexPages = 0

  /// Whether everything below the directory's root could be read: only then do sums over it mean
  /// anything.
  var isIndexWhole = false

  let unitCount: Int

  /// - Parameter newest: the last epoch in which pages may have been written; the working epoch
  ///   unless the caller knows better.
  init(memory: StoreMemory, shared: SharedState, newest: Epoch? = nil, report: Store.VerificationReport) {
    self.memory = memory
    self.shared = shared
    self.newest = newest ?? shared[.epoch]
    self.report = report
    let mapped = memory.mappedBytes / Layout.unitBytes
    unitCount = min(Int(clamping: shared[.highWater].number), mapped)
    reached = Array(repeating: 0, count: (unitCount * Layout.pagesPerUnit + 63) / 64)
    liveBytes = Array(repeating: 0, count: unitCount)
  }

  mutating func run() {
    let before = report.faultCount
    walkDirectory()
    isIndexWhole = report.faultCount == before
    checkCounters()
    walkSpace()
  }

  private mutating func checkCounters() {
    let counted = report.recordCount
    if isIndexWhole, Int(clamping: shared[.recordCount]) != counted {
      report.add(
        "record count", at: Layout.liveOffset,
        "it says \(shared[.recordCount]), but the index points to \(counted) records")
    }
    if isIndexWhole, Int(clamping: shared[.liveBytes]) != recordBytes {
      report.add(
        "live bytes", at: Layout.liveOffset,
        "they are said to be \(shared[.liveBytes]), but the records take \(recordBytes)")
    }
    if let earliest = expiring.values.map({ $0.earliest }).min(), earliest < shared[.earliestExpiry] {
      report.add(
        "earliest expiry", at: Layout.liveOffset,
        "it says \(shared[.earliestExpiry]) ms since 1970, but a record expires at \(earliest)")
    }
  }

  // MARK: Pages

  /// Whether a page may be followed: in bounds, not met before, intact. If not, notes a fault.
  ///
  /// - Parameter hashes: the keys that are unknown without the page; nil for a page of the space
  ///   table.
  mutating func visit(
    _ page: PageNumber, _ what: String, from: Int, _ hashes: HashRange? = nil
  ) -> Bool {
    let meaning = hashes.map { "; \($0) are unknown" } ?? "; what its units are used for is unknown"
    guard page.number >= Layout.firstFreeUnit * UInt64(Layout.pagesPerUnit),
      page.number < UInt64(unitCount * Layout.pagesPerUnit)
    else {
      report.add(what, at: from, "it points to page \(page.number), which the store does not have\(meaning)")
      return false
    }
    let number = Int(page.number)
    if reached[number / 64] & 1 << UInt64(number % 64) != 0 {
      report.add(what, at: from, "it points to page \(page.number), which something else points to\(meaning)")
      return false
    }
    reached[number / 64] |= 1 << UInt64(number % 64)
    indexPages += 1
    let header = memory.header(page)
    if header.epoch > newest {
      report.add("index page", at: page.offset, "it is from an epoch that has not begun yet\(meaning)")
      return false
    }
    if header.epoch.number <= shared[.sealedEpoch].number, !header.isIntact(seed: memory.seed) {
      report.add("index page", at: page.offset, "its checksum does not match\(meaning)")
      return false
    }
    return true
  }

  mutating func isKind(_ kind: PageKind, _ page: PageNumber) -> Bool {
    let found = memory.header(page).kindByte
    if found == kind.rawValue { return true }
    report.add("index page", at: page.offset, "it is of kind \(found) where kind \(kind.rawValue) belongs")
    return false
  }

  // MARK: Directory

  private mutating func walkDirectory() {
    let root = shared[.root]
    guard (1...8).contains(root.depth) else {
      report.add("directory root", at: Layout.liveOffset, "its height, \(root.depth), is impossible")
      return
    }
    guard visit(root.page, "directory root", from: Layout.liveOffset, .all) else { return }
    checkEpoch(root)
    walkNode(root.page, depth: 0, prefix: 0, level: root.depth)
  }

  private mutating func walkNode(_ page: PageNumber, depth: Int, prefix: UInt64, level: Int) {
    guard isKind(.directory, page) else { return }
    let node = memory.node(page)
    var entry = 0
    while entry < NodePage.entryCount {
      let pointer = node[entry]
      let place = node.offset(of: entry)
      guard pointer.depth >= depth, pointer.depth <= depth + 8, pointer.depth < 64 else {
        report.add(
          "directory entry", at: place,
          "its depth, \(pointer.depth), is impossible; the keys that it and those after it point to are unknown"
        )
        return
      }
      let span = 1 << (8 - (pointer.depth - depth))
      guard entry % span == 0 else {
        report.add(
          "directory entry", at: place,
          "it covers hashes that the one before covers; the keys that it and those after it point to are unknown"
        )
        return
      }
      for other in entry..<entry + span where node[other] != pointer {
        report.add(
          "directory entry", at: node.offset(of: other),
          "it differs from those that point to the same page")
      }
      let bits = prefix | (depth < 64 ? UInt64(entry) << UInt64(56 - min(depth, 56)) : 0)
      let hashes = HashRange(prefix: bits, depth: pointer.depth)
      if visit(pointer.page, "directory entry", from: place, hashes) {
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
    let header = memory.header(pointer.page)
    if header.depth != pointer.depth || header.prefix != prefix {
      report.add(
        "index page", at: pointer.page.offset,
        "it covers other hashes than the reference to it says; its keys cannot be found")
    }
    checkEpoch(pointer)
  }

  /// Checks a page's epoch against the reference to it. A page of the working epoch has no checksum
  /// yet: only the reference tells that the page is of this epoch.
  mutating func checkEpoch(_ pointer: PagePointer) {
    if memory.header(pointer.page).epoch.tag != pointer.epochTag {
      report.add("index page", at: pointer.page.offset, "it is of another epoch than the reference to it")
    }
  }

  // MARK: Buckets

  private mutating func walkBucket(_ pointer: PagePointer, prefix: UInt64) {
    guard isKind(.bucket, pointer.page) else { return }
    var found: [UInt64: [Position]] = [:]
    walkSlots(pointer.page, isOverflow: false, depth: pointer.depth, prefix: prefix, &found)
    var from = pointer.page
    while true {
      let next = memory.header(from).overflow
      if next.number == 0 { break }
      let hashes = HashRange(prefix: prefix, depth: pointer.depth)
      guard visit(next, "overflow reference", from: from.offset, hashes), isKind(.overflow, next) else {
        break
      }
      // A page that points to another is changed with it, and so is no older.
      let epoch = memory.header(from).epoch
      if memory.header(next).epoch > epoch {
        report.add("index page", at: next.offset, "it is of a later epoch than the page that points to it")
      }
      walkSlots(next, isOverflow: true, depth: pointer.depth, prefix: prefix, &found)
      from = next
    }
    for positions in found.values where positions.count > 1 { checkDifferent(positions) }
  }

  /// Checks that records whose keys have the same hash have different keys.
  private mutating func checkDifferent(_ positions: [Position]) {
    var keys: Set<[UInt8]> = []
    for position in positions {
      guard let record = try? Record(memory, at: position) else { continue }
      let key = record.keyBytes
      if !keys.insert(key).inserted {
        report.add("record", at: Int(position.offset), "the index has its key twice")
      }
    }
  }

  private mutating func walkSlots(
    _ page: PageNumber, isOverflow: Bool, depth: Int, prefix: UInt64,
    _ hashes: inout [UInt64: [Position]]
  ) {
    let bucket = memory.bucket(page)
    for (line, index, slot) in bucket.slots {
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

  /// Checks the record that a slot points to. Returns the hash of its key if the record is whole.
  private mutating func checkRecord(_ slot: Slot, from place: Int) -> KeyHash? {
    let position = slot.position
    guard position.unit.number >= Layout.firstFreeUnit, position.unit.number < UInt64(unitCount),
      let record = try? Record(memory, at: position)
    else {
      report.add("slot", at: place, "it points to \(position.offset.hexadecimal), where no record can be")
      return nil
    }
    guard record.isIntact else {
      report.add("record", at: Int(position.offset), "its checksum does not match; its value is lost")
      return nil
    }
    guard record.kind == .put || record.kind == .move else {
      report.add("record", at: Int(position.offset), "the index points to it, but it holds no value")
      return nil
    }
    if record.isExternal {
      do throws(Store.Error) {
        let range = try record.valueRange()
        let unit = UInt64(range.lowerBound / Layout.unitBytes)
        let count = (range.count + Layout.unitBytes - 1) / Layout.unitBytes
        // Check this before reading the value, so that many records of one value cost no more than
        // one.
        if runs.updateValue(count, forKey: unit) != nil {
          report.add("record", at: Int(position.offset), "its large value belongs to another record too")
          return nil
        }
        try record.verifyExternal(range)
      } catch {
        report.add(
          "record", at: Int(position.offset),
          "its large value does not match its checksum, or lies beyond the file's end; it is lost")
        return nil
      }
    }
    let unit = Int(position.unit.number)
    liveBytes[unit] += record.storedBytes
    recordBytes += record.liveBytes
    if let expiry = record.expiry {
      let before = expiring[unit] ?? (0, expiry, expiry)
      expiring[unit] = (
        before.bytes + record.storedBytes, min(before.earliest, expiry), max(before.latest, expiry)
      )
    }
    return record.keyHash
  }
}
