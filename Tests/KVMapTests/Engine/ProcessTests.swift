import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Environment variables that make the tests of several processes longer.
private enum LongRun {
  static let isWanted = ["KVMAP_GROWTH", "KVMAP_OVERWRITES", "KVMAP_INCREMENTS"].contains {
    Environment.isSet($0)
  }
}

/// A store that several processes have open.
@Suite(.timeLimit(.minutes(LongRun.isWanted ? 60 : 5)))
struct ProcessTests {
  @Test func aReaderSeesEachCommitOfAnotherProcess() throws {
    let scratch = try Scratch()
    let child = try ChildProcess(.count, [scratch.path().string])
    #expect(try child.receive() == 1)
    let reader = try scratch.store { $0.access = .readOnly }
    for number in 1...200 {
      try child.send(1)
      #expect(try child.receive() == 1)
      #expect(try reader.get("key", as: String.self) == "\(number)")
    }
  }

  @Test func anotherProcessReadsWhileThisOneWrites() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let children = try (0..<2).map { _ in try ChildProcess(.read, [scratch.path().string]) }
    for child in children { #expect(try child.receive() == 1) }
    // Growth, splits, large values, checkpoints and reuse while they read.
    for number in 1...3_000 {
      try store.put(
        patterned(number % 20 == 0 ? 90_000 : 300, UInt64(number)), forKey: "value \(number % 64)")
      try store.put("\(number)", forKey: "current")
      try store.put("filler", forKey: "filler \(number)")
      if number % 200 == 0 { try store.checkpoint() }
    }
    for child in children {
      try child.send(1)
      #expect(try child.receive() == 0, "a reader saw something go back, or an error")
    }
    try expectSound(store)
  }

