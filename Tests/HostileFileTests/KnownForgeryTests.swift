import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Forgeries that trapped, hung, filled the disk or changed a file that was refused. Each has
/// right checksums, and is the only thing that is wrong.
@Suite(.timeLimit(.minutes(5)))
struct KnownForgeryTests {
  enum Forgery: String, CaseIterable, Codable, Sendable {
    /// The file would grow to a petabyte before anything refused it.
    case nextSegmentFarPastTheEnd
    /// The next ordinal would overflow.
    case ordinalAtItsLimit
    /// A LINK whose value would be past the record and past the file.
    case linkWithLargeValue
    /// After such a record a LINK has no room.
    case recordUpToTheSegmentsEnd
    /// Removing a key subtracts one from zero.
    case noRecordsCounted
    case noIndexPagesCounted
    /// A chain that points back to itself: reading it never ends, and each change copies it.
    case overflowInACircle
    /// Nine pages that claim to be 2^56 buckets.
    case directoryOfItself
    /// A checkpoint reads each child of a changed directory page.
    case childPastTheFile
    /// A page of a future epoch was not checked.
    case pageOfTheFuture
    /// Four billion units would be released.
    case extentWithoutEnd
    /// Opening skips 2^24 numbers.
    case sequenceAtItsLimit
    /// The next epoch would be out of range, and superblocks with it were refused afterwards.
    case epochAtItsLimit
    case liveBytesAtTheirLimit
    /// Compaction read its records from past the file.
    case segmentAtTheEnd
    /// The shared state was taken for a bucket, and changing slots changed its words.
    case bucketInTheSharedState
  }

