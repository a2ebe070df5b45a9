import Foundation
import KVMapFoundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Writing in tasks: no thread of the cooperative pool is blocked, and a task that is cancelled while
/// it waits has changed nothing.
@Suite(.timeLimit(.minutes(5)))
struct TaskTests {
  /// An actor that owns a store, as an app would have it.
  private actor Sessions {
    private let store: Store
    private(set) var changes = 0

    init(_ path: FilePath) async throws { store = try await Store(path) }

    func log(in user: String, _ durability: Store.Durability? = nil) async throws {
      try await store.put("in", forKey: user, durability: durability)
      changes += 1
    }

    func isLoggedIn(_ user: String) throws -> Bool { try store.contains(user) }
    func close() async throws { try await store.close() }
  }

  @Test func anActorWrites() async throws {
    let scratch = try Scratch()
    let sessions = try await Sessions(scratch.path())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<200 {
        group.addTask {
          try await sessions.log(in: "user \(number)", number % 10 == 0 ? .onCommit : nil)
        }
      }
      try await group.waitForAll()
    }
    #expect(await sessions.changes == 200)
    for number in 0..<200 { #expect(try await sessions.isLoggedIn("user \(number)")) }
    try await sessions.close()
    await #expect(throws: Store.Error.self) { try await sessions.log(in: "late") }
    #expect(try blocking { try scratch.store().count } == 200)
  }

