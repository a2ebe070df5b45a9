import Foundation
import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// What salvage finds in damaged stores.
@Suite(.timeLimit(.minutes(10)))
struct SalvageTests {
  /// The sample at a checkpoint, and with a log after it.
  static let samples: [Int: SalvageSample] = {
    var samples: [Int: SalvageSample] = [:]
    for recent in [0, 60] { samples[recent] = try? SalvageSample(recent: recent) }
    return samples
  }()

  /// Salvages `bytes`, and checks that they stay as they are.
  @discardableResult
  private func salvage(
    _ bytes: Data, _ sample: SalvageSample, damaged: Range<Int> = 0..<0, _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Store.SalvageReport {
    let scratch = try Scratch()
    try write(bytes, to: scratch.path())
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    #expect(
      try contents(scratch.path()) == bytes, "\(comment): the source has changed",
      sourceLocation: sourceLocation)
    try sample.check(scratch.path("new"), report, damaged: damaged, comment, sourceLocation: sourceLocation)
    #expect(try scratch.names == ["new", "store"], "\(comment)", sourceLocation: sourceLocation)
    return report
  }

  /// Values, versions and expiries are the same, and later versions are higher.
  @Test(arguments: [0, 60])
  func anUndamagedStoreIsSalvagedExactly(recent: Int) throws {
    let sample = try #require(Self.samples[recent])
    let scratch = try Scratch()
    try write(sample.bytes, to: scratch.path())
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    #expect(report.losses.isEmpty, "\(report.losses)")
    #expect(report.faults.isEmpty, "\(report.faults)")
    #expect(report.recordCount == sample.contents.count)
    try sample.check(scratch.path("new"), report, damaged: 0..<0, "undamaged")
    let store = try scratch.store("new")
    try expectSound(store)
    try store.put("newer", forKey: "newer")
    var highest: UInt64 = 0
    var newest: UInt64 = 0
    var cursor = store.makeCursor()
    while let entry = try cursor.next() {
      if entry.key == bytes("newer") { newest = entry.version } else { highest = max(highest, entry.version) }
    }
    #expect(newest > highest)
  }

  /// What cannot be read is listed, nothing else is missing, and no value is wrong.
  @Test(arguments: [0, 60])
  func anyPageMayBeZeros(recent: Int) throws {
    let sample = try #require(Self.samples[recent])
    let used = Int(sample.block.highWater.number) * Layout.unitBytes
    var generator = SeededGenerator(seed: testSeed("anyPageMayBeZeros"))
    for offset in stride(from: 0, to: min(used, sample.bytes.count), by: Layout.pageBytes) {
      let page = sample.bytes[offset..<min(offset + Layout.pageBytes, sample.bytes.count)]
      if page.allSatisfy({ $0 == 0 }) { continue }
      // Most pages are full of one value. Some of them are enough, unless `KVMAP_TEST_SCALE` is set.
      let isIndex = sample.indexUnits.contains(offset / Layout.unitBytes)
      if testScale == 1, !isIndex, offset > 3 * Layout.unitBytes, !generator.chance(15) { continue }
      var bytes = sample.bytes
      bytes.replaceSubrange(offset..<page.endIndex, with: Data(count: page.count))
      try salvage(bytes, sample, damaged: offset..<page.endIndex, "page at \(UInt64(offset).hexadecimal)")
    }
  }

  /// Only the record that the byte belongs to, or refers to, may be missing.
  @Test(arguments: [0, 60])
  func anyByteMayBeWrong(recent: Int) throws {
    let sample = try #require(Self.samples[recent])
    var generator = SeededGenerator(seed: testSeed("anyByteMayBeWrong"))
    let places = sample.bytes.indices.filter { sample.bytes[$0] != 0 }
    for _ in 0..<40 * testScale {
      let place = places[generator.below(places.count)]
      var bytes = sample.bytes
      bytes[place] ^= UInt8(1 << generator.below(8))
      do {
        try salvage(bytes, sample, damaged: place..<place + 1, "byte \(place)")
      } catch let error as Store.Error {
        // The changed byte is the format's version, as of a newer program.
        #expect(error.code == .newerFormat && place % Layout.unitBytes < 32, "byte \(place): \(error)")
      }
    }
  }

  @Test func oneSuperblockIsEnough() throws {
    let sample = try #require(Self.samples[60])
    for offset in SuperblockPair.offsets {
      var bytes = sample.bytes
      bytes.replaceSubrange(offset..<offset + 256, with: Data(count: 256))
      let report = try salvage(bytes, sample, "superblock at \(offset)")
      #expect(report.isComplete)
      #expect(report.faults.count == 1)
    }
  }

