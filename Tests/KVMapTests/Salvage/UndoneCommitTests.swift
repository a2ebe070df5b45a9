import Foundation
import TestSupport
import Testing

@testable import KVMap

/// Power fails after the first commits of a session, and takes them back. Whatever of them is on the
/// disk, later versions are higher, and salvage keeps what was committed afterwards.
struct UndoneCommitTests {
  /// Two sessions on a store with an empty log: the first writes what is undone, the second `k`. Of
  /// what the first wrote after its CUT, only the first record has not reached the disk.
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

  /// Copies the file without the header of the record at `start`.
  private func crash(_ scratch: Scratch, _ start: Int) throws {
    var crashed = try contents(scratch.path())
    crashed.resetBytes(in: start..<start + RecordHeader.byteCount)
    try write(crashed, to: scratch.path("crashed"))
  }

  @Test(arguments: [false, true])
  func salvageDoesNotBringThemBack(closes: Bool) throws {
    let scratch = try Scratch()
    let second = try twoSessions(scratch)
    if closes { try second.close() }
    try write(contents(scratch.path("crashed")), to: scratch.path("source"))
    let report = try Store.salvage(from: scratch.path("source"), into: scratch.path("new"))
    #expect(report.losses.isEmpty)
    #expect(try scratch.store("new").everything() == [bytes("k"): bytes("right")])
  }

  @Test func salvageWithoutSuperblocksDoesNotBringThemBack() throws {
    let scratch = try Scratch()
    try twoSessions(scratch).close()
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
    try crash(scratch, start)
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