  @Test func everyCallDoesWhatTheBlockingOneDoes() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    #expect(try await store.put("value", forKey: "key"))
    #expect(try await !store.put("other", forKey: "key", if: .absent))
    #expect(try await !store.put("other", forKey: "key", if: .absent, durability: .onCommit))
    #expect(try store.get("key", as: String.self) == "value")
    #expect(try await store.remove("key"))
    #expect(try await !store.remove("key", durability: .onCommit))
    try await store.put(contentsOf: (0..<100).map { ("\($0)", "value \($0)") })
    #expect(try await store.remove(contentsOf: (0..<200).map { "\($0 * 2)" }) == 50)
    let sum = try await store.transaction { transaction in
      try transaction.put("1", forKey: "a")
      try transaction.put("2", forKey: "b")
      return try transaction.get("a", as: String.self)! + transaction.get("b", as: String.self)!
    }
    #expect(sum == "12")
    #expect(try await store.increment("sum", by: 5) == 5)
    #expect(try await store.compareAndSet("sum", expected: "5", new: "6"))
    #expect(try await !store.compareAndSet("sum", expected: "5", new: "7"))
    #expect(try await store.exchange("8", forKey: "sum") == "6")
    #expect(try await store.append("0", toKey: "sum") == 2)
    #expect(try await store.update("sum", as: Int.self) { $0.map { $0 + 1 } } == 81)
    #expect(try await store.setExpiry(.after(.seconds(100)), forKey: "sum"))
    #expect(try await store.remove("sum"))
    let view = store.view("view/", of: Int.self)
    try await view.put(1, forKey: "one")
    #expect(
      try await view.update("one") { value in
        value = 2; return "done"
      } == "done")
    #expect(try view.get("one") == 2)
    #expect(try await view.remove("one"))
    try await view.put(1, forKey: "one", durability: .onCommit)
    #expect(try await view.removeAll() == 1)
    try await store.put([1, 2], forKey: "json", as: .json)
    #expect(try store.get("json", as: String.self) == "[1,2]")
    #expect(try await store.remove("json"))
    struct GivenUp: Error {}
    await #expect(throws: GivenUp.self) {
      try await store.transaction { transaction in
        try transaction.put("3", forKey: "c")
        throw GivenUp()
      }
    }
    #expect(try !store.contains("c"))
    await #expect(throws: Store.Error.self) {
      try await store.put("value", forKey: [UInt8](repeating: 0, count: 70_000))
    }
    try await store.sync()
    try await store.checkpoint()
    try await store.compact()
    try await store.backup(to: scratch.path("copy"))
    #expect(try await store.verify().isSound)
    #expect(try await store.removeAll() == 52)
    try await store.close()
    #expect(try blocking { try Store(scratch.path("copy")).count } == 52)
    #expect(try blocking { try scratch.store().count } == 0)
  }

  /// In a process of its own, since the hook is for the whole process.
  @Test func tasksShareSyncs() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let store = try await Store(scratch.path())
      try await store.put("first", forKey: "key")
      let syncs = Atomic<Int>(0)
      FaultInjection.install { call in
        if call == .msync { syncs.add(1, ordering: .relaxed) }
        return nil
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        // All others are there when the first transaction ends, however busy the machine is.
        group.addTask {
          try await store.transaction(durability: .onCommit) { transaction in
            try transaction.put("1", forKey: "slow")
            pause(microseconds: 300_000)
          }
        }
        for number in 0..<100 {
          group.addTask { try await store.put("1", forKey: "\(number)", durability: .onCommit) }
        }
        try await group.waitForAll()
      }
      FaultInjection.install(nil)
      #expect(syncs.load(ordering: .relaxed) <= 20)
      #expect(try store.count == 102)
      try blocking { try expectSound(store) }
    }
  }

  /// Each acknowledged commit of a task is durable: what a crash leaves has it.
  @Test func aCommitOfATaskIsDurableWhenTheCallReturns() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<50 {
        group.addTask {
          for round in 0..<10 {
            try await store.put("\(round)", forKey: "\(number)", durability: .onCommit)
            let sequence = try #require(try store.entry(forKey: "\(number)")).version
            #expect(store.core.shared[.durableSequence].number > sequence)
          }
        }
      }
      try await group.waitForAll()
    }
    try blocking { try expectSound(store) }
  }

  /// If the sync fails, each task of the group is told.
  @Test func noneIsAcknowledgedIfTheSyncFails() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let store = try await Store(scratch.path())
      try await store.put("first", forKey: "key", durability: .onCommit)
      FaultInjection.install { $0 == .msync ? .ioError : nil }
      let unknown = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<30 {
          group.addTask {
            do {
              try await store.put("1", forKey: "\(number)", durability: .onCommit)
              return false
            } catch let error as Store.Error { return error.code == .outcomeUnknown }
          }
        }
        return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
      }
      FaultInjection.install(nil)
      #expect(unknown == 30)
      try await store.put("last", forKey: "key", durability: .onCommit)
      try blocking { try expectSound(store) }
    }
  }

  // MARK: Waiting

  /// More tasks than the pool has threads wait for another process. No thread waits with them.
  @Test func thePoolIsNotBlocked() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    try await store.close()
    let child = try ChildProcess(.holdWriteLock, [scratch.path().string])
    #expect(try child.receive() == 1)
    let waiting = try await Store(scratch.path(), options: .init(timeout: .seconds(60)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      let count = 8 + 2 * ProcessInfo.processInfo.activeProcessorCount
      for number in 0..<count { group.addTask { try await waiting.put("by a task", forKey: "\(number)") } }
      // The pool has a thread for each processor. If the tasks blocked them, this would go on only when they
      // have waited for the timeout, and have failed.
      for _ in 0..<20 { try await Task.sleep(for: .milliseconds(5)) }
      #expect(try !waiting.contains("0"))
      child.kill()
      try await group.waitForAll()
    }
    #expect(try waiting.count >= 8)
    try blocking { try expectSound(waiting) }
  }

  @Test func aTaskThatIsCancelledWhileItWaitsHasChangedNothing() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    try await store.close()
    let child = try ChildProcess(.holdWriteLock, [scratch.path().string])
    #expect(try child.receive() == 1)
    let waiting = try await Store(scratch.path(), options: .init(timeout: .seconds(60)))
    let tasks = (0..<4).map { number in
      Task {
        try await waiting.put("cancelled", forKey: "\(number)", durability: number < 2 ? .onCommit : nil)
      }
    }
    let kept = Task { try await waiting.put("kept", forKey: "kept") }
    try await Task.sleep(for: .milliseconds(50))
    for task in tasks { task.cancel() }
    // While the lock is held elsewhere.
    for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
    child.kill()
    #expect(try await kept.value)
    for number in 0..<4 { #expect(try !waiting.contains("\(number)")) }
    #expect(try waiting.get("kept", as: String.self) == "kept")
    try blocking { try expectSound(waiting) }
  }

  @Test func aTaskThatIsCancelledBeforeChangesNothing() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    for durability in [nil, Store.Durability.onCommit] {
      let task = Task {
        while !Task.isCancelled { await Task.yield() }
        try await store.put("value", forKey: "key", durability: durability)
      }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
    #expect(try !store.contains("key"))
  }

  /// Calls that wait for another process one after the other do so at the same time: each has the timeout
  /// from when it was made.
  @Test func aCallWaitsNoLongerThanItsTimeout() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    try await store.close()
    let child = try ChildProcess(.holdWriteLock, [scratch.path().string])
    #expect(try child.receive() == 1)
    let waiting = try await Store(scratch.path(), options: .init(timeout: .milliseconds(500)))
    let start = ContinuousClock.now
    let busy = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<100 {
        group.addTask {
          do {
            try await waiting.put("late", forKey: "\(number)", durability: .onCommit)
            return false
          } catch { return (error as? Store.Error)?.code == .busy }
        }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(busy == 100)
    // One after the other they would take 50 s.
    #expect(ContinuousClock.now - start < .seconds(20))
    child.kill()
    try blocking { try expectSound(waiting) }
  }

  /// A call that has failed is not held up by those that were made with it.
  @Test func aCallThatFailedEndsAtOnce() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    struct GivenUp: Error {}
    let (isQueued, hasFailed) = (Signal(), Signal())
    try await withThrowingTaskGroup(of: Void.self) { group in
      // The others are there when it ends, and are made together.
      group.addTask {
        try await store.transaction { _ in
          isQueued.give()
          pause(microseconds: 300_000)
        }
      }
      while !isQueued.isGiven { await Task.yield() }
      group.addTask {
        await #expect(throws: GivenUp.self) { try await store.transaction { _ in throw GivenUp() } }
        hasFailed.give()
      }
      try await Task.sleep(for: .milliseconds(50))
      group.addTask {
        try await store.transaction(durability: .onCommit) { transaction in
          try transaction.put("value", forKey: "key")
          let isSeen = hasFailed.isGiven(within: 60_000)
          #expect(isSeen)
        }
      }
      try await group.waitForAll()
    }
    #expect(try store.count == 1)
  }

  /// The commits of tasks that are made together let another handle go first when it has waited for a while.
  @Test func aGroupDoesNotHoldUpAnotherHandle() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    let other = try await Store(scratch.path(), options: .init(timeout: .seconds(60)))
    let isUnderWay = Signal()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<100 {
        group.addTask {
          try await store.transaction(durability: .onCommit) { transaction in
            try transaction.put("value", forKey: "\(number)")
            if try transaction.get("5") != nil { isUnderWay.give() }
            pause(microseconds: 10_000)
          }
        }
      }
      group.addTask {
        let before = try await runApart {
          isUnderWay.wait()
          try blocking { try other.put("value", forKey: "other") }
          return try other.count
        }
        #expect(before < 100)
      }
      try await group.waitForAll()
    }
    #expect(try store.count == 101)
    try blocking { try expectSound(store) }
  }

  /// When the system has no thread for the call, it blocks that of the task. It has begun then, and its
  /// outcome is returned although the task is cancelled.
  @Test func aCallWithoutAThreadIsNotCancelled() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    let waiting = try await Store(scratch.path(), options: .init(timeout: .seconds(60)))
    waiting.core.calls.start = { _ in false }
    let (hasLock, goesOn) = (Signal(), Signal())
    let holding = Threads(1) {
      try? store.transaction { _ in
        hasLock.give()
        goesOn.wait()
      }
    }
    hasLock.wait()
    let task = Task.detached { try await waiting.put("value", forKey: "late", durability: .onCommit) }
    while !KeptLock.isWanted(store.core.shared) { try await Task.sleep(for: .milliseconds(1)) }
    task.cancel()
    goesOn.give()
    #expect(try await task.value)
    #expect(try waiting.contains("late"))
    holding.join()
  }

  /// Waiting calls end with the store.
  @Test func closingEndsCalls() async throws {
    let scratch = try Scratch()
    let store = try await Store(scratch.path())
    let tasks = (0..<20).map { number in
      Task { try await store.put("value", forKey: "\(number)", durability: .onCommit) }
    }
    try await store.close()
    var stored = 0
    for task in tasks {
      do {
        if try await task.value { stored += 1 }
      } catch let error as Store.Error {
        #expect(error.code == .closed)
      }
    }
    #expect(try blocking { try scratch.store().count } == stored)
  }
}