  /// A process reads while the store grows and is compacted, and while writers are killed and
  /// others take over. `KVMAP_GROWTH` sets to how many MiB the store grows (96).
  @Test func aReaderGoesOnThroughGrowthCompactionAndTakeovers() throws {
    let size = Environment.number("KVMAP_GROWTH") ?? 96
    let scratch = try Scratch()
    let path = scratch.path().string
    // It writes until it is killed.
    var writer = try ChildProcess(.grow, [path, "1000000"])
    #expect(try writer.receive() == 1)
    let reader = try ChildProcess(.read, [path])
    #expect(try reader.receive() == 1)
    let store = try scratch.store { $0.timeout = .seconds(60) }
    for run in 1...3 {
      for _ in 0..<size / 4 { #expect(try writer.receive() == 1) }
      writer.kill()
      writer = try ChildProcess(.grow, [path, run < 3 ? "1000000" : "\(size / 4)"])
      #expect(try writer.receive() == 1)
    }
    // Compacted first while another process writes, then while none does.
    for number in 1...size * 8 { try store.remove("filler \(number)") }
    try store.compact()
    while try writer.receive() != nil {}
    let last = try #require(try store.get("current", as: String.self).flatMap { Int($0) })
    #expect(try store.statistics().liveBytes > size << 19)
    for number in size * 8...last { try store.remove("filler \(number)") }
    try store.compact()
    // 64 values are left, some of them large.
    #expect(try store.statistics().allocatedBytes < 12 << 20)
    try reader.send(1)
    #expect(try reader.receive() == 0, "the reader saw something go back, other bytes, or an error")
    try expectSound(store)
  }

  /// Another process keeps a snapshot while all of the store is overwritten again and again.
  /// `KVMAP_OVERWRITES` sets how many records are written (200,000).
  @Test func aSnapshotOfAnotherProcessIsKeptThroughOverwrites() throws {
    let overwrites = Environment.number("KVMAP_OVERWRITES") ?? 200_000
    let scratch = try Scratch()
    let store = try scratch.store { $0.space = .compact }
    let records = 20_000
    for number in 0..<records { try store.put(patterned(100, UInt64(number)), forKey: "key \(number)") }
    let child = try ChildProcess(.holdSnapshot, [scratch.path().string])
    #expect(try child.receive() == 1)
    var generator = SeededGenerator(seed: 1)
    for number in 0..<overwrites {
      try store.put(patterned(100, UInt64(number)), forKey: "key \(generator.below(records))")
    }
    let statistics = try store.statistics()
    let live = statistics.liveBytes + statistics.indexBytes
    #expect(statistics.oldestPinHolder == child.identifier)
    #expect(statistics.freeAwaitingPinBytes > 2 << 20)
    // The snapshot keeps what it shows from being reused, and some of what was written later.
    #expect(statistics.allocatedBytes < live / 2 * 3 + 8 << 20 + overwrites * 192)
    try child.send(1)
    #expect(try child.receive() == 0, "the snapshot shows something else than it did")
    child.kill()
    try store.compact()
    let after = try store.statistics()
    #expect(after.oldestPinHolder == nil && after.freeAwaitingPinBytes == 0)
    #expect(after.allocatedBytes < live + 4 << 20)
    try expectSound(store)
  }

  @Test func writersOfSeveralProcessesLoseNoUpdate() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let increments = 150
    let children = try ["one", "two"].map {
      try ChildProcess(.increment, [scratch.path().string, $0, "\(increments)"])
    }
    for _ in 0..<increments {
      try store.transaction { transaction in
        let sum = try transaction.get("sum", as: String.self).flatMap { Int($0) } ?? 0
        try transaction.put("\(sum + 1)", forKey: "sum")
      }
    }
    for child in children { #expect(try child.receive() == 1) }
    #expect(try store.get("sum", as: String.self) == "\(3 * increments)")
    #expect(try store.get("one", as: String.self) == "\(increments)")
    try expectSound(store)
  }

  /// Eight processes increment one counter; some are killed and started again. A process that
  /// dies between its two increments has counted one more than it has told.
  /// `KVMAP_INCREMENTS` sets how often each increments (1,000).
  @Test func processesCountTogether() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let count = Environment.number("KVMAP_INCREMENTS") ?? 1_000
    func start(_ number: Int) throws -> ChildProcess {
      try ChildProcess(.countUp, [scratch.path().string, "own \(number)", "\(count)"])
    }
    var children = try (0..<8).map(start)
    let kills = 3
    for number in 0..<kills {
      // By then it is incrementing.
      for _ in 0..<3 { _ = try children[number].receive() }
      children[number].kill()
      children[number] = try start(number)
    }
    for child in children { while (try? child.receive()) != nil {} }
    for number in 0..<8 { #expect(try store.get("own \(number)", as: String.self) == "\(count)") }
    let sum = try #require(try store.get("counter", as: String.self).flatMap { Int($0) })
    #expect((8 * count...8 * count + kills).contains(sum))
    try expectSound(store)
  }

  @Test func theHolderOfTheWriteLockIsNamed() throws {
    let scratch = try Scratch()
    let child = try ChildProcess(.holdWriteLock, [scratch.path().string])
    #expect(try child.receive() == 1)
    let store = try scratch.store { $0.timeout = .milliseconds(30) }
    #expect(try store.get("holder", as: String.self) == "by the child")
    do {
      try store.put("2", forKey: "key")
      Issue.record("two processes have the write lock")
    } catch {
      #expect(error.code == .busy)
      #expect(error.holder == child.identifier)
      #expect(error.message.contains("\(child.identifier)"))
    }
    #expect(try store.statistics().writer == child.identifier)
    // A holder that has died keeps nobody waiting.
    child.kill()
    #expect(try store.put("2", forKey: "key"))
    try expectSound(store)
  }

  @Test func aWriterWaitsForTheWriteLock() throws {
    let scratch = try Scratch()
    let child = try ChildProcess(.holdWriteLock, [scratch.path().string])
    #expect(try child.receive() == 1)
    let store = try scratch.store { $0.timeout = .seconds(60) }
    let result = Mutex<Bool?>(nil)
    let waiting = Threads(1) {
      let done = try? store.put("after the child", forKey: "holder")
      result.withLock { $0 = done }
    }
    #expect(try store.get("holder", as: String.self) == "by the child")
    try child.send(1)
    waiting.join()
    #expect(result.withLock { $0 } == true)
    #expect(try store.get("holder", as: String.self) == "after the child")
  }
}