  /// Only the seed is needed of them, and not which checkpoint they point to.
  @Test(arguments: [0, 60])
  func withoutSuperblocksTheLogIsEnough(recent: Int) throws {
    let sample = try #require(Self.samples[recent])
    var bytes = sample.bytes
    for offset in SuperblockPair.offsets { bytes[offset + 80] ^= 1 }
    let report = try salvage(bytes, sample, "both checksums")
    #expect(report.isComplete, "\(report.losses)")
    // Each superblock has half of the seed, and nothing else is left of either.
    bytes.replaceSubrange(0..<48, with: Data(count: 48))
    bytes.replaceSubrange(56..<256, with: Data(count: 200))
    bytes.replaceSubrange(65_536..<65_592, with: Data(count: 56))
    bytes.replaceSubrange(65_600..<65_792, with: Data(count: 192))
    #expect(try salvage(bytes, sample, "half a seed in each").isComplete)
    // The whole index is lost too.
    for unit in sample.indexUnits {
      let offset = unit * Layout.unitBytes
      bytes.replaceSubrange(offset..<offset + Layout.unitBytes, with: Data(count: Layout.unitBytes))
    }
    #expect(try salvage(bytes, sample, "neither index").isComplete)
  }

  @Test func withoutASeedNothingCanBeSalvaged() throws {
    let sample = try #require(Self.samples[0])
    let scratch = try Scratch()
    var bytes = sample.bytes
    bytes.replaceSubrange(0..<256, with: Data(count: 256))
    bytes.replaceSubrange(65_536..<65_792, with: Data(count: 256))
    try write(bytes, to: scratch.path())
    #expect(code { try Store.salvage(from: scratch.path(), into: scratch.path("new")) } == .notAStore)
    bytes[0..<8] = sample.bytes[0..<8]
    try write(bytes, to: scratch.path())
    #expect(code { try Store.salvage(from: scratch.path(), into: scratch.path("new")) } == .damaged)
    #expect(try scratch.names == ["store"])
  }

  @Test(arguments: [0, 60])
  func theFileMayEndAnywhere(recent: Int) throws {
    let sample = try #require(Self.samples[recent])
    var generator = SeededGenerator(seed: testSeed("theFileMayEndAnywhere"))
    let step = testScale > 1 ? Layout.pageBytes : 23 * Layout.pageBytes
    for length in stride(from: 0, to: sample.bytes.count, by: step) {
      // At the page's start, and somewhere in it.
      for length in [length, length + generator.below(Layout.pageBytes)] {
        let bytes = sample.bytes.prefix(length)
        if length < 64 {
          let scratch = try Scratch()
          try write(bytes, to: scratch.path())
          #expect(code { try Store.salvage(from: scratch.path(), into: scratch.path("new")) } != nil)
          continue
        }
        do {
          let report = try salvage(Data(bytes), sample, damaged: length..<Int.max, "\(length) bytes")
          #expect(!report.faults.isEmpty || length >= Int(sample.block.highWater.number) * Layout.unitBytes)
        } catch let error as Store.Error {
          // Only so short a file is refused: there is little more than superblocks.
          #expect(length < 3 * Layout.unitBytes, "\(length): \(error)")
        }
      }
    }
  }

  // MARK: Single records

  /// A store whose bytes are damaged where these texts are.
  private func damagedStore(
    _ scratch: Scratch, _ fill: (Store) throws -> Void, damaging texts: String...
  ) throws -> Data {
    let store = try scratch.store()
    try fill(store)
    try store.close()
    var data = try contents(scratch.path())
    for text in texts {
      let range = try #require(data.range(of: Data(text.utf8)))
      data[range.lowerBound] ^= 1
    }
    try write(data, to: scratch.path())
    return data
  }

  /// An older value is not taken for the lost one without being listed.
  @Test func anOlderValueIsListed() throws {
    let scratch = try Scratch()
    _ = try damagedStore(
      scratch,
      { store in
        try store.put("the old one", forKey: "key")
        try store.put("the new one", forKey: "key")
        try store.put("before", forKey: "removed")
        try store.remove("removed")
        try store.put("the only one", forKey: "only")
      }, damaging: "the new one", "the only one")
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    let store = try scratch.store("new")
    #expect(try store.get("key", as: String.self) == "the old one")
    #expect(try store.get("only") == nil)
    #expect(try store.count == 1)
    #expect(report.olderValues == 1)
    #expect(report.losses.count == 2)
    for loss in report.losses {
      #expect(loss.kind == (loss.key == bytes("key") ? .olderValue : .value))
      #expect(!loss.isKeyCertain)
    }
    #expect(Set(report.losses.compactMap(\.key)) == [bytes("key"), bytes("only")])
  }

