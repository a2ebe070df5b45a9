/// Walks the index and the space table of a checkpoint, around what is damaged.
///
/// Every page that a checkpoint points to is sealed, so every page is checked: kind, epoch, place
/// in the tree, checksum. No page is followed twice, so a hostile file costs no more than a sound
/// one.
struct CheckpointWalk: ~Copyable {
  let memory: StoreMemory
  let block: Superblock
  /// What is wrong with the pages that were visited.
  private(set) var report = Store.VerificationReport()
  /// Pages that cannot be read: the index says nothing about their keys.
  private(set) var lost: [LostPage] = []

  private var reached: [UInt64]
  private let unitCount: Int

  init(memory: StoreMemory, block: Superblock) {
    self.memory = memory
    self.block = block
    unitCount = min(Int(clamping: block.highWater.number), memory.mappedBytes / Layout.unitBytes)
    reached = Array(repeating: 0, count: (unitCount * Layout.pagesPerUnit + 63) / 64)
  }

  /// A page that cannot be read, and the hashes of its keys.
  struct LostPage {
    var offset: Int
    var hashes: HashRange
  }

  /// A slot, and which keys it can be for.
  struct SlotPlace {
    var slot: Slot
    var hashes: HashRange
    /// The line that it is in; nil in an overflow page, where any key may be.
    var line: Int?

    /// Whether the slot can be that of a key with this hash.
    func mayHold(_ hash: KeyHash) -> Bool {
      guard hash.tag == slot.tag, hashes.contains(hash.bits) else { return false }
      guard let line else { return true }
      let lines = hash.lines
      return lines.first == line || lines.second == line
    }
  }

  // MARK: Pages

  /// Whether a page may be followed; if not, notes why.
  private mutating func page(
    _ pointer: PagePointer, _ kind: PageKind, depth: Int? = nil, prefix: UInt64 = 0
  ) -> Bool {
    let page = pointer.page
    guard page.number >= Layout.firstFreeUnit * UInt64(Layout.pagesPerUnit),
      page.number < UInt64(unitCount * Layout.pagesPerUnit)
    else {
      report.add(
        "index page", at: Int(clamping: page.number) * Layout.pageBytes, "it lies beyond the file's end")
      return false
    }
    let number = Int(page.number)
    guard reached[number / 64] & 1 << UInt64(number % 64) == 0 else {
      report.add("index page", at: page.offset, "two references point to it")
      return false
    }
    reached[number / 64] |= 1 << UInt64(number % 64)
    let header = memory.header(page)
    guard header.isIntact(seed: memory.seed) else {
      report.add("index page", at: page.offset, "its checksum does not match")
      return false
    }
    let isInPlace = depth.map { header.depth == $0 && header.prefix == prefix } ?? true
    guard header.kindByte == kind.rawValue, header.epoch.tag == pointer.epochTag, isInPlace else {
      report.add("index page", at: page.offset, "it is not the page that the reference to it names")
      return false
    }
    return true
  }

  // MARK: Index

  private mutating func lose(_ page: PageNumber, _ hashes: HashRange) {
    lost.append(LostPage(offset: page.offset, hashes: hashes))
  }

  /// Passes each slot of the index to `body`, with the share of the index that is done, from 0 to
  /// 1.
  mutating func walkIndex(_ body: (SlotPlace, Double) throws(Store.Error) -> Void) throws(Store.Error) {
    guard page(block.root, .directory, depth: 0) else {
      lose(block.root.page, .all)
      return
    }
    try walkNode(block.root.page, depth: 0, prefix: 0, level: block.root.depth, body)
  }

