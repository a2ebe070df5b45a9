@testable import KVMap

/// Changes files like an attacker who can compute checksums: numbers near the limits of their
/// types, references to any place, records of any kind, all with right checksums and chains.
struct Forger {
  let image: Image
  private let block: Superblock
  private let indexPages: [PageNumber]
  private let records: [Int]

  init(_ image: Image) throws {
    self.image = image
    let block = try SuperblockPair(image.bytes).current().block
    self.block = block
    indexPages = image.pages.map { PageNumber(number: UInt64($0)) }.filter {
      let header = PageHeader(bytes: image.bytes, page: $0)
      return (1...5).contains(header.kindByte) && header.isIntact(seed: block.seed)
    }
    records = indexPages.flatMap { page -> [Int] in
      guard PageHeader(bytes: image.bytes, page: page).kindByte <= PageKind.overflow.rawValue else {
        return []
      }
      let bucket = Bucket(bytes: image.bytes, page: page)
      return (1...Bucket.lineCount).flatMap { line in
        (0..<Bucket.slotsPerLine).map { bucket.load(line: line, slot: $0) }
      }.filter { !$0.isEmpty }.map { Int($0.position.offset) }
    }
  }

  /// Changes one to three things.
  func forge(_ random: inout some RandomNumberGenerator) {
    for _ in 0..<1 + random.below(3) { forgeOne(&random) }
  }

  func forgeOne(_ random: inout some RandomNumberGenerator) {
    switch random.below(8) {
    case 0, 1: forgeSuperblock(&random)
    case 2, 3, 4: forgePage(&random)
    case 5: forgeSegment(&random)
    case 6: forgeRecord(&random)
    default: forgeLog(&random)
    }
  }

  // MARK: Numbers

  /// A number that may do harm in place of `old`.
  private func number(_ old: UInt64, _ random: inout some RandomNumberGenerator) -> UInt64 {
    let units = UInt64(image.length / Layout.unitBytes)
    let edges: [UInt64] = [
      0, 1, 2, 3, 47, 48, 63, 64, 255, 256, 4_095, 65_535, 65_536, 1 << 17, 1 << 24, 1 << 32, 1 << 34,
      1 << 38, 1 << 40, 1 << 46, 1 << 47, 1 << 50, 1 << 52, 1 << 56, 1 << 62, 1 << 63, .max, units,
      units * 16,
      units * 65_536, units * 8_192, block.epoch.number, block.sequence.number, block.logPosition.offset,
      block.segment.number, block.root.page.number, block.spaceRoot.page.number,
    ]
    switch random.below(6) {
    case 0: return edges[random.below(edges.count)]
    case 1: return edges[random.below(edges.count)] &- UInt64(random.below(40)) &+ UInt64(random.below(20))
    case 2: return old &+ UInt64(random.below(64)) &- 32
    case 3: return old ^ 1 << UInt64(random.below(64))
    case 4: return UInt64(random.below(Int(units) * 16))
    default: return random.next() >> UInt64(random.below(64))
    }
  }

  /// A reference to another page, or to the same one with another depth or epoch.
  private func pointer(_ old: UInt64, _ random: inout some RandomNumberGenerator) -> UInt64 {
    var bits = old
    let page = indexPages[random.below(indexPages.count)]
    switch random.below(5) {
    case 0: return number(old, &random)
    case 1: bits = bits & ~0xff_ffff_ffff | page.number
    case 2: bits = bits & ~(0xff << 40) | UInt64(random.below(random.below(8) == 0 ? 256 : 66)) << 40
    case 3: bits = bits & ~(0xffff << 48) | UInt64(block.epoch.next.tag) << 48
    default:
      let epoch = PageHeader(bytes: image.bytes, page: page).epoch
      bits = PagePointer(page: page, depth: random.below(65), epoch: epoch).bits
    }
    return bits
  }

  // MARK: Superblocks

  private func forgeSuperblock(_ random: inout some RandomNumberGenerator) {
    // Mostly the fields between features and checksum.
    let field = (random.below(12) == 0 ? random.below(31) : 8 + random.below(11)) * 8
    let old = image.bytes.load64(field)
    let isPointer = field == Superblock.root || field == Superblock.spaceRoot
    let new = isPointer ? pointer(old, &random) : number(old, &random)
    let which = random.below(3)
    for (index, start) in SuperblockPair.offsets.enumerated()
    where which != index {
      image.bytes.store64(new, start + field)
      let sum = Checksum.compute(
        image.bytes, start, count: Superblock.checksum, seed: StoreSeed(low: 0, high: 0), place: 0)
      image.bytes.store64(sum, start + Superblock.checksum)
    }
  }