  /// The key was removed before the damaged record was written. What it had before the removal
  /// is no older value.
  @Test func aValueFromBeforeARemovalDoesNotComeBack() throws {
    let scratch = try Scratch()
    _ = try damagedStore(
      scratch,
      { store in
        try store.put("the old one", forKey: "key")
        try store.remove("key")
        try store.put("the new one", forKey: "key")
      }, damaging: "the new one")
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    #expect(try scratch.store("new").count == 0)
    #expect(report.losses.map(\.kind) == [.value])
    #expect(report.losses.first?.key == bytes("key"))
  }

  @Test func aLargeValueThatIsDamagedIsLostWithItsKeyKnown() throws {
    let scratch = try Scratch()
    let large = String(repeating: "x", count: 200_000) + "needle" + String(repeating: "y", count: 100)
    _ = try damagedStore(
      scratch,
      { store in
        try store.put(large, forKey: "large")
        try store.put("small", forKey: "small")
      }, damaging: "needle")
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    #expect(try scratch.store("new").everything() == [bytes("small"): bytes("small")])
    #expect(report.losses.map(\.key) == [bytes("large")])
    #expect(report.losses.first?.isKeyCertain == true)
  }

  /// Such records are at other places than they were written for, or have another store's seed.
  @Test func recordsInsideAValueDoNotCount() throws {
    let scratch = try Scratch()
    let other = try scratch.store("other")
    for number in 0..<200 { try other.put("wrong", forKey: "other \(number)") }
    try other.close()
    do {
      let store = try scratch.store()
      for number in 0..<200 { try store.put("right", forKey: "key \(number)") }
      try store.put(Array(contents(scratch.path("other"))), forKey: "whole store")
      try store.put(Array(contents(scratch.path())), forKey: "itself")
      let first = Int(store.core.memory.shared[.segment].number) * Layout.unitBytes
      let log = try contents(scratch.path())[first..<first + 20_000]
      try store.put(Array(log), forKey: "log of itself")
      try store.close()
    }
    var data = try contents(scratch.path())
    // Without superblocks the whole file is searched.
    for offset in SuperblockPair.offsets { data[offset + 90] ^= 1 }
    try write(data, to: scratch.path())
    let report = try Store.salvage(from: scratch.path(), into: scratch.path("new"))
    #expect(report.isComplete, "\(report.losses)")
    let found = try scratch.store("new").everything()
    #expect(found.count == 203)
    #expect(found[bytes("key 7")] == bytes("right"))
    #expect(found[bytes("whole store")] == Array(try contents(scratch.path("other"))))
  }

  // MARK: Beside others

  /// What is written meanwhile may be missing, but only as a whole.
  @Test func aStoreInUseIsSalvagedAsOfACommit() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<2_000 { try store.put("value \(number)", forKey: "key \(number)") }
    try store.checkpoint()
    let writing = Threads(1) {
      for round in 0..<300 {
        try? store.transaction { transaction in
          for number in 0..<5 { try transaction.put("round \(round)", forKey: "together \(number)") }
        }
        if round % 100 == 50 { try? store.checkpoint() }
      }
    }
    for round in 0..<10 {
      let report = try Store.salvage(from: scratch.path(), into: scratch.path("new \(round)"))
      #expect(report.isComplete, "\(report.losses)")
      let found = try scratch.store("new \(round)").everything()
      #expect(found.filter { $0.key.starts(with: bytes("key")) }.count == 2_000)
      let together = Set((0..<5).map { found[bytes("together \($0)")] })
      #expect(together.count == 1, "round \(round): a part of a transaction")
    }
    writing.join()
    try expectSound(store)
  }

  /// Whichever call fails, no file is left, and the next attempt succeeds.
  @Test func aFullDiskLeavesNothing() async throws {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        for number in 0..<100 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
        try store.close()
        for nth in 1..<1_000 {
          let fault = Fault([.fallocate, .ftruncate, .open, .linkat, .msync, .fsync], nth: nth, as: .noSpace)
          do {
            try fault.during { _ = try Store.salvage(from: scratch.path(), into: scratch.path("new")) }
            // A checkpoint meanwhile may fail without harm.
            if fault.hasStruck { try File.remove(scratch.path("new")) } else { break }
          } catch is Store.Error {}
          #expect(try scratch.names == ["store"], "call \(nth)")
        }
        #expect(try scratch.names == ["new", "store"], "it never succeeded")
      }
    }
  }
}
