import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A snapshot shows what was there when it was taken, whatever happens afterwards.
@Suite(.timeLimit(.minutes(5)))
struct SnapshotTests {
  private func fill(_ store: Store, _ count: Int, round: UInt64) throws {
    for number in 0..<count {
      try store.put(patterned(100, UInt64(number) << 8 | round), forKey: "key \(number)")
    }
  }

  private func everything(_ snapshot: Store.Snapshot) throws -> [[UInt8]: [UInt8]] {
    var found: [[UInt8]: [UInt8]] = [:]
    try snapshot.forEach { key, value in
      #expect(found.updateValue(value.array, forKey: key.array) == nil, "a key was passed twice")
    }
    return found
  }

  /// Readers take snapshots of the last state that was frozen. A takeover freezes what it
  /// rebuilds, so that they never see an older state than before.
  @Test func snapshotsOfAReaderDoNotGoBackWithATakeover() throws {
    let scratch = try Scratch()
    let writer = try scratch.store()
    try writer.put("1", forKey: "key")
    try writer.checkpoint()
    let reader = try scratch.store { $0.access = .readOnly }
    try writer.put("2", forKey: "key")
    try writer.snapshot().end()
    #expect(try reader.snapshot().get("key", as: String.self) == "2")
    // As if the holder of the write lock had died.
    let shared = writer.core.memory.shared
    let epoch = shared[.epoch].number
    shared[.busy] = 1
    try writer.put("x", forKey: "other")
    #expect(shared[.epoch].number > epoch)
    #expect(try reader.snapshot().get("key", as: String.self) == "2")
    try expectSound(writer)
  }

