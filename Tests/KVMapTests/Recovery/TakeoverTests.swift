import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A writer dies while others have the store open. The next writer takes over, and readers go on.
@Suite(.timeLimit(.minutes(5)))
struct TakeoverTests {
  /// The writer that died had made the file longer than the next writer has mapped. To the next writer
  /// the log seemed to end where its mapping did.
  @Test(arguments: [100_000, 12 << 20])
  func theNextWriterTakesOver(size: Int) throws {
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

  /// A handle has released two pages, and has entered only one of them in the space table, when another
  /// handle takes over. After a checkpoint, the tree that the takeover builds uses these pages. Without
  /// a checkpoint, they belong to a tree that is gone. In neither case does the first handle enter them
  /// as released afterwards.
  @Test(arguments: [true, false], [true, false])
  func pagesReleasedBeforeATakeoverAreForgotten(hasCheckpoint: Bool, isAfterDeath: Bool) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store()
    for number in 0..<2_000 { try store.put("value", forKey: "key \(number)") }
    if hasCheckpoint { try store.checkpoint() }
    let shared = store.core.memory.shared
    let root = shared[.root].page
    let slot = try #require(try store.match(bytes("key 1"))).slotOffset
    try store.core.withWriteLock { turn throws(Store.Error) in turn.writer.space.release(root) }
    // This turn ends without entering what it has released.
    store.core.writeLock.enter().writer.space.release(PageNumber(number: UInt64(slot / Layout.pageBytes)))
    let reason: SharedWord<UInt64> = isAfterDeath ? .busy : .syncFailed
    shared[reason] = 1
    try other.put("value", forKey: "other")
    try store.put("value", forKey: "store")
    try store.checkpoint()
    try expectSound(store)
    try expectSound(other)
  }

  private func expectCommitted(_ store: Store, _ size: Int) throws {
    #expect(try store.get("before", as: String.self) == "committed")
    #expect(try store.get("large") == patterned(100_000, 1))
    #expect(try store.get("torn 7") == nil)
    for number in 0...size / 60_000 {
      #expect(try store.get("filler \(number)")?.count == 60_000)
    }
  }

  /// The last commit before the death is damaged afterwards. To a takeover it looks like a commit that
  /// was never complete. But readers may have seen it, so the takeover reports damage.
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

  /// A takeover frees the pages that the dead writer took after the checkpoint. A reader that pinned an epoch
  /// before the takeover may still read them. So may a reader that pinned while the takeover was being
  /// published: it saw the new epoch and the old root.
  @Test(arguments: [false, true])
  func pagesThatAReaderPinsAreNotReusedAfterATakeover(isNewEpoch: Bool) throws {
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

  @Test func theNextWriterTakesOverAfterEachOfManyDeaths() throws {
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

  /// Two processes write keys of their own. Again and again, one of them is killed at a random
  /// instant and started again. This process reads, and sometimes writes.
  @Test func processesDieWhileOthersGoOn() throws {
    let seed = testSeed("processesDieWhileOthersGoOn")
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    try store.put("kept", forKey: "parent")
    var runs = try ["a", "b"].map { try Run(scratch, seed, prefix: $0) }
    for round in 0..<24 * testScale {
      let killed = round % 2
      try runs[killed].letRun(generator.below(30))
      spin(microseconds: generator.below(2_000))
      try runs[killed].kill()
      // The other process or this one takes over, whichever writes first.
      if generator.chance(50) { #expect(try store.put("\(round)", forKey: "round")) }
      try runs[1 - killed].letRun(generator.below(10))
      #expect(try reader.get("parent", as: String.self) == "kept")
      try runs[killed].settle(reader)
      try runs[killed].restart(scratch)
    }
    for index in runs.indices { try runs[index].kill() }
    try expectSound(store)
    for index in runs.indices { try runs[index].settle(store) }
    #expect(runs.allSatisfy { $0.number > 20 })
  }

  /// A child that does operations, and what the parent knows of them.
  private struct Run {
    var mix = KillTests.mix
    var child: ChildProcess
    /// How many operations the store is known to hold, and the contents after them.
    var number = 0
    var contents = Operation.Contents()
    /// How many more have returned.
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

    /// Called after the kill. The operations that had returned are in the store; the one that was under
    /// way is there wholly or not at all.
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
