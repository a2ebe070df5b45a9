import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Durable commits of several threads share syncs, and each is durable when its call returns.
@Suite(.timeLimit(.minutes(5)))
struct GroupCommitTests {
  /// In a process of its own, since the hook is for the whole process.
  @Test func threadsShareSyncs() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        let syncs = Atomic<Int>(0)
        FaultInjection.install { call in
          if call == .msync { syncs.add(1, ordering: .relaxed) }
          return nil
        }
        let failures = Atomic<Int>(0)
        var others: Threads?
        // All others wait when it ends, however busy the machine is.
        try store.transaction(durability: .onCommit) { transaction in
          try transaction.put([1], forKey: "first")
          others = Threads(7) {
            do {
              try store.put([1], forKey: "\(Threads.current)", durability: .onCommit)
            } catch {
              failures.add(1, ordering: .relaxed)
            }
          }
          while store.core.writeLock.waiting.load(ordering: .relaxed) < 7 { pause(microseconds: 500) }
        }
        others?.join()
        FaultInjection.install(nil)
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(try store.count == 8)
        #expect(syncs.load(ordering: .relaxed) <= 4)
        try expectSound(store)
      }
    }
  }

  /// A condition sees the earlier changes of its group, though none is published yet.
  @Test func conditionsSeeTheGroup() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let winners = Atomic<Int>(0)
    Threads(6) {
      do {
        for round in 0..<150 {
          if try store.put([1], forKey: "round \(round)", if: .absent, durability: .onCommit) {
            winners.add(1, ordering: .relaxed)
          }
          try store.increment("sum", durability: round % 3 == 0 ? nil : .onCommit)
        }
      } catch {
        Issue.record(error)
      }
    }.join()
    #expect(winners.load(ordering: .relaxed) == 150)
    #expect(try store.get("sum", as: String.self) == "900")
    try expectSound(store)
  }

  @Test func transactionsJoinGroupsAndMayBeGivenUp() throws {
    struct GivenUp: Error {}
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<6 { try store.put("100", forKey: "account \(number)") }
    let seeds = Atomic<UInt64>(1)
    Threads(5) {
      var generator = SeededGenerator(seed: seeds.add(1, ordering: .relaxed).oldValue)
      for round in 0..<150 {
        let (from, to, isGivenUp) = (generator.below(6), generator.below(6), generator.chance(40))
        do {
          try store.transaction(durability: .onCommit) { transaction in
            let left = Int(try transaction.get("account \(from)", as: String.self) ?? "") ?? 0
            try transaction.put("\(left - 1)", forKey: "account \(from)")
            let right = Int(try transaction.get("account \(to)", as: String.self) ?? "") ?? 0
            try transaction.put("\(right + 1)", forKey: "account \(to)")
            try transaction.put(patterned(70_000, UInt64(round)), forKey: "large \(to)")
            if isGivenUp { throw GivenUp() }
          }
        } catch is GivenUp {
        } catch {
          Issue.record(error)
        }
      }
    }.join()
    var sum = 0
    for number in 0..<6 { sum += Int(try store.get("account \(number)", as: String.self) ?? "") ?? 0 }
    #expect(sum == 600)
    try expectSound(store)
  }

  /// A transaction takes over the slots that its group has changed. Given up, it leaves them
  /// to the group as they were.
  @Test func aTransactionThatIsGivenUpLeavesTheGroupWhole() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("old", forKey: "published")
    func hash(_ key: [UInt8]) -> KeyHash { unsafe KeyHash(key.span.bytes, seed: store.core.memory.seed) }
    let request = store.core.request(.always, .never, nil)
    try store.core.withWriteLock { turn throws(Store.Error) in
      turn.writer.joinGroup()
      for (key, value) in [("one", "1"), ("two", "2"), ("published", "new"), ("one", "1 again")] {
        let (key, value) = (bytes(key), bytes(value))
        _ = try unsafe turn.writer.put(key.span.bytes, hash(key), value.span.bytes, request)
      }
      let removed = bytes("two")
      _ = try unsafe turn.writer.remove(removed.span.bytes, hash(removed), isDurable: true)
      var open = turn.writer.begin()
      for key in ["one", "two", "published", "other"] {
        let key = bytes(key)
        _ = try unsafe turn.writer.put(key.span.bytes, hash(key), key.span.bytes, request, in: &open)
      }
      try turn.writer.abort(open)
      try turn.writer.finishGroup()
    }
    #expect(try store.get("one", as: String.self) == "1 again")
    #expect(try store.get("two") == nil)
    #expect(try store.get("published", as: String.self) == "new")
    #expect(try store.get("other") == nil)
    try expectSound(store)
  }

  /// If the sync of a group fails, none of its commits is acknowledged; then the store
  /// goes on.
  @Test func noneIsAcknowledgedIfTheSyncFails() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        let calls = Atomic<Int>(0)
        let told = Atomic<Int>(0)
        let done = Atomic<Int>(0)
        FaultInjection.install { call in
          guard call == .msync else { return nil }
          pause(microseconds: 300)
          return calls.add(1, ordering: .relaxed).oldValue % 7 == 6 ? .ioError : nil
        }
        Threads(6) {
          for number in 0..<60 {
            do {
              let key = "\(Threads.current) \(number)"
              try store.put([1], forKey: key, durability: .onCommit)
              done.add(1, ordering: .relaxed)
              if try store.get(key) == nil { Issue.record("acknowledged and not there") }
            } catch {
              #expect((error as? Store.Error)?.code == .outcomeUnknown)
              told.add(1, ordering: .relaxed)
            }
          }
        }.join()
        FaultInjection.install(nil)
        #expect(told.load(ordering: .relaxed) > 0 && done.load(ordering: .relaxed) > 0)
        #expect(try store.count >= done.load(ordering: .relaxed))
        try expectSound(store)
      }
    }
  }
}
