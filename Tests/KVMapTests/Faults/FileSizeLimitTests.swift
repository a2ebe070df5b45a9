import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The length of the files that a process writes may be limited (`RLIMIT_FSIZE`). Past the
/// limit the system sends a signal, which ends a process that does not handle it. In a process
/// of its own, since the limit is for the whole process.
@Suite(.timeLimit(.minutes(5)))
struct FileSizeLimitTests {
  @Test func aStoreGrowsUpToTheLimit() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        expectSignal()
        let scratch = try Scratch()
        let store = try scratch.store()
        try limitFileSize(to: 8 << 20)
        var written = 0
        let found = code {
          while written < 1_000 {
            try store.put(patterned(60_000, UInt64(written)), forKey: "key \(written)")
            written += 1
          }
        }
        #expect(found == .diskFull)
        #expect(written > 30 && written < 1_000)
        #expect(try store.count == written)
        #expect(try store.get("key 3") == patterned(60_000, 3))
        // There is no room for a large value either.
        #expect(code { try store.put(patterned(9 << 20, 1), forKey: "large") } == .diskFull)
        try expectWorkingStateIsSound(store)
        for number in 0..<written { #expect(try store.remove("key \(number)")) }
        try store.close()
        #expect(try scratch.store().count == 0)
      }
    }
  }

  @Test func aFileBeyondTheLimitIsUsedUpToIt() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        expectSignal()
        let scratch = try Scratch()
        do {
          let store = try scratch.store()
          for number in 0..<60 { try store.put(patterned(60_000, UInt64(number)), forKey: "key \(number)") }
          try store.close()
        }
        // The limit is below the file's length, and the log ends above it.
        try limitFileSize(to: 1 << 20)
        let store = try scratch.store()
        #expect(code { for _ in 0..<3 { try store.put(patterned(60_000, 1), forKey: "key 3") } } == .diskFull)
        #expect(try store.get("key 59") == patterned(60_000, 59))
        #expect(try store.count == 60)
        #expect(try store.verify().isSound)
        try limitFileSize(to: 64 << 20)
        try store.put(patterned(60_000, 2), forKey: "key 3")
        try expectSound(store)
      }
    }
  }

  @Test func nothingIsCreatedBeyondTheLimit() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        expectSignal()
        for limit in [0, 4096, 1 << 20] as [UInt64] {
          let scratch = try Scratch()
          try limitFileSize(to: limit)
          #expect(code { try scratch.store() } == .diskFull)
          #expect(try scratch.names == [])
        }
      }
    }
  }
}

/// Lets the signal end the process, which is the default.
private func expectSignal() {
  signal(SIGXFSZ, SIG_DFL)
}
