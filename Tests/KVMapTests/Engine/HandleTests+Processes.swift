import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// What happens to a handle when its process forks or changes its directory.
extension HandleTests {
  @Test func theProcessMayChangeItsDirectory() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        #expect(FileManager.default.changeCurrentDirectoryPath(scratch.directory.string))
        let store = try Store(path: "store")
        try store.put("value", forKey: "key")
        #expect(FileManager.default.changeCurrentDirectoryPath("/"))
        // The store's thread goes on too.
        let epoch = store.core.memory.shared[.durableEpoch].number
        try store.put("value", forKey: "other")
        #expect(store.core.maintenance.requestCheckpoint(store.core))
        #expect(waits { store.core.memory.shared[.durableEpoch].number > epoch })
        #expect(try store.verify().recordCount == 2)
      }
    }
  }

  /// Another thread may have held the lock of the pins when the child was made.
  @Test func aForkedChildEndsASnapshotWithoutWaiting() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        try store.put("value", forKey: "key")
        let snapshot = try store.snapshot()
        let board = Board()
        store.core.pins.lock.lock()
        let child = ForkedChild(board) {
          alarm(20)
          snapshot.end()
        }
        store.core.pins.lock.unlock()
        _ = try child.waits { child.hasEnded }
        #expect(child.end == .well, "\(board.message)")
        #expect(try snapshot.get("key", as: String.self) == "value")
      }
    }
  }

  /// A forked child has neither the mapping nor the locks of the handle.
  @Test func aForkedChildIsRefused() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        try store.put("value", forKey: "key")
        let board = Board()
        let child = ForkedChild(board) {
          guard code({ try store.get("key") }) == .closed,
            code({ try store.put("x", forKey: "key") }) == .closed
          else { throw KillFailure("the handle works in a child") }
          try store.close()
        }
        _ = try child.waits { child.hasEnded }
        #expect(child.end == .well, "\(board.message)")
        #expect(try store.get("key", as: String.self) == "value")
        try store.put("y", forKey: "key")
        try expectSound(store)
      }
    }
  }
}
