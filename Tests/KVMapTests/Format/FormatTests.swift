import TestSupport
import Testing

@testable import KVMap

/// The bytes of each structure of the file, written out by hand, so that the format does not
/// change by accident.
struct FormatTests {
  /// Writes `value` at an offset.
  private func place<Number: FixedWidthInteger>(_ value: Number, _ offset: Int, _ bytes: inout [UInt8]) {
    for index in 0..<Number.bitWidth / 8 {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Number(8 * index))
    }
  }

  private let seed = StoreSeed(low: 0x1111_2222_3333_4444, high: 0x5555_6666_7777_8888)

  @Test func layout() {
    #expect(Layout.pageBytes == 4096)
    #expect(Layout.unitBytes == 65_536)
    #expect(Layout.superblockOffsets == (0, 65_536))
    #expect(Layout.liveOffset == 131_072)
    #expect(Layout.firstFreeUnit == 3)
    #expect(Layout.segmentBytes == 1_048_576)
    #expect(Layout.largestKey == 65_536)
    #expect(Layout.largestInlineValue == 65_536)
    #expect(Layout.version == 2)
    #expect(Layout.sequenceJump == 16_777_216)
  }

  @Test func superblock() throws {
    var block = Superblock(identifier: (0x0102_0304_0506_0708, 0x1112_1314_1516_1718), seed: seed)
    block.compatibleFeatures = 0xc0
    block.readOnlyCompatibleFeatures = 0xc1
    block.epoch = Epoch(number: 77)
    block.root = PagePointer(page: PageNumber(number: 50), depth: 2, epoch: Epoch(number: 76))
    block.recordCount = 1_000
    block.liveBytes = 123_456
    block.spaceRoot = PagePointer(page: PageNumber(number: 51), depth: 1, epoch: Epoch(number: 77))
    block.highWater = Unit(number: 100)
    block.logPosition = Position(offset: 20 * 65_536 + 64)
    block.sequence = SequenceNumber(number: 4_000)
    block.chain = 0xdead_beef_0bad_cafe
    block.segment = Unit(number: 20)
    block.indexPages = 33
    let buffer = ByteBuffer(count: 4096)
    block.encode(buffer.bytes, at: 0)

    var expected = [UInt8](repeating: 0, count: 256)
    expected.replaceSubrange(0..<8, with: [0x89, 0x4b, 0x56, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a])
    place(UInt32(2), 8, &expected)
    place(UInt32(4096), 12, &expected)
    place(UInt32(0xc0), 16, &expected)
    place(UInt32(0xc1), 20, &expected)
    place(UInt32(0), 24, &expected)
    place(UInt64(0x0102_0304_0506_0708), 32, &expected)
    place(UInt64(0x1112_1314_1516_1718), 40, &expected)
    place(UInt64(0x1111_2222_3333_4444), 48, &expected)
    place(UInt64(0x5555_6666_7777_8888), 56, &expected)
    place(UInt64(77), 64, &expected)
    place(UInt64(50 | 2 << 40 | 76 << 48), 72, &expected)
    place(UInt64(1_000), 80, &expected)
    place(UInt64(123_456), 88, &expected)
    place(UInt64(51 | 1 << 40 | 77 << 48), 96, &expected)
    place(UInt64(100), 104, &expected)
    place(UInt64(20 * 65_536 + 64), 112, &expected)
    place(UInt64(4_000), 120, &expected)
    place(0xdead_beef_0bad_cafe as UInt64, 128, &expected)
    place(UInt64(20), 136, &expected)
    place(UInt64(33), 144, &expected)
    #expect(Array(buffer.array(0..<248)) == Array(expected[..<248]))
    let zero = StoreSeed(low: 0, high: 0)
    #expect(buffer.bytes.load64(248) == Checksum.compute(buffer.bytes, 0, count: 248, seed: zero, place: 0))
    #expect(try Superblock.decode(buffer.bytes, at: 0).get() == block)
  }

  /// Each kind of unusable superblock is distinguished, and the change of any bit is noticed.
  @Test func superblockProblems() throws {
    let store = try Store.inMemory()
    let buffer = ByteBuffer(count: 4096)
    func reset() { buffer.bytes.copy(store.core.memory.bytes.span(0, count: 256), to: 0) }
    func problem() -> Superblock.Problem? {
      if case .failure(let problem) = Superblock.decode(buffer.bytes, at: 0) { problem } else { nil }
    }
    func seal() {
      let zero = StoreSeed(low: 0, high: 0)
      buffer.bytes.store64(Checksum.compute(buffer.bytes, 0, count: 248, seed: zero, place: 0), 248)
    }
    reset()
    #expect(problem() == nil)
    for bit in 0..<256 * 8 {
      reset()
      buffer.bytes.store8(buffer.bytes.load8(bit / 8) ^ 1 << UInt8(bit % 8), bit / 8)
      #expect(problem() != nil, "bit \(bit)")
      if bit < 64 { #expect(problem() == .foreign) }
    }
    reset()
    buffer.bytes.store32(3, 8)
    #expect(problem() == .perhapsNewer(3), "a newer version may have another checksum")
    seal()
    #expect(problem() == .newer(3))
    reset()
    buffer.bytes.store32(1, 8)
    seal()
    #expect(problem() == nil)
    buffer.bytes.store32(0, 8)
    seal()
    #expect(problem() == .damaged)
    reset()
    buffer.bytes.store32(0x8000_0000, 24)
    seal()
    #expect(problem() == .features(0x8000_0000))
    // Numbers that make no sense are not trusted, though the checksum is right.
    let nonsense: [(Int, UInt64)] = [
      (64, 1 << 62), (72, .max), (72, 1 << 40 | 1 << 39), (72, 52), (80, .max), (88, .max), (96, .max),
      (96, 1 << 40 | 1 << 39), (104, 0), (104, 3), (104, .max), (112, 0), (112, .max), (112, 4 * 65_536 + 68),
      (120, 1 << 56), (136, 0), (136, .max), (136, 1 << 48), (144, .max),
    ]
    for (offset, value) in nonsense {
      reset()
      buffer.bytes.store64(value, offset)
      seal()
      #expect(problem() == .damaged, "\(value) at \(offset)")
    }
  }

  @Test func recordHead() {
    let buffer = ByteBuffer(count: 4096)
    let head = RecordHeader(
      kind: .put, flags: [.end, .expires, .versioned], sequence: SequenceNumber(number: 0x00ab_cdef),
      keyLength: 65_536, valueLength: 0x1_2345_6789)
    head.encodeOrder(buffer.bytes, at: 64)
    var expected = [UInt8](repeating: 0, count: 24)
    place(UInt64(0x00ab_cdef) << 8 | 0b0110_1001, 8, &expected)
    place(UInt64(0x1_2345_6789) << 17 | 65_536, 16, &expected)
    #expect(buffer.array(64..<88) == expected)
    #expect(RecordHeader(buffer.bytes, at: 64) == head)
    #expect(head.expiryOffset == 24)
    #expect(head.versionOffset == 32)
    #expect(head.keyOffset == 40)
    #expect(head.valueOffset == 40 + 65_536)
  }

  @Test func recordFlagsAndKinds() {
    #expect(RecordHeader.Flags.kindMask == 0x07)
    #expect(RecordHeader.Flags.end.rawValue == 0x08)
    #expect(RecordHeader.Flags.synced.rawValue == 0x10)
    #expect(RecordHeader.Flags.expires.rawValue == 0x20)
    #expect(RecordHeader.Flags.versioned.rawValue == 0x40)
    #expect(RecordHeader.Flags.external.rawValue == 0x80)
    let kinds: [RecordKind] = [.put, .delete, .move, .link, .cut]
    #expect(kinds.map(\.rawValue) == [1, 2, 3, 4, 5])
    // The places of the optional fields, for all combinations.
    for bits in 0..<8 {
      var flags: RecordHeader.Flags = []
      if bits & 1 != 0 { flags.insert(.expires) }
      if bits & 2 != 0 { flags.insert(.versioned) }
      if bits & 4 != 0 { flags.insert(.external) }
      let head = RecordHeader(
        kind: .put, flags: flags, sequence: SequenceNumber(number: 1), keyLength: 3, valueLength: 100_000)
      let extra = (bits & 1) * 8 + (bits & 2) * 4 + (bits & 4) * 4
      #expect(head.keyOffset == 24 + extra)
      #expect(head.contentBytes == 24 + extra + 3 + (bits & 4 != 0 ? 0 : 100_000))
      #expect(head.storedBytes % 8 == 0 && head.storedBytes - head.contentBytes < 8)
      #expect(head.externalOffset == 24 + (bits & 1) * 8 + (bits & 2) * 4)
    }
  }

  @Test func segmentHeader() {
    let buffer = ByteBuffer(count: 256)
    let header = SegmentHeader(
      ordinal: 9, next: Unit(number: 0x1234), sequence: SequenceNumber(number: 0x5678_9abc))
    header.encode(buffer.bytes, at: 64, seed: seed)
    var expected = [UInt8](repeating: 0, count: 56)
    expected.replaceSubrange(0..<8, with: [0, 0x4b, 0x56, 0x4d, 0x53, 0x45, 0x47, 0x50])
    place(UInt64(9), 8, &expected)
    place(UInt64(0x1234), 16, &expected)
    place(UInt64(0x5678_9abc), 24, &expected)
    #expect(buffer.array(64..<120) == expected)
    #expect(
      buffer.bytes.load64(120) == Checksum.compute(buffer.bytes, 64, count: 56, seed: seed, place: 64))
    #expect(SegmentHeader(buffer.bytes, at: 64, seed: seed) == header)
    // The same bytes at another place are no header.
    buffer.bytes.copy(from: 64, to: 128, count: 64)
    #expect(SegmentHeader(buffer.bytes, at: 128, seed: seed) == nil)
  }

  @Test func pageHeaderAndPointer() {
    let buffer = ByteBuffer(count: 3 * 4096)
    let header = PageHeader(bytes: buffer.bytes, page: PageNumber(number: 2))
    header.format(kind: .bucket, depth: 5, epoch: Epoch(number: 0x1_2345), prefix: 0xf800_0000_0000_0000)
    header.overflow = PageNumber(number: 99)
    header.seal(seed: seed)
    var expected = [UInt8](repeating: 0, count: 64)
    place(Checksum.compute(buffer.bytes, 8192 + 8, count: 4088, seed: seed, place: 2), 0, &expected)
    expected[8] = 1
    expected[9] = 5
    place(UInt64(0x1_2345), 16, &expected)
    place(0xf800_0000_0000_0000 as UInt64, 24, &expected)
    place(UInt64(99), 32, &expected)
    #expect(buffer.array(8192..<8256) == expected)
    #expect(header.isIntact(seed: seed))
    buffer.bytes.store8(1, 8192 + 4095)
    #expect(!header.isIntact(seed: seed))

    let kinds: [PageKind] = [.bucket, .overflow, .directory, .spaceLeaf, .spaceNode]
    #expect(kinds.map(\.rawValue) == [1, 2, 3, 4, 5])
    let pointer = PagePointer(
      page: PageNumber(number: 0x89_abcd_ef01), depth: 7, epoch: Epoch(number: 0x1_2345))
    #expect(pointer.bits == 0x2345_0789_abcd_ef01)
    #expect(pointer.page.number == 0x89_abcd_ef01)
    #expect(pointer.depth == 7)
    #expect(pointer.epochTag == 0x2345)
    #expect(NodePage(bytes: buffer.bytes, page: PageNumber(number: 2)).offset(of: 3) == 8192 + 64 + 24)
  }

  @Test func slots() {
    let slot = Slot(tag: 0xbeef, position: Position(offset: 0x1234_5678 * 8))
    #expect(slot.bits == 0xbeef_0000_1234_5678)
    let pending = Slot(tag: 0xbeef, position: Position(offset: 0x1234_5678 * 8), pending: true)
    #expect(pending.bits == 0xbeef_8000_1234_5678)
    #expect(pending.isPending && !slot.isPending)
    #expect(pending.published == slot && pending.position == slot.position && pending.tag == slot.tag)
    #expect(Slot.empty.isEmpty && !slot.isEmpty)
    #expect(
      Slot(tag: 1, position: Position(offset: Layout.largestFile - 8)).position.offset == Layout.largestFile
        - 8)
    let buffer = ByteBuffer(count: 4096)
    let bucket = Bucket(bytes: buffer.bytes, page: PageNumber(number: 0))
    #expect(bucket.offset(line: 1, slot: 0) == 64)
    #expect(bucket.offset(line: 63, slot: 7) == 4088)
  }

  @Test func spaceEntry() {
    let buffer = ByteBuffer(count: 64)
    let entry = SpaceEntry(bytes: buffer.bytes, offset: 32)
    entry.reset(.index, length: 1)
    entry.used = 0x8001
    entry.releasedBefore = 0x0700
    entry.releasedLately = 0x0030
    entry.live = 0x0012_3456
    entry.epochBefore = Epoch(number: 41)
    entry.epoch = Epoch(number: 42)
    var expected = [UInt8](repeating: 0, count: 32)
    expected[0] = 2
    place(UInt16(0x8001), 2, &expected)
    place(UInt16(0x0700), 4, &expected)
    place(UInt16(0x0030), 6, &expected)
    place(UInt32(1), 8, &expected)
    place(UInt32(0x0012_3456), 12, &expected)
    place(UInt64(41), 16, &expected)
    place(UInt64(42), 24, &expected)
    #expect(buffer.array(32..<64) == expected)
    let kinds: [UnitKind] = [.free, .fixed, .index, .segment, .extent, .continuation]
    #expect(kinds.map(\.rawValue) == [0, 1, 2, 3, 4, 5])
  }
}
