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

/// What has to be durable before something else happens, seen from the system calls. In a
/// process of its own where the hook is used, which is for the whole process.
@Suite(.timeLimit(.minutes(5)))
struct SyncOrderTests {
  /// No reader sees what a power failure could still undo.
  @Test func aDurableCommitIsSeenOnlyWhenItIsDurable() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        let reader = try scratch.store { $0.access = .readOnly }
        for key in ["replaced", "removed"] { try store.put("old", forKey: key) }
        let seen = Mutex<[[String: String]]>([])
        FaultInjection.install { call in
          if call == .msync, let contents = try? reader.texts() { seen.withLock { $0.append(contents) } }
          return nil
        }
        defer { FaultInjection.install(nil) }
        let old = ["replaced": "old", "removed": "old"]
        let changes: [(Store) throws -> Void] = [
          { _ = try $0.put("new", forKey: "new", durability: .onCommit) },
          { _ = try $0.put("new", forKey: "replaced", durability: .onCommit) },
          { _ = try $0.remove("removed", durability: .onCommit) },
          { try $0.transaction(durability: .onCommit) { _ = try $0.put("new", forKey: "last") } },
        ]
        let expected = [
          old, old.merging(["new": "new"]) { $1 }, ["new": "new", "replaced": "new", "removed": "old"],
          ["new": "new", "replaced": "new"],
        ]
        for (change, before) in zip(changes, expected) {
          seen.withLock { $0 = [] }
          try change(store)
          #expect(seen.withLock { $0 } == [before])
        }
      }
    }
  }

  /// The store's thread does that; nobody calls the store meanwhile.
  @Test func anIntervalMakesDurableWhatWasCommitted() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.durability = .interval(milliseconds: 1) }
    let shared = store.core.memory.shared
    for number in 0..<3 {
      try store.put("\(number)", forKey: "key")
      while shared[.durableSequence] < shared[.sequence] { sched_yield() }
    }
    try store.close()
  }

  /// The call changes nothing because of an earlier commit, which may not be durable yet.
  @Test func aDurableCallThatChangesNothingSyncsEarlierCommits() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let shared = store.core.memory.shared
    func isDurable() -> Bool { shared[.durableSequence] == shared[.sequence] }
    try store.put("value", forKey: "key")
    #expect(!isDurable())
    #expect(try !store.put("other", forKey: "key", if: .absent, durability: .onCommit))
    #expect(isDurable())
    try store.remove("key")
    #expect(!isDurable())
    #expect(try !store.remove("key", durability: .onCommit))
    #expect(isDurable())
  }

  /// After a power failure, a name without durable contents would be a damaged store, and
  /// contents without a durable name would be no store.
  @Test(arguments: [false, true])
  func aNewFileIsDurableBeforeItsNameAndThenTheName(isSalvaged: Bool) async {
    await #expect(processExitsWith: .success) { [isSalvaged = isSalvaged as Bool] in
      try blocking {
        let scratch = try Scratch()
        if isSalvaged { try scratch.store("old").put("value", forKey: "key") }
        let calls = Mutex<[SystemCall]>([])
        FaultInjection.install { call in
          calls.withLock { $0.append(call) }
          return nil
        }
        defer { FaultInjection.install(nil) }
        if isSalvaged {
          _ = try Store.salvage(from: scratch.path("old"), into: scratch.path())
        } else {
          _ = try scratch.store()
        }
        let made = calls.withLock { $0 }
        let link = try #require(made.firstIndex(of: .linkat))
        let sync = try #require(made[..<link].lastIndex(of: .fsync), "the file is not synced")
        let written = try #require(made[..<link].lastIndex { [.msync, .pwrite, .ftruncate].contains($0) })
        #expect(written < sync)
        #expect(made[link...].contains(.fsync), "the directory is not synced")
      }
    }
  }
}

extension Store {
  /// All keys and values, as text.
  fileprivate func texts() throws -> [String: String] {
    let found = try everything().map {
      (String(decoding: $0, as: UTF8.self), String(decoding: $1, as: UTF8.self))
    }
    return Dictionary(uniqueKeysWithValues: found)
  }
}
