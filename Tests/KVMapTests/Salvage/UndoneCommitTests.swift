import Foundation
import TestSupport
import Testing

@testable import KVMap

/// Power fails after the first commits of a session, and takes them back. Whatever of them is on the
/// disk, later versions are higher, and salvage keeps what was committed afterwards.
struct UndoneCommitTests {
  /// Two sessions on a store with an empty log: the first writes what is undone, the second `k`. The
  /// file of the first is as after a power failure before the sync of its CUT: the page of the CUT
  /// has not reached the disk.
  private func twoSessions(_ scratch: Scratch, closes: Bool) throws -> Store {
    try scratch.store().close()
    let empty = try contents(scratch.path())
    let first = try scratch.store()
    let start = Int(first.core.shared[.tail].offset)
    for (key, value) in [("a", "first"), ("k", "undone"), ("never there", "undone")] {
      try first.put(value, forKey: key)
    }
    let end = Int(first.core.shared[.tail].offset)
    let later = try contents(scratch.path())
    #expect(first.core.shared[.durable].offset > start, "records were written before the CUT was durable")
    var crashed = later
    // The CUT was durable, so it is there; the record after it is not.
    crashed.replaceSubrange(start + 40..<start + 80, with: empty[start + 40..<start + 80])
    #expect(end > start + 80)
    try write(crashed, to: scratch.path("crashed"))
    let second = try scratch.store("crashed")
    #expect(try second.everything().isEmpty)
    try second.put("right", forKey: "k", durability: .onCommit)
    return second
  }

  @Test(arguments: [false, true])
  func salvageDoesNotBringThemBack(closes: Bool) throws {
    let scratch = try Scratch()
    let second = try twoSessions(scratch, closes: closes)
    if closes { try second.close() }
    try write(contents(scratch.path("crashed")), to: scratch.path("source"))
    let report = try Store.salvage(from: scratch.path("source"), into: scratch.path("new"))
    #expect(report.losses.isEmpty)
    #expect(try scratch.store("new").everything() == [bytes("k"): bytes("right")])
  }

  @Test func salvageWithoutSuperblocksDoesNotBringThemBack() throws {
    let scratch = try Scratch()
    try twoSessions(scratch, closes: true).close()
    for offset in SuperblockPair.offsets { try flip(scratch.path("crashed"), at: offset + 80) }
    _ = try Store.salvage(from: scratch.path("crashed"), into: scratch.path("new"))
    #expect(try scratch.store("new").everything() == [bytes("k"): bytes("right")])
  }

  /// A version that somebody has seen is not given to another value.
  @Test func noVersionIsGivenTwice() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let first = try scratch.store()
    let start = Int(first.core.shared[.tail].offset)
    try first.put("undone", forKey: "key")
    let version = try #require(try first.entry(forKey: "key")).version
    var crashed = try contents(scratch.path())
    crashed.resetBytes(in: start + 40..<start + 80)
    try write(crashed, to: scratch.path("crashed"))
    let second = try scratch.store("crashed")
    #expect(try second.get("key") == nil)
    try second.put("other", forKey: "key")
    #expect(try #require(try second.entry(forKey: "key")).version > version)
    #expect(try !second.put("based on undone", forKey: "key", if: .version(version)))
  }

  /// A view of the file that is made while the first transaction is under way, which is given up,
  /// takes nothing for damage.
  @Test func aTransactionThatIsGivenUpLooksLikeNoDamage() throws {
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
