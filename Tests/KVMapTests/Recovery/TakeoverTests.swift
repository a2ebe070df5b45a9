import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A writer dies while others have the store open: the next writer takes over, and readers go on.
@Suite(.timeLimit(.minutes(5)))
struct TakeoverTests {
  /// A writer that died with the write lock had made the file longer than the next writer had
  /// mapped, and the log seemed to end where the mapping did.
  @Test(arguments: [100_000, 12 << 20])
  func aDeadWriterIsTakenOverFrom(size: Int) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    try store.put("v", forKey: "key")
    try store.put(patterned(100_000, 1), forKey: "large")
    let child = try ChildProcess(.dieInTransaction, [scratch.path().string, "\(size)"])
    #expect(try child.receive() == 1)
    _ = child.wait()
    // Readers need no takeover.
    try expectCommitted(reader, size)
    #expect(try reader.count == size / 60_000 + 4)
    #expect(try store.put("w", forKey: "key"))
    for handle in [store, reader] {
      #expect(try handle.get("key", as: String.self) == "w")
      try expectCommitted(handle, size)
      #expect(try handle.count == size / 60_000 + 4)
    }
    try expectSound(store)
    try store.checkpoint()
    try store.put("again", forKey: "key")
    try expectSound(store)
  }

  /// They belong to the old tree, and are in use in the new one.
  @Test func pagesReleasedBeforeATakeoverByOthersAreForgotten() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store()
    for number in 0..<2_000 { try store.put("value", forKey: "key \(number)") }
    try store.checkpoint()
    let shared = store.core.memory.shared
    let slot = try #require(try store.match(bytes("key 1"))).slotOffset
    store.core.writeLock.enter().writer.space.release(PageNumber(number: UInt64(slot / Layout.pageBytes)))
    shared[.busy] = 1
    try other.put("value", forKey: "other")
    try store.put("value", forKey: "store")
    try store.checkpoint()
    try expectSound(store)
  }

  private func expectCommitted(_ store: Store, _ size: Int) throws {
    #expect(try store.get("before", as: String.self) == "committed")
    #expect(try store.get("large") == patterned(100_000, 1))
    #expect(try store.get("torn 7") == nil)
    for number in 0...size / 60_000 {
      #expect(try store.get("filler \(number)")?.count == 60_000)
    }
  }

  /// The last commit before the death is damaged later. To a recovery it looks like one that
  /// was never complete, but readers have seen it.
  @Test func aPublishedCommitIsNotUndone() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let child = try ChildProcess(.dieInTransaction, [scratch.path().string, "0"])
    #expect(try child.receive() == 1)
    _ = child.wait()
    let match = try #require(try store.match(bytes("before")))
    let place = Int(match.position.offset) + match.header.valueOffset
    try flip(scratch.path(), at: place)
    #expect(code { try store.put("w", forKey: "key") } == .damaged)
    try flip(scratch.path(), at: place)
    try store.put("w", forKey: "key")
    #expect(try store.get("before", as: String.self) == "committed")
    try expectSound(store)
  }

  /// A takeover frees what a writer has taken since the checkpoint. But a reader that pinned
  /// before may be reading it. So may a reader that pinned while the takeover was being
  /// published, and saw the new epoch with the old root.
  @Test(arguments: [false, true])
  func pagesOfAPinnedReaderAreNotReusedAfterATakeover(isNewEpoch: Bool) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    var memory: StoreMemory { store.core.memory }
    for round in 0..<3 {
      for number in 0..<2_000 { try store.put("\(round)", forKey: "key \(number)") }
      try store.checkpoint()
    }
    for number in 0..<100 { try store.put("since", forKey: "key \(number)") }
    let pin = Epoch(number: memory.shared[.epoch].number + (isNewEpoch ? 1 : 0))
    try reader.core.backing.locks.pin(pin)
    let root = memory.shared[.root]
    let seen = try pages(root, level: root.depth, memory).map { ($0, page($0, memory)) }
    #expect(seen.count > 4)
    store.core.memory.shared[.syncFailed] = 1
    for round in 0..<3 {
      for number in 0..<2_000 { try store.put("after \(round)", forKey: "key \(number)") }
      try store.checkpoint()
    }
    let changed = seen.filter { page($0.0, memory) != $0.1 }.count
    #expect(changed == 0, "pages that the reader may see were rewritten")
    try reader.core.backing.locks.unpin(pin)
    try expectSound(store)
  }

  /// A page's bytes without the checksum, which a checkpoint may write into an unchanged page.
  private func page(_ number: PageNumber, _ memory: StoreMemory) -> [UInt8] {
    memory.bytes.array(number.offset + PageHeader.kind, count: Layout.pageBytes - PageHeader.kind)
  }

  /// The directory pages and buckets below a pointer.
  private func pages(_ pointer: PagePointer, level: Int, _ memory: StoreMemory) throws -> Set<PageNumber> {
    var found: Set<PageNumber> = [pointer.page]
    if level == 0 { return found }
    let node = NodePage(bytes: memory.bytes, page: pointer.page)
    for entry in 0..<NodePage.entryCount where !found.contains(node[entry].page) {
      found.formUnion(try pages(node[entry], level: level - 1, memory))
    }
    return found
  }

  /// A handle remembers pages that it will enter as released. After a recovery by another
  /// handle they belong to a tree that is gone.
  @Test func pagesAHandleRemembersAreForgottenAfterATakeover() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store()
    try store.put("v", forKey: "key")
    let shared = store.core.memory.shared
    let root = shared[.root].page
    try store.core.withWriteLock { turn throws(StoreError) in turn.writer.space.release(root) }
    shared[.syncFailed] = 1
    try other.put("w", forKey: "key")
    try store.put("x", forKey: "key")
    try expectSound(store)
    try expectSound(other)
  }

  @Test func deathsInARowAreTakenOverFrom() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for round in 0..<6 {
      let child = try ChildProcess(.dieInTransaction, [scratch.path().string, "\(round * 200_000)"])
      _ = child.wait()
      if round % 2 == 0 { try store.put("\(round)", forKey: "mine") }
      let checked = try scratch.store { $0.access = .readOnly }
      try checked.close()
      #expect(try store.get("torn 1") == nil)
      #expect(try store.get("before", as: String.self) == "committed")
    }
    try store.put("last", forKey: "mine")
    try expectSound(store)
  }

  /// Two processes write keys of their own. Again and again one of them is killed at a random
  /// instant and started again. This process reads, and writes at times.
  @Test func processesDieWhileOthersGoOn() throws {
    let seed = testSeed("processesDieWhileOthersGoOn")
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    try store.put("kept", forKey: "parent")
    var runs = try ["a", "b"].map { try Run(scratch, seed, prefix: $0) }
    for round in 0..<24 * testScale {
      let victim = round % 2
      try runs[victim].letRun(generator.below(30))
      spin(microseconds: generator.below(2_000))
      try runs[victim].kill()
      // The other process or this one takes over, whichever writes first.
      if generator.chance(50) { #expect(try store.put("\(round)", forKey: "round")) }
      try runs[1 - victim].letRun(generator.below(10))
      #expect(try reader.get("parent", as: String.self) == "kept")
      try runs[victim].settle(reader)
      try runs[victim].restart(scratch)
    }
    for index in runs.indices { try runs[index].kill() }
    try expectSound(store)
    for index in runs.indices { try runs[index].settle(store) }
    #expect(runs.allSatisfy { $0.number > 20 })
  }

  /// What is known of a child that does operations.
  private struct Run {
    var mix = KillTests.mix
    var child: ChildProcess
    /// How many operations have returned, and the contents after them.
    var number = 0
    var contents = Operation.Contents()
    private var reported = 0

    private let seed: UInt64

    init(_ scratch: Scratch, _ seed: UInt64, prefix: String) throws {
      self.seed = seed
      mix.prefix = bytes(prefix)
      child = try Self.start(scratch, seed, 0, prefix)
      _ = try child.receive()
    }

    private static func start(
      _ scratch: Scratch, _ seed: UInt64, _ number: Int, _ prefix: String
    ) throws -> ChildProcess {
      try ChildProcess(.operations, [scratch.path().string, "\(seed)", "\(number)", "none", prefix])
    }

    mutating func letRun(_ count: Int) throws {
      for _ in 0..<count where try child.receive() != nil { reported += 1 }
    }

    mutating func kill() throws {
      child.kill()
      reported += try child.drain().count
    }

    /// After the kill: what had returned is there; what was under way is there as a whole or not.
    mutating func settle(_ store: Store) throws {
      for _ in 0..<reported {
        Operation(seed: seed, number: number, mix: mix).apply(to: &contents)
        number += 1
      }
      reported = 0
      let next = Operation(seed: seed, number: number, mix: mix)
      let prefix = mix.prefix
      let found = try store.everything().filter { $0.key.starts(with: prefix) }
      if found == contents { return }
      next.apply(to: &contents)
      number += 1
      let differing = Set(found.keys).union(contents.keys).filter { found[$0] != contents[$0] }
      #expect(differing.isEmpty, "before operation \(number): \(differing.map { $0.prefix(50) })")
    }

    mutating func restart(_ scratch: Scratch) throws {
      child = try Self.start(scratch, seed, number, String(decoding: mix.prefix, as: UTF8.self))
      _ = try child.receive()
    }
  }
}