  // MARK: Pages

  private func forgePage(_ random: inout some RandomNumberGenerator) {
    let page = indexPages[random.below(indexPages.count)]
    let header = PageHeader(bytes: image.bytes, page: page)
    let kind = PageKind(rawValue: header.kindByte)
    switch random.below(8) {
    case 0: image.bytes.store8(UInt8(random.below(7)), page.offset + PageHeader.kind)
    case 1: image.bytes.store8(UInt8(random.below(70)), page.offset + PageHeader.depth)
    case 2:
      let isNext = random.below(2) == 0
      header.setEpoch(isNext ? block.epoch.next : Epoch(number: number(header.epoch.number, &random)))
    case 3: image.bytes.store64(number(header.prefix, &random), page.offset + PageHeader.prefix)
    case 4:
      // Most of these chains have no end.
      let next = random.below(3) == 0 ? number(0, &random) : indexPages[random.below(indexPages.count)].number
      header.overflow = PageNumber(number: random.below(3) == 0 ? page.number : next)
    default: forgeContent(page, kind, &random)
    }
    header.seal(seed: block.seed)
  }

  private func forgeContent(
    _ page: PageNumber, _ kind: PageKind?, _ random: inout some RandomNumberGenerator
  ) {
    let content = page.offset + PageHeader.byteCount
    switch kind {
    case .directory, .spaceNode:
      let first = random.below(NodePage.entryCount)
      let count = random.below(3) == 0 ? NodePage.entryCount - first : 1 + random.below(2)
      let bits = pointer(image.bytes.load64(content + 8 * first), &random)
      for entry in first..<min(first + count, NodePage.entryCount) {
        image.bytes.store64(bits, content + 8 * entry)
      }
    case .spaceLeaf:
      let entry = content + SpaceEntry.byteCount * random.below(random.below(2) == 0 ? 60 : 126)
      switch random.below(4) {
      case 0: image.bytes.store8(UInt8(random.below(8)), entry)
      case 1: image.bytes.store32(UInt32(truncatingIfNeeded: number(16, &random)), entry + SpaceEntry.length)
      default:
        let word = entry + 8 * random.below(4)
        image.bytes.store64(number(image.bytes.load64(word), &random), word)
      }
    default:
      let word = content + 8 * random.below(Bucket.slotCount)
      let old = image.bytes.load64(word)
      let new =
        random.below(3) == 0 && !records.isEmpty
        ? old & 0xffff << 48 | UInt64(records[random.below(records.count)] / 8) : number(old, &random)
      image.bytes.store64(new, word)
    }
  }

  // MARK: Log

  private func forgeSegment(_ random: inout some RandomNumberGenerator) {
    let start = Int(block.segment.position.offset)
    let word = start + 8 + 8 * random.below(3)
    image.bytes.store64(number(image.bytes.load64(word), &random), word)
    sealSegment(start)
  }

  private func sealSegment(_ start: Int) {
    let sum = Checksum.compute(image.bytes, start, count: 56, seed: block.seed, place: UInt64(start))
    image.bytes.store64(sum, start + 56)
  }

  /// Changes a record that the index points to.
  private func forgeRecord(_ random: inout some RandomNumberGenerator) {
    if records.isEmpty { return }
    let start = records[random.below(records.count)]
    let word = start + 8 + 8 * random.below(6)
    switch random.below(3) {
    case 0: image.bytes.store8(UInt8(random.below(256)), start + 8)
    case 1: image.bytes.store64(UInt64(random.below(66_000)) << 17 | UInt64(random.below(70_000)), start + 16)
    default: image.bytes.store64(number(image.bytes.load64(word), &random), word)
    }
    _ = sealRecord(start, chain: 0)
  }

  /// Sets checksum and chain of the record at `start`, and returns the chain after it.
  private func sealRecord(_ start: Int, chain: UInt64) -> UInt64? {
    let head = RecordHeader(image.bytes, at: start)
    guard head.contentBytes <= image.length - start else { return nil }
    let sum = head.computeChecksum(image.bytes, at: start, seed: block.seed)
    let next = Checksum.chain(chain, sum)
    image.bytes.store64(UInt64(sum) | UInt64(UInt32(truncatingIfNeeded: next)) << 32, start)
    return next
  }

