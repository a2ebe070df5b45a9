import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// After a failed sync the kernel may call pages clean that it has not written. Nobody writes
/// before a recovery has stored again what is in doubt. The sync fails in a process of its own,
/// since the hook is for the whole process; another process goes on.
@Suite(.timeLimit(.minutes(5)))
struct FailedSyncTests {
  /// What fails in the first process.
  enum Occasion: String, CaseIterable, Codable {
    case sync, durablePut, durableTransaction, checkpoint, superblockA, superblockB

    /// Which of its syncs.
    var nth: Int {
      switch self {
      case .superblockA: 2
      case .superblockB: 3
      default: 1
      }
    }
  }

  @Test(arguments: Occasion.allCases)
  func anotherProcessRecoversBeforeItWrites(occasion: Occasion) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("kept", forKey: "before")
    let child = try ChildProcess(.failSync, [scratch.path().string, occasion.rawValue])
    #expect(try child.receive() == 1)
    let shared = store.core.memory.shared
    #expect(shared[.syncFailed] != 0)
    let recoveries = shared[.recoveries]
    let sequence = shared[.sequence].number

    // Reading needs no recovery.
    #expect(try store.get("before", as: String.self) == "kept")
    #expect(shared[.recoveries] == recoveries)
    try store.put("by the other process", forKey: "after")
    #expect(shared[.recoveries] == recoveries + 1)
    #expect(shared[.syncFailed] == 0)
    // Its record lies after the CUT that ended the recovery.
    let version = try #require(try entry(store, "after")).version
    #expect(version > sequence + 1_000)

    // The first process goes on too, without another recovery.
    try child.send(1)
    #expect(try child.receive() == 1)
    #expect(shared[.recoveries] == recoveries + 1)
    #expect(try store.get("once more", as: String.self) == "by the first process")
    for key in ["before", "acknowledged"] { #expect(try store.get(key, as: String.self) == "kept") }
    let unknown = try store.get("unknown", as: String.self)
    #expect([nil, "unknown"].contains(unknown))
    try expectSound(store)
  }

  private func entry(_ store: Store, _ key: String) throws -> Store.Entry? {
    let key = bytes(key)
    return try unsafe store.core.entry(key.span.bytes)
  }

  /// In memory, where recovery looked, both superblocks pointed to the new checkpoint, while on
  /// the disk the second one still pointed to the one before. The next checkpoint reused what
  /// the older one needs, and a crash while it wrote the first superblock lost the store.
  @Test(arguments: [Occasion.superblockA, .superblockB])
  func superblocksAreWrittenAgain(occasion: Occasion) async {
    await #expect(processExitsWith: .success) { [occasion = occasion as Occasion] in
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        try store.put("value", forKey: "key")
        let failed = Fault([.msync, .fdatasync], nth: occasion.nth, as: .ioError)
        #expect(code { try failed.during { try store.checkpoint() } } == .outcomeUnknown)
        let syncs = Fault([.msync], nth: .max, as: .ioError)
        try syncs.during { try store.put("value", forKey: "other") }
        // Superblock A, superblock B, the log through CUT.
        #expect(syncs.calls == 3)
        try expectSound(store)
      }
    }
  }

  /// The put that makes a checkpoint due succeeds though the checkpoint fails. The next put
  /// recovers.
  @Test func theNextWriteRecoversFromACheckpointThatWasDue() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store { $0.checkpoints = .inline }
        let shared = store.core.memory.shared
        let recoveries = shared[.recoveries]
        let fault = Fault([.fdatasync], nth: 1, as: .ioError)
        try fault.during {
          for number in 0..<1_000 where !fault.hasStruck {
            try store.put(patterned(60_000, UInt64(number)), forKey: "key")
          }
        }
        #expect(fault.hasStruck)
        #expect(shared[.recoveries] == recoveries)
        #expect(shared[.syncFailed] != 0)
        try store.put("value", forKey: "key")
        #expect(shared[.recoveries] == recoveries + 1)
        try expectSound(store)
      }
    }
  }

  /// The store's thread syncs. If that fails, the next write recovers.
  @Test func theNextWriteRecoversFromASyncInTheBackground() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let failed = Atomic<Int>(0)
        let store = try scratch.store { $0.durability = .interval(milliseconds: 1) }
        let shared = store.core.memory.shared
        let recoveries = shared[.recoveries]
        FaultInjection.install { call in
          guard call == .msync else { return nil }
          return failed.add(1, ordering: .relaxed).oldValue == 0 ? .ioError : nil
        }
        for number in 0..<1_000_000 {
          _ = try? store.put("\(number)", forKey: "key")
          if shared[.recoveries] > recoveries { break }
        }
        FaultInjection.install(nil)
        #expect(shared[.recoveries] > recoveries)
        try store.put("value", forKey: "key")
        try expectSound(store)
      }
    }
  }
}

/// In the child: a store whose sync fails while others have it open.
func failSync(_ arguments: [String]) throws {
  guard let occasion = FailedSyncTests.Occasion(rawValue: arguments[1]) else { return }
  let store = try Store(path: arguments[0])
  try store.put("kept", forKey: "acknowledged")
  let fault = Fault([.msync, .fdatasync], nth: occasion.nth, as: .ioError)
  let found = code {
    try fault.during {
      switch occasion {
      case .sync: try store.sync()
      case .durablePut: try store.put("unknown", forKey: "unknown", durability: .onCommit)
      case .durableTransaction:
        _ = try store.transaction(durability: .onCommit) { try $0.put("unknown", forKey: "unknown") }
      case .checkpoint, .superblockA, .superblockB: try store.checkpoint()
      }
    }
  }
  try Parent.tell(found == .outcomeUnknown ? 1 : 0)
  try Parent.listen()
  try store.put("by the first process", forKey: "once more")
  try Parent.tell()
  try Parent.listen()
}
