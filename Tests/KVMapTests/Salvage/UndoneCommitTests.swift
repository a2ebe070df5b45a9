import Foundation
import TestSupport
import Testing

@testable import KVMap

/// A power failure undoes the first commits of a session, though parts of their records are on the disk.
/// Later changes get higher versions, and salvage keeps what was committed after the power failure.
struct UndoneCommitTests {
  /// Makes two sessions on a store with an empty log. Power fails in the first one, when all that it wrote is
  /// on the disk but for the header of its first record after CUT: so all its commits are undone. The second
  /// session puts `k` again.
  private func twoSessions(_ scratch: Scratch) throws -> Store {
    try scratch.store().close()
    let first = try scratch.store()
    let start = Int(first.core.shared[.tail].offset)
    #expect(first.core.shared[.durable].offset == UInt64(start), "the CUT is not durable")
    for (key, value) in [("a", "first"), ("k", "undone"), ("never there", "undone")] {
      try first.put(value, forKey: key)
    }
    try crash(scratch, start)
    let second = try scratch.store("crashed")
    #expect(try second.everything().isEmpty)
    try second.put("right", forKey: "k", durability: .onCommit)
    return second
  }

  /// Copies the file as a power failure leaves it, without the header of the record at `start`.
  private func crash(_ scratch: Scratch, _ start: Int) throws {
    var crashed = try contents(scratch.path())
    crashed.resetBytes(in: start..<start + RecordHeader.byteCount)
    try write(crashed, to: scratch.path("crashed"))
  }

  @Test(arguments: [false, true])
  func salvageBringsNoUndoneCommitBack(closes: Bool) throws {
    let scratch = try Scratch()
    let second = try twoSessions(scratch)
    if closes { try second.close() }
    try write(contents(scratch.path("crashed")), to: scratch.path("source"))
    let report = try Store.salvage(from: scratch.path("source"), into: scratch.path("new"))
    #expect(report.losses.isEmpty)
    #expect(try scratch.store("new").everything() == [bytes("k"): bytes("right")])
  }

  @Test func salvageWithoutSuperblocksBringsNoUndoneCommitBack() throws {
    let scratch = try Scratch()
    try twoSessions(scratch).close()
    for offset in SuperblockPair.offsets { try flip(scratch.path("crashed"), at: offset + 80) }
    _ = try Store.salvage(from: scratch.path("crashed"), into: scratch.path("new"))
    #expect(try scratch.store("new").everything() == [bytes("k"): bytes("right")])
  }

  /// The clock is set back after the power failure, so the later commits have lower numbers. Salvage lists
  /// the undone ones, and none of them counts.
  @Test(arguments: [false, true])
  func undoneCommitsWithHigherNumbersAreListed(closes: Bool) throws {
    let scratch = try Scratch()
    let (early, late): (UInt64, UInt64) = (1_800_000_000_000, 1_800_000_060_000)
    try scratch.store(at: early).close()
    let first = try scratch.store(at: late)
    let start = Int(first.core.shared[.tail].offset)
    for (key, value) in [("a", "first"), ("k", "undone"), ("never there", "undone")] {
      try first.put(value, forKey: key)
    }
    for number in 0..<5 { try first.put("undone", forKey: "never there \(number)") }
    let undone = try #require(try first.entry(forKey: "never there 4")).version
    try crash(scratch, start)
    let second = try scratch.store("crashed", at: early + 1)
    try second.put("right", forKey: "k", durability: .onCommit)
    if closes { try second.close() }
    try write(contents(scratch.path("crashed")), to: scratch.path("source"))
    #expect(try Store.verify(scratch.path("source")).isSound)
    let report = try Store.salvage(from: scratch.path("source"), into: scratch.path("new"))
    let new = try scratch.store("new", at: early + 2)
    #expect(try new.everything() == [bytes("k"): bytes("right")])
    let keys = Set(report.losses.compactMap(\.key))
    #expect(keys.isSuperset(of: (0..<5).map { bytes("never there \($0)") }), "\(report.losses)")
    #expect(report.losses.allSatisfy { $0.isKeyCertain == ($0.key != nil) })
    try new.put("newer", forKey: "newer")
    #expect(try #require(try new.entry(forKey: "newer")).version > undone)
  }

  /// A reader may have seen the version of a commit that was undone. No other value gets this version. If the
  /// clock is not believed, it does not help to tell the openings apart.
  @Test(arguments: [0, 1_000, .max, nil] as [UInt64?])
  func noVersionIsGivenTwice(time: UInt64?) throws {
    let scratch = try Scratch()
    func open(_ name: String = "store") throws -> Store {
      if let time { try scratch.store(name, at: time) } else { try scratch.store(name) }
    }
    try open().close()
    let first = try open()
    let start = Int(first.core.shared[.tail].offset)
    try first.put("undone", forKey: "key")
    let version = try #require(try first.entry(forKey: "key")).version
    try crash(scratch, start)
    let second = try open("crashed")
    #expect(try second.get("key") == nil)
    try second.put("other", forKey: "key")
    #expect(try #require(try second.entry(forKey: "key")).version > version)
    #expect(try !second.put("based on undone", forKey: "key", if: .version(version)))
  }

  /// A log scanner reads the records of a session's first transaction, which is then given up. Later commits
  /// overwrite these records. The scanner finds that the log goes on there, and reports no damage.
  @Test func aTransactionThatIsGivenUpIsNotReportedAsDamage() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let store = try scratch.store()
    let block = try SuperblockPair(store.core.source.fixed).current().block
    let start = LogWriter.Tail(position: block.logPosition, sequence: block.sequence, chain: block.chain)
    var scanner = LogScanner(memory: store.core.memory, tail: start, segment: block.segment)
    struct GivenUp: Error {}
    #expect(throws: GivenUp.self) {
      try store.transaction { transaction in
        try transaction.put("no", forKey: "key 1")
        scanner.scan()
        throw GivenUp()
      }
    }
    for number in 1...2 { try store.put("\(number)", forKey: "\(number)", durability: .onCommit) }
    let found = scanner.damageBeyondEnd { [$0] }
    #expect(found == nil || scanner.scanOn())
  }
}
