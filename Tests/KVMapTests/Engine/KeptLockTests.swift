import Foundation
import MappedMemory
import Synchronization
import TestSupport
import Testing

@testable import KVMap

/// A handle that writes all the time keeps the write lock between its commits.
@Suite(.timeLimit(.minutes(2)))
struct KeptLockTests {
  /// How many calls take or release a lock while `body` runs.
  private func lockCalls(_ body: () throws -> Void) rethrows -> Int {
    let calls = Atomic<Int>(0)
    FaultInjection.install { call in
      if call == .lock { calls.wrappingAdd(1, ordering: .relaxed) }
      return nil
    }
    defer { FaultInjection.install(nil) }
    try body()
    return calls.load(ordering: .relaxed)
  }

  private func isFree(_ store: Store) throws -> Bool {
    try !store.core.backing.locks.isLockedByOthers(.write, .exclusive)
  }

  @Test(arguments: [true, false])
  func aHandleThatWritesKeepsTheLock(hasThread: Bool) async {
    await #expect(processExitsWith: .success) { [hasThread = hasThread as Bool] in
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store { $0.checkpoints = hasThread ? .background : .inline }
        let calls = try KeptLockTests().lockCalls {
          for number in 0..<1_000 { try store.put("value", forKey: "\(number)") }
        }
        // Without a thread of the store, nothing would notice that another handle wants the lock.
        #expect(hasThread ? calls < 200 : calls >= 2_000, "\(calls)")
      }
    }
  }

  /// A handle whose turns are long makes too few of them to keep the lock, and would take it again before
  /// another handle, which asks now and then, asks next.
  @Test(arguments: [true, false]) func aHandleWithLongTurnsLetsOthersGoFirst(hasThread: Bool) throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.checkpoints = hasThread ? .background : .inline }
    let other = try scratch.store()
    let (puts, turns) = (Count(), Count())
    let thread = Threads(1) {
      while puts.value.load(ordering: .relaxed) < 20 {
        try? store.transaction { transaction in
          try transaction.put("value", forKey: "key")
          pause(microseconds: 3_000)
        }
        turns.value.add(1, ordering: .relaxed)
      }
    }
    for number in 0..<20 {
      try? other.put("value", forKey: "\(number)")
      puts.value.add(1, ordering: .relaxed)
    }
    thread.join()
    // Without that rule each put waits for hundreds of turns.
    #expect(turns.value.load(ordering: .relaxed) < 400)
    try expectSound(store)
  }

  /// A handle that has stopped writing releases the lock, so that another one takes it without waiting.
  @Test func anIdleHandleReleasesTheLock() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    for number in 0..<1_000 { try store.put("value", forKey: "\(number)") }
    #expect(waits { (try? isFree(other)) == true })
    // The handle keeps it again when it writes again.
    for round in 0..<20 {
      for number in 0..<100 { try store.put("\(round)", forKey: "\(number)") }
      #expect(try other.get("99", as: String.self) == "\(round)")
    }
    #expect(waits { (try? isFree(other)) == true })
  }

  #if os(Linux)
    /// The handle's thread ends some time after the last write. Later writes start it again.
    @Test func anIdleHandleHasNoThread() async {
      await #expect(processExitsWith: .success) {
        try blocking {
          let scratch = try Scratch()
          let store = try scratch.store()
          for _ in 0..<2 {
            let before = try KeptLockTests.threads()
            for number in 0..<1_000 { try store.put("value", forKey: "\(number)") }
            let new = try KeptLockTests.threads().subtracting(before)
            #expect(!new.isEmpty)
            #expect(try waits { try KeptLockTests.threads().isDisjoint(with: new) })
          }
        }
      }
    }

    private static func threads() throws -> Set<String> {
      Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))
    }
  #endif

  /// Another handle gets the lock soon, even right after a commit of the handle that keeps it.
  @Test func aHandleThatWantsTheLockGetsIt() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store { $0.timeout = .seconds(1) }
    var longest = Duration.zero
    for round in 0..<50 {
      for number in 0..<100 { try store.put("\(round)", forKey: "\(number)") }
      let start = ContinuousClock.now
      try other.put("\(round)", forKey: "other")
      longest = max(longest, ContinuousClock.now - start)
    }
    #expect(longest < .milliseconds(500), "\(longest)")
    #expect(try store.get("other", as: String.self) == "49")
    try expectSound(store)
  }

  private final class Count: Sendable {
    let value = Atomic<Int>(0)
  }

  /// Both handles write all the time. Neither makes more than five times as many commits as the other.
  @Test func twoHandlesThatWriteShareTheLock() throws {
    let scratch = try Scratch()
    let handles = [try scratch.store(), try scratch.store()]
    let deadline = ContinuousClock.now + .seconds(1)
    let (first, second) = (Count(), Count())
    let threads = [(handles[0], first), (handles[1], second)].map { store, count in
      Threads(1) {
        while ContinuousClock.now < deadline {
          guard (try? store.put("value", forKey: "key")) != nil else { return }
          count.value.add(1, ordering: .relaxed)
        }
      }
    }
    for thread in threads { thread.join() }
    let counts = [first, second].map { $0.value.load(ordering: .relaxed) }
    #expect(try #require(counts.min()) * 5 > #require(counts.max()), "\(counts)")
    try expectSound(handles[0])
  }

  @Test func fewCommitsDoNotKeepTheLock() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    for number in 0..<10 { try store.put("value", forKey: "\(number)") }
    #expect(try isFree(other))
  }

  @Test func aClosedHandleHasReleasedTheLock() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    for number in 0..<1_000 { try store.put("value", forKey: "\(number)") }
    try store.close()
    #expect(try isFree(other))
    try other.put("value", forKey: "other")
  }
}