  /// Writes a log of records of any kind after the checkpoint.
  private func forgeLog(_ random: inout some RandomNumberGenerator) {
    var at = Int(block.logPosition.offset)
    var chain = block.chain
    var sequence = block.sequence.number
    let end = Int(block.segment.position.offset) + Layout.segmentBytes
    // Sometimes up to the end of the segment.
    if random.below(4) == 0, let long = filler(at, upTo: end, sequence, chain, &random) {
      (at, chain) = long
      sequence += 1
    }
    for _ in 0..<random.below(12) {
      let kind = UInt8([1, 1, 1, 2, 3, 4, 5, 5, 0, 6][random.below(10)])
      let flags = UInt8(random.below(32)) << 3 | (random.below(3) == 0 ? 0 : 8)
      let keyLength = random.below(20) == 0 ? random.below(70_000) : random.below(12)
      let valueLength =
        random.below(8) == 0
        ? Int(number(8, &random) & (1 << 46)) : [0, 8, 16, random.below(90)][random.below(4)]
      if kind == 5, random.below(2) == 0 { sequence += Layout.sequenceJump }
      let head = RecordHeader(
        kind: .put, flags: RecordHeader.Flags(rawValue: flags), sequence: SequenceNumber(number: sequence),
        keyLength: keyLength, valueLength: valueLength)
      guard head.storedBytes <= end - at else { break }
      use(at, head.storedBytes)
      image.bytes.store64(sequence << 8 | UInt64(flags | kind), at + 8)
      image.bytes.store64(UInt64(valueLength) << 17 | UInt64(keyLength), at + 16)
      fillIn(head, kind, at, &random)
      guard let next = sealRecord(at, chain: chain) else { break }
      chain = next
      sequence += 1
      at += head.storedBytes
    }
  }

  private func fillIn(
    _ head: RecordHeader, _ kind: UInt8, _ at: Int, _ random: inout some RandomNumberGenerator
  ) {
    if head.flags.contains(.external) {
      let units = image.length / Layout.unitBytes
      let extent =
        random.below(4) == 0
        ? Int(truncatingIfNeeded: number(0, &random)) : random.below(units) * Layout.unitBytes
      image.bytes.store64(UInt64(truncatingIfNeeded: extent), at + head.externalOffset)
      if extent >= 0, extent < image.length, head.valueLength <= image.length - extent {
        let sum = Checksum.compute(
          image.bytes, extent, count: head.valueLength, seed: block.seed, place: UInt64(extent))
        image.bytes.store64(sum, at + head.externalOffset + 8)
      }
    }
    if let old = records.first, head.keyLength > 0, head.keyLength < 16 {
      // A key that is there already, if it has this length.
      let known = RecordHeader(image.bytes, at: records[random.below(records.count)])
      if known.keyLength == head.keyLength {
        image.bytes.copy(from: old + known.keyOffset, to: at + head.keyOffset, count: head.keyLength)
      }
    }
    if kind == RecordKind.link.rawValue, head.valueLength == 8, !head.flags.contains(.external) {
      forgeLink(at, head, &random)
    }
  }

  /// Writes a LINK, with or without a segment where it points.
  private func forgeLink(_ at: Int, _ head: RecordHeader, _ random: inout some RandomNumberGenerator) {
    guard let header = SegmentHeader(image.bytes, at: Int(block.segment.position.offset), seed: block.seed)
    else { return }
    let target = random.below(3) == 0 ? number(0, &random) : header.next.position.offset
    image.bytes.store64(target, at + head.valueOffset)
    guard target % UInt64(Layout.unitBytes) == 0, target < UInt64(image.length - Layout.unitBytes),
      random.below(4) != 0
    else { return }
    use(Int(target), 64)
    SegmentHeader(
      ordinal: header.ordinal + 1, next: Unit(number: number(target >> 16, &random)),
      sequence: head.sequence.next
    ).encode(image.bytes, at: Int(target), seed: block.seed)
  }

  /// Records that leave just a few bytes of the segment free.
  private func filler(
    _ start: Int, upTo end: Int, _ sequence: UInt64, _ chain: UInt64,
    _ random: inout some RandomNumberGenerator
  ) -> (Int, UInt64)? {
    // The superblock gets a log position near the segment's end, so that one record is enough.
    let at = end - 8 * (4 + random.below(20))
    for block in SuperblockPair.offsets {
      image.bytes.store64(UInt64(at), block + Superblock.logPosition)
      let sum = Checksum.compute(
        image.bytes, block, count: Superblock.checksum, seed: StoreSeed(low: 0, high: 0), place: 0)
      image.bytes.store64(sum, block + Superblock.checksum)
    }
    return (at, chain)
  }

  private func use(_ start: Int, _ count: Int) {
    for page in start / Image.pageBytes...(start + count) / Image.pageBytes
    where (page + 1) * Image.pageBytes <= image.length {
      image.use(page)
    }
  }
}

extension RandomNumberGenerator {
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}
