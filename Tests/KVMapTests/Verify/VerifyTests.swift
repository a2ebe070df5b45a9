import Foundation
import TestSupport
import Testing

@testable import KVMap

/// What `verify` reports of damaged stores, also of those that cannot be opened.
@Suite(.timeLimit(.minutes(5)))
struct VerifyTests {
  /// The faults of `bytes`. Checks that they stay as they are, and that no fault is reported twice.
  private func verify(
    _ bytes: Data, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String] {
    let scratch = try Scratch()
    try write(bytes, to: scratch.path())
    let report = try Store.verify(scratch.path())
    #expect(try contents(scratch.path()) == bytes, comment, sourceLocation: sourceLocation)
    let faults = report.faults.map(\.description)
    #expect(Set(faults).count == faults.count, comment, sourceLocation: sourceLocation)
    #expect(report.isSound == faults.isEmpty, comment, sourceLocation: sourceLocation)
    return faults
  }

  /// Checks that these repairs are announced, and that the first opening for writing makes them
  /// and loses nothing.
  private func expectRepairs(
    _ expected: [String], of bytes: Data, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let scratch = try Scratch()
    try write(bytes, to: scratch.path())
    let report = try Store.verify(scratch.path())
    let repairs = report.repairs.map(\.description)
    #expect(report.isSound && repairs.count == expected.count, comment, sourceLocation: sourceLocation)
    for (repair, beginning) in zip(repairs, expected) {
      #expect(repair.hasPrefix(beginning), comment, sourceLocation: sourceLocation)
      #expect(
        repair.hasSuffix("the other one is used; will be repaired on opening for writing"), comment,
        sourceLocation: sourceLocation)
    }
    let before = try scratch.store { $0.access = .readOnly }.everything()
    try scratch.store().close()
    let after = try Store.verify(scratch.path())
    #expect(after.isSound && after.repairs.isEmpty, comment, sourceLocation: sourceLocation)
    #expect(after.recordCount == report.recordCount, comment, sourceLocation: sourceLocation)
    #expect(try scratch.store().everything() == before, comment, sourceLocation: sourceLocation)
  }

  /// A power failure may leave it in the middle of a checkpoint.
  @Test(arguments: [0, 60]) func aTornSuperblockWillBeRepaired(recent: Int) throws {
    let bytes = try sample(recent).bytes
    for (place, offset) in [("0x0", 0), ("0x10000", 65_536)] {
      let beginning = "superblock at \(place): its checksum does not match; "
      try expectRepairs([beginning], of: flipped(bytes, offset + 100))
      for length in [8, 100, 248] {
        var torn = bytes
        torn.replaceSubrange(offset + length..<offset + 256, with: Data(count: 256 - length))
        try expectRepairs([beginning], of: torn, "\(length) bytes at \(place)")
      }
      var gone = bytes
      gone.replaceSubrange(offset..<offset + 256, with: Data(count: 256))
      try expectRepairs(["superblock at \(place): it is not one; "], of: gone)
    }
  }

  private func flipped(_ bytes: Data, _ offsets: Int...) -> Data {
    var bytes = bytes
    for offset in offsets { bytes[offset] ^= 1 }
    return bytes
  }

  private func sample(_ recent: Int) throws -> SalvageSample {
    try #require(SalvageTests.samples[recent])
  }

  @Test(arguments: [0, 60]) func aSoundStoreHasNoFault(recent: Int) throws {
    #expect(try verify(sample(recent).bytes) == [])
  }

  @Test func withoutSuperblocksBothAreNamed() throws {
    let faults = try verify(flipped(sample(60).bytes, 100, 65_636))
    #expect(faults.count == 2, "\(faults)")
    #expect(faults.first?.hasPrefix("superblock at 0x0: its checksum does not match; without it") == true)
    #expect(faults.last?.hasPrefix("superblock at 0x10000: its checksum does not match; without it") == true)
  }

  @Test func superblocksOfTwoStoresAreNamed() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    var bytes = try sample(0).bytes
    bytes.replaceSubrange(0..<256, with: try contents(scratch.path())[0..<256])
    let faults = try verify(bytes)
    #expect(faults == ["superblock at 0x10000: it belongs to another store than the first one"])
  }

  @Test func anOldSuperblockWillBeRepaired() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let old = try contents(scratch.path())[0..<256]
    for _ in 0..<3 {
      try store.put("value", forKey: "key")
      try store.checkpoint()
    }
    try store.close()
    var bytes = try contents(scratch.path())
    try expectRepairs([], of: bytes)
    let new = bytes[0..<256]
    bytes.replaceSubrange(0..<256, with: old)
    try expectRepairs(["superblock at 0x0: it is of checkpoint 1, the other one of "], of: bytes)
    // The checkpoint was interrupted after the first superblock.
    bytes.replaceSubrange(0..<256, with: new)
    bytes.replaceSubrange(65_536..<65_792, with: old)
    try expectRepairs(["superblock at 0x10000: it is of checkpoint 1, the other one of "], of: bytes)
  }

  /// Opening stops at the damaged log. The damage elsewhere is named all the same.
  @Test func aStoreThatCannotBeOpenedIsCheckedAsAWhole() throws {
    let sample = try sample(60)
    let log = Int(sample.block.logPosition.offset)
    let bucket = try firstBucket(sample)
    let record = try #require(
      sample.places.values.compactMap(\.first).filter { $0.upperBound < log }.max {
        $0.lowerBound < $1.lowerBound
      })
    let large = try #require(
      sample.places.values.filter { $0.count == 2 && $0[0].upperBound < log }.first
    ).last!
    let bytes = flipped(
      sample.bytes, 100, log + 30, bucket + 100, record.upperBound - 1, large.lowerBound + 1_000)
    let faults = try verify(bytes)
    func has(_ place: String, _ meaning: String) {
      #expect(
        faults.contains { $0.hasPrefix(place) && $0.contains(meaning) }, "\(place), \(meaning): \(faults)")
    }
    has("superblock at 0x0", "the other one is used")
    has("index page at \(UInt64(bucket).hexadecimal)", "keys")
    has("record at \(UInt64(log).hexadecimal)", "those that follow it do not count")
    #expect(faults.count >= 3 && faults.count <= 5, "\(faults)")
  }

  @Test func aDamagedSegmentHeaderIsNamed() throws {
    let sample = try sample(0)
    let offset = Int(sample.block.segment.position.offset)
    let faults = try verify(flipped(sample.bytes, offset + 9))
    #expect(faults.contains { $0.hasPrefix("log segment at \(UInt64(offset).hexadecimal)") }, "\(faults)")
    // Opening does not need an earlier segment.
    let earlier = try #require(
      (3..<sample.bytes.count / Layout.unitBytes).map { $0 * Layout.unitBytes }.first {
        $0 != offset
          && sample.bytes[$0..<$0 + 8].elementsEqual([0, 0x4b, 0x56, 0x4d, 0x53, 0x45, 0x47, 0x50])
      })
    let others = try verify(flipped(sample.bytes, earlier + 9))
    #expect(others.count == 1 && others[0].hasPrefix("log segment at"), "\(others)")
  }

  @Test func aCutFileIsNamed() throws {
    let sample = try sample(0)
    let used = Int(sample.block.highWater.number) * Layout.unitBytes
    let faults = try verify(sample.bytes.prefix(used - 100_000))
    #expect(faults.first?.hasPrefix("file at \(UInt64(used - 100_000).hexadecimal): it ends here") == true)
    for length in [8, 300, 70_000, 140_000] {
      #expect(try !verify(sample.bytes.prefix(length), "\(length) bytes").isEmpty)
    }
  }

  /// Each page of the index, the space table and the superblocks is reported, and none traps.
  @Test func anyPageMayBeZeros() throws {
    let sample = try sample(60)
    for offset in stride(from: 0, to: sample.bytes.count, by: Layout.pageBytes) {
      let unit = offset / Layout.unitBytes
      if unit > 3, !sample.indexUnits.contains(unit), offset % (16 * Layout.pageBytes) != 0 { continue }
      var bytes = sample.bytes
      let end = min(offset + Layout.pageBytes, bytes.count)
      if bytes[offset..<end].allSatisfy({ $0 == 0 }) { continue }
      bytes.replaceSubrange(offset..<end, with: Data(count: end - offset))
      let faults = try verify(bytes, "page at \(offset)")
      if unit < 2 {
        #expect(faults.isEmpty)
        try expectRepairs(["superblock at "], of: bytes, "page at \(offset)")
      }
    }
  }

  private func firstBucket(_ sample: SalvageSample) throws -> Int {
    let scratch = try Scratch()
    try write(sample.bytes, to: scratch.path())
    let view = try SourceView(Opening(path: scratch.path(), options: Store.Options(), clock: .system))
    let root = NodePage(bytes: view.memory.bytes, page: sample.block.root.page)
    return root[0].page.offset
  }
}