  private mutating func walkNode(
    _ page: PageNumber, depth: Int, prefix: UInt64, level: Int,
    _ body: (SlotPlace, Double) throws(Store.Error) -> Void
  ) throws(Store.Error) {
    let node = memory.node(page)
    var entry = 0
    while entry < NodePage.entryCount {
      let pointer = node[entry]
      let span = pointer.depth >= depth && pointer.depth <= depth + 8 ? 1 << (8 - (pointer.depth - depth)) : 0
      let bits = depth < 64 ? prefix | (UInt64(entry) << 56) >> UInt64(depth) : prefix
      guard span > 0, entry % span == 0, pointer.depth < 64 else {
        report.add(
          "directory entry", at: node.offset(of: entry), "its depth, \(pointer.depth), is impossible")
        lose(page, HashRange(prefix: bits, depth: min(depth + 8, 63)))
        entry += 1
        continue
      }
      entry += span
      let hashes = HashRange(prefix: bits, depth: pointer.depth)
      guard self.page(pointer, level > 1 ? .directory : .bucket, depth: pointer.depth, prefix: bits) else {
        lose(pointer.page, hashes)
        continue
      }
      if level > 1 {
        try walkNode(pointer.page, depth: pointer.depth, prefix: bits, level: level - 1, body)
      } else {
        try walkBucket(pointer.page, hashes, body)
      }
    }
  }

  private mutating func walkBucket(
    _ first: PageNumber, _ hashes: HashRange,
    _ body: (SlotPlace, Double) throws(Store.Error) -> Void
  ) throws(Store.Error) {
    let share = Double(hashes.last) / Double(UInt64.max)
    var number = first
    while true {
      let bucket = memory.bucket(number)
      for (line, _, slot) in bucket.slots {
        if slot.isPending { continue }
        try body(SlotPlace(slot: slot, hashes: hashes, line: number == first ? line : nil), share)
      }
      let next = memory.header(number).overflow
      if next.number == 0 { return }
      guard next.number < UInt64(unitCount * Layout.pagesPerUnit),
        page(
          PagePointer(
            page: next, depth: 0, epoch: memory.header(next).epoch), .overflow)
      else {
        lose(number, hashes)
        return
      }
      number = next
    }
  }

  // MARK: Space table

  /// The kind of each unit by the table; nil where it cannot be read.
  mutating func unitKinds() -> [UnitKind?] {
    var kinds: [UnitKind?] = Array(repeating: nil, count: unitCount)
    guard page(block.spaceRoot, .spaceNode) else { return kinds }
    walkSpace(block.spaceRoot.page, first: 0, level: block.spaceRoot.depth, &kinds)
    return kinds
  }

  private mutating func walkSpace(
    _ page: PageNumber, first: UInt64, level: Int, _ kinds: inout [UnitKind?]
  ) {
    let node = memory.node(page)
    for entry in 0..<NodePage.entryCount {
      let pointer = node[entry]
      let number = first << 8 | UInt64(entry)
      let (unit, overflow) = number.multipliedReportingOverflow(by: UInt64(SpaceEntry.entriesPerLeaf))
      if level == 1, overflow || unit >= UInt64(unitCount) { return }
      if pointer.bits == 0 { continue }
      guard self.page(pointer, level > 1 ? .spaceNode : .spaceLeaf) else { continue }
      if level > 1 {
        walkSpace(pointer.page, first: number, level: level - 1, &kinds)
        continue
      }
      for index in 0..<min(SpaceEntry.entriesPerLeaf, unitCount - Int(unit)) {
        kinds[Int(unit) + index] =
          SpaceEntry(
            bytes: memory.bytes,
            offset: pointer.page.offset + PageHeader.byteCount + index * SpaceEntry.byteCount
          ).kind
      }
    }
  }
}

/// All hashes that begin with the same bits.
struct HashRange: Sendable {
  var first: UInt64
  var last: UInt64

  static let all = HashRange(prefix: 0, depth: 0)

  init(prefix: UInt64, depth: Int) {
    first = prefix
    last = depth == 0 ? .max : prefix | (UInt64.max >> UInt64(depth))
  }

  func contains(_ hash: UInt64) -> Bool { hash >= first && hash <= last }
}

extension HashRange: CustomStringConvertible {
  var description: String {
    first == 0 && last == .max ? "all keys" : "keys with hashes \(first.hexadecimal) to \(last.hexadecimal)"
  }
}