  @Test(arguments: Forgery.allCases)
  func knownForgeriesAreEndured(_ forgery: Forgery) async throws {
    let directory = try Cage.prepare()
    await #expect(processExitsWith: .success) {
      [directory = directory as String, forgery = forgery as Forgery] in
      try blocking {
        try Cage.run(forgery.rawValue, directory) { cage in
          let store = try HostileStore.closed(in: cage.directory)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          try Self.forge(forgery, store.image)
          for seed in 0..<4 as Range<UInt64> {
            cage.begin("\(forgery.rawValue), seed \(seed)")
            var random = SeededGenerator(seed: seed)
            try examiner.endure(&random)
          }
          try store.image.write(to: examiner.path)
          switch forgery {
          case .nextSegmentFarPastTheEnd, .ordinalAtItsLimit, .sequenceAtItsLimit, .epochAtItsLimit:
            #expect(throws: Store.Error.self) { _ = try Store(examiner.path) }
            #expect(try store.image.difference(from: examiner.path) == nil)
          case .overflowInACircle, .directoryOfItself, .pageOfTheFuture, .bucketInTheSharedState:
            #expect(try !Store.verify(examiner.path).isSound)
          default: break
          }
        }
      }
    }
    Cage.conclude(directory)
  }

  private static func forge(_ forgery: Forgery, _ image: Image) throws {
    let bytes = image.bytes
    let block = try SuperblockPair(bytes).current().block
    let segment = Int(block.segment.position.offset)
    let directory = NodePage(bytes: bytes, page: block.root.page)
    let bucket = directory[0].page
    func write(_ change: (inout Superblock) -> Void) {
      var changed = block
      change(&changed)
      changed.encode(bytes, at: Layout.superblockOffsets.a)
      changed.encode(bytes, at: Layout.superblockOffsets.b)
    }
    func seal(_ page: PageNumber) { PageHeader(bytes: bytes, page: page).seal(seed: block.seed) }
    func writeHeader(_ change: (inout SegmentHeader) -> Void) throws {
      var header = try #require(SegmentHeader(bytes, at: segment, seed: block.seed))
      change(&header)
      header.encode(bytes, at: segment, seed: block.seed)
    }
    switch forgery {
    case .nextSegmentFarPastTheEnd: try writeHeader { $0.next = Unit(number: 1 << 34 - 16) }
    case .ordinalAtItsLimit: try writeHeader { $0.ordinal = .max }
    case .linkWithLargeValue, .recordUpToTheSegmentsEnd:
      try writeLastRecord(image, block, isLink: forgery == .linkWithLargeValue)
    case .noRecordsCounted: write { $0.recordCount = 0 }
    case .noIndexPagesCounted: write { $0.indexPages = 0 }
    case .overflowInACircle:
      let overflow = PageHeader(bytes: bytes, page: bucket).overflow
      PageHeader(bytes: bytes, page: overflow).overflow = overflow
      seal(overflow)
    case .directoryOfItself:
      let header = PageHeader(bytes: bytes, page: directory.page)
      for entry in 0..<NodePage.entryCount {
        directory[entry] = PagePointer(page: directory.page, depth: 8, epoch: header.epoch)
      }
      seal(directory.page)
      write { $0.root = PagePointer(page: block.root.page, depth: 7, epoch: header.epoch) }
    case .childPastTheFile:
      let epoch = PageHeader(bytes: bytes, page: bucket).epoch
      for entry in 0..<4 {
        directory[entry * 64] = PagePointer(
          page: PageNumber(number: PagePointer.largestPage), depth: 8, epoch: epoch)
      }
      seal(directory.page)
    case .pageOfTheFuture:
      let header = PageHeader(bytes: bytes, page: bucket)
      header.setEpoch(Epoch(number: header.epoch.number | 1 << 40))
      bytes.store64(bytes.load64(bucket.offset + 4_000) ^ 1, bucket.offset + 4_000)
    case .extentWithoutEnd:
      let leaf = NodePage(bytes: bytes, page: block.spaceRoot.page)[0].page
      for unit in 0..<SpaceEntry.entriesPerLeaf {
        let entry = SpaceEntry(
          bytes: bytes, offset: leaf.offset + PageHeader.byteCount + unit * SpaceEntry.byteCount)
        if entry.kind == .extent { entry.length = Int(UInt32.max) }
      }
      seal(leaf)
    case .sequenceAtItsLimit: write { $0.sequence.number = 1 << 56 - 1 }
    case .epochAtItsLimit: write { $0.epoch.number = 1 << 62 - 1 }
    case .liveBytesAtTheirLimit: write { $0.liveBytes = Layout.largestFile }
    case .segmentAtTheEnd:
      let leaf = NodePage(bytes: bytes, page: block.spaceRoot.page)[0].page
      let last = UInt64(image.length / Layout.unitBytes) - 1
      let entry = SpaceEntry(
        bytes: bytes, offset: leaf.offset + PageHeader.byteCount + Int(last) * SpaceEntry.byteCount)
      entry.reset(.segment, length: Int(Layout.segmentUnits))
      entry.live = 1_000
      seal(leaf)
      let at = Int(Unit(number: last).position.offset) + SegmentHeader.byteCount
      image.use(at / Image.pageBytes)
      RecordHeader(
        kind: .put, flags: [], sequence: SequenceNumber(number: 5), keyLength: Layout.largestKey,
        valueLength: 0
      ).encodeOrder(bytes, at: at)
      write { $0.highWater = Unit(number: last + 1) }
    case .bucketInTheSharedState:
      for entry in 0..<NodePage.entryCount {
        directory[entry] = PagePointer(
          page: PageNumber(number: UInt64(Layout.liveOffset / Layout.pageBytes)), depth: 0,
          epoch: block.epoch.next)
      }
      seal(directory.page)
    }
  }

  /// What is written to a file with numbers at their limits can be read again.
  @Test func whatIsWrittenAfterLargeNumbersIsRead() async throws {
    let directory = try Cage.prepare()
    await #expect(processExitsWith: .success) { [directory = directory as String] in
      try blocking {
        try Cage.run("large numbers", directory) { cage in
          let original = try HostileStore.closed(in: cage.directory)
          try Self.forge(.liveBytesAtTheirLimit, original.image)
          let path = cage.directory.appending("case")
          try original.image.write(to: path)
          let store = try Store(path)
          for number in 0..<3_000 { try store.put("value", forKey: "new \(number)") }
          try store.close()
          #expect(try Store(path).get("new 2999", as: String.self) == "value")
        }
      }
    }
    Cage.conclude(directory)
  }

  /// A record that fills the last segment of the file to its last byte.
  private static func writeLastRecord(_ image: Image, _ block: Superblock, isLink: Bool) throws {
    let bytes = image.bytes
    // The next segment is the last one of the file.
    let header = try #require(
      SegmentHeader(bytes, at: Int(block.segment.position.offset), seed: block.seed))
    let last = Unit(number: UInt64(image.length / Layout.unitBytes) - Layout.segmentUnits)
    let start = Int(last.position.offset)
    image.use(start / Image.pageBytes)
    SegmentHeader(ordinal: header.ordinal, next: header.next, sequence: block.sequence).encode(
      bytes, at: start, seed: block.seed)
    let at = start + Layout.segmentBytes - (isLink ? 40 : 32)
    image.use(at / Image.pageBytes)
    let flags: RecordHeader.Flags = isLink ? [.end, .external] : [.end]
    let head = RecordHeader(
      kind: isLink ? .link : .put, flags: flags, sequence: block.sequence, keyLength: isLink ? 0 : 8,
      valueLength: isLink ? 8 : 0)
    head.encodeOrder(bytes, at: at)
    if isLink {
      let extent = Int(Layout.firstFreeUnit) * Layout.unitBytes
      bytes.store64(UInt64(extent), at + head.externalOffset)
      let sum = Checksum.compute(bytes, extent, count: 8, seed: block.seed, place: UInt64(extent))
      bytes.store64(sum, at + head.externalOffset + 8)
    }
    let sum = head.computeChecksum(bytes, at: at, seed: block.seed)
    let chain = Checksum.chain(block.chain, sum)
    bytes.store64(UInt64(sum) | UInt64(UInt32(truncatingIfNeeded: chain)) << 32, at)
    var changed = block
    changed.segment = last
    changed.logPosition = Position(offset: UInt64(at))
    changed.highWater = Unit(number: UInt64(image.length / Layout.unitBytes))
    changed.encode(bytes, at: Layout.superblockOffsets.a)
    changed.encode(bytes, at: Layout.superblockOffsets.b)
  }

  // MARK: Two superblocks

  /// Both superblocks are sound, but not of one checkpoint. The one with the higher epoch counts;
  /// with equal epochs the first one; if they are of two stores, neither.
  @Test func twoSuperblocksThatDiffer() throws {
    let directory = FilePath(try Cage.prepare())
    defer { Cage.remove(directory) }
    let store = try HostileStore.closed(in: directory)
    let bytes = store.image.bytes
    let block = try SuperblockPair(bytes).current().block
    func choice(_ change: (inout Superblock) -> Void) throws -> (Superblock, bothAgree: Bool) {
      var second = block
      change(&second)
      block.encode(bytes, at: Layout.superblockOffsets.a)
      second.encode(bytes, at: Layout.superblockOffsets.b)
      return try SuperblockPair(bytes).current()
    }
    let lower = try choice { $0.epoch.number -= 1 }
    #expect(lower.0 == block && !lower.bothAgree)
    let higher = try choice { $0.epoch.number += 1 }
    #expect(higher.0.epoch == block.epoch.next && !higher.bothAgree)
    let other = try choice { $0.recordCount += 1 }
    #expect(other.0 == block && !other.bothAgree)
    #expect(throws: Store.Error.self) { _ = try choice { $0.identifier.0 ^= 1 } }
    #expect(throws: Store.Error.self) { _ = try choice { $0.seed.high ^= 1 } }
    #expect(try choice { _ in }.bothAgree)
  }
}