  /// Keys are overwritten, removed, compacted, merged, put again and checkpointed, by the
  /// snapshot's own handle or another one.
  @Test(arguments: [false, true])
  func aSnapshotShowsNothingThatIsWrittenLater(byAnother: Bool) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let writer = byAnother ? try scratch.store() : store
    try fill(store, 8_000, round: 0)
    try store.put(patterned(300_000, 1), forKey: "large")
    try store.checkpoint()
    try fill(store, 4_000, round: 1)
    let before = try store.everything()
    let snapshot = try store.snapshot()
    #expect(try snapshot.count == 8_001)
    for round in 2..<6 {
      try fill(writer, 8_000, round: UInt64(round))
      try writer.put(patterned(300_000, UInt64(round)), forKey: "large")
      try writer.checkpoint()
      #expect(try everything(snapshot) == before)
    }
    for number in 0..<8_000 { try writer.remove("key \(number)") }
    try writer.remove("large")
    try writer.compact()
    try fill(writer, 2_000, round: 9)
    try writer.checkpoint()
    #expect(try everything(snapshot) == before)
    var cursor = snapshot.makeCursor()
    var met = 0
    while let entry = try cursor.next() {
      met += 1
      #expect(before[entry.key] == entry.value)
    }
    #expect(met == before.count)
    #expect(try snapshot.get("key 7999") == before[bytes("key 7999")])
    #expect(try snapshot.contains("large") && !store.contains("large"))
    #expect(try snapshot.get("new") == nil)
    #expect(try snapshot.withValue(forKey: "large") { $0.array } == before[bytes("large")])
    #expect(try snapshot.value(forKey: "large")?.array == before[bytes("large")])
    #expect(try store.count == 2_000)
    try expectSound(store)
  }

  /// The space that a snapshot shows is not reused before it ends, and all of it is after.
  @Test func aSnapshotKeepsItsSpaceUntilItEnds() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 50_000, round: 0)
    try store.checkpoint()
    let snapshot = try store.snapshot()
    for number in 0..<50_000 { try store.remove("key \(number)") }
    try store.compact()
    let statistics = try store.statistics()
    #expect(statistics.allocatedBytes > 6 << 20 && statistics.freeAwaitingPinBytes > 4 << 20)
    #expect(statistics.oldestPinHolder == getpid())
    #expect(try scratch.store { $0.access = .readOnly }.statistics().oldestPinHolder == getpid())
    #expect(try snapshot.get("key 1") == patterned(100, 1 << 8))
    snapshot.end()
    #expect(code { try snapshot.get("key 1") } == .closed)
    try store.compact()
    #expect(try store.statistics().allocatedBytes < 1 << 20)
    #expect(try store.statistics().oldestPinHolder == nil)
    try expectSound(store)
  }

  /// A process that dies while it freezes a state leaves the last one as it was.
  @Test func freezingAStateLeavesTheLastOneWhole() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let shared = store.core.memory.shared
    for number in 0..<4 {
      let last = shared.frozen
      let pair = Int(shared[.frozen] & 1)
      try store.put("value", forKey: "key \(number)")
      try store.snapshot().end()
      #expect(shared.frozen.epoch > last.epoch && shared.frozen.count == UInt64(number + 1))
      #expect(
        shared[SharedState.frozenRoots[pair]] == last.root
          && shared[SharedState.frozenCounts[pair]] == last.count)
    }
  }

  /// After each snapshot all of the index is copied once more. If only the length of the
  /// log made checkpoints due, they would be far too rare.
  @Test func manyShortSnapshotsTakeLittleSpace() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.checkpoints = .inline }
    try fill(store, 20_000, round: 0)
    try store.checkpoint()
    for number in 0..<20_000 {
      if number % 50 == 0 { try store.snapshot().end() }
      try store.put(patterned(10, 1), forKey: "key \(number &* 7_919 % 20_000)")
    }
    let size = try store.statistics().allocatedBytes
    #expect(size < 20 << 20, "\(size >> 20) MiB for 2 MiB of records")
  }

  /// A snapshot of a reading handle shows what was frozen last. Its pages were replaced
  /// before a checkpoint sealed them, and are verified all the same.
  @Test func aReaderSeesWhatWasFrozenLast() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    try fill(store, 3_000, round: 0)
    try store.checkpoint()
    try fill(store, 3_000, round: 1)
    let first = try store.snapshot()
    let seen = try reader.snapshot()
    try fill(store, 3_000, round: 2)
    #expect(try reader.snapshot().get("key 5") == patterned(100, 5 << 8 | 1))
    for _ in 0..<3 { try store.checkpoint() }
    try fill(store, 3_000, round: 3)
    try store.checkpoint()
    // A handle that has verified none of these pages yet.
    let another = try scratch.store { $0.access = .readOnly }
    for number in 0..<3_000 {
      #expect(try seen.get("key \(number)") == patterned(100, UInt64(number) << 8 | 1))
      #expect(try first.get("key \(number)") == patterned(100, UInt64(number) << 8 | 1))
    }
    #expect(try another.snapshot().get("key 5") == patterned(100, 5 << 8 | 3))
  }

  #if CRASH_SIMULATION
    /// A reader takes a snapshot between any two stores of a writer that freezes the next
    /// state, as if the writer had died there. It gets the last state or the next one.
    @Test func aReaderSeesAWholeStateWhileTheNextIsFrozen() throws {
      let scratch = try Scratch()
      let store = try scratch.store()
      try fill(store, 100, round: 0)
      try store.checkpoint()
      let reader = try scratch.store { $0.access = .readOnly }
      var last = 100
      for count in [200, 300, 400] {
        try fill(store, count, round: 1)
        var counts: [Int] = []
        let observer = unsafe StoreObserver { _, _, _ in
          let found = try? reader.snapshot()
          counts.append((try? found?.count) ?? -1)
          found?.end()
        }
        StoreObserver.current = observer
        let snapshot = try store.snapshot()
        StoreObserver.current = nil
        #expect(counts.count >= 4)
        #expect(counts == counts.sorted() && Set(counts).isSubset(of: [last, count]))
        #expect(try snapshot.count == count)
        last = count
      }
    }
  #endif

  /// The writer dies with the write lock, and another one takes over: what was frozen before
  /// stays as it was, also after further checkpoints.
  @Test func aTakeoverLeavesSnapshotsAlone() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 3_000, round: 0)
    try store.checkpoint()
    try fill(store, 3_000, round: 1)
    let reader = try scratch.store()
    let snapshot = try reader.snapshot()
    try fill(store, 1_500, round: 2)
    store.core.memory.shared[.busy] = 1
    for round in 3..<6 {
      try fill(store, 3_000, round: UInt64(round))
      try store.checkpoint()
      for number in 0..<3_000 {
        #expect(try snapshot.get("key \(number)") == patterned(100, UInt64(number) << 8 | 1))
      }
    }
    #expect(store.core.memory.shared[.recoveries] > 0)
    try expectSound(store)
  }

  @Test func nothingExpiresInASnapshot() throws {
    let scratch = try Scratch()
    let now = Atomic<UInt64>(1_000_000)
    let clock = Clock(now: { now.load(ordering: .relaxed) })
    let store = Store(core: try Opening(path: scratch.path(), options: Store.Options(), clock: clock).open())
    try store.put("soon gone", forKey: "key", expires: .after(.seconds(1)))
    let snapshot = try store.snapshot()
    now.add(5_000, ordering: .relaxed)
    try store.compact()
    #expect(try store.get("key") == nil)
    #expect(try snapshot.get("key", as: String.self) == "soon gone")
    #expect(try everything(snapshot).count == 1)
  }

  @Test func inMemoryAndScratch() throws {
    let scratch = try Scratch()
    try fill(try scratch.store(), 500, round: 0)
    for store in [try Store.inMemory(), try scratch.store { $0.access = .scratch }] {
      try fill(store, 500, round: 1)
      let snapshot = try store.snapshot()
      for round in 2..<40 {
        try fill(store, 500, round: UInt64(round))
        try store.checkpoint()
      }
      for number in 0..<500 {
        #expect(try snapshot.get("key \(number)") == patterned(100, UInt64(number) << 8 | 1))
      }
    }
  }

  @Test func misuseIsAnError() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    #expect(code { try store.transaction { _ in _ = try store.snapshot() } } == .reentrant)
    let snapshot = try store.snapshot()
    try store.close()
    #expect(code { try snapshot.get("key") } == .closed)
    #expect(code { try store.snapshot() } == .closed)
  }

  /// Threads take, use and end snapshots while another one moves amounts between keys. Each
  /// snapshot shows one moment, in which the sum is the same.
  @Test func threadsSeeOneMoment() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<50 { try store.put("100", forKey: "account \(number)") }
    let isOver = Atomic<Bool>(false)
    let readers = Threads(2) {
      do {
        var looks = 0
        while !isOver.load(ordering: .relaxed) || looks < 10 {
          looks += 1
          let snapshot = try store.snapshot()
          var sum = 0
          try snapshot.forEach { _, value in sum += Int(String(decoding: value.array, as: UTF8.self)) ?? 0 }
          #expect(sum == 5_000)
          if looks % 20 == 0 { try store.checkpoint() }
        }
      } catch {
        Issue.record(error)
      }
    }
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<3_000 {
      let (from, to) = (generator.below(50), generator.below(50))
      if from == to { continue }
      try store.transaction { transaction in
        let left = Int(try transaction.get("account \(from)", as: String.self) ?? "") ?? 0
        let right = Int(try transaction.get("account \(to)", as: String.self) ?? "") ?? 0
        try transaction.put("\(left - 1)", forKey: "account \(from)")
        try transaction.put("\(right + 1)", forKey: "account \(to)")
      }
    }
    isOver.store(true, ordering: .relaxed)
    readers.join()
  }
}
