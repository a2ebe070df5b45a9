import Testing

@testable import KVMap
@testable import KVMapCommand

@Suite("The words of stat")
struct StatHealthTests {
  private func health(_ change: (inout Store.Statistics) -> Void) -> Health {
    var statistics = Store.Statistics()
    statistics.liveBytes = 100 << 20
    statistics.usedBytes = 200 << 20
    statistics.allocatedBytes = 200 << 20
    statistics.garbageBytes = 24 << 20
    statistics.bucketPages = 100
    change(&statistics)
    return Health(statistics)
  }

  @Test("a store within its bound is healthy")
  func good() {
    let health = health { _ in }
    #expect(health.isGood)
    #expect(health.text == "healthy: 12 % garbage, compaction keeps up")
  }

  @Test("a file above its bound needs attention, and what helps is named")
  func large() {
    let health = health { $0.allocatedBytes = 300 << 20 }
    #expect(!health.isGood)
    #expect(
      health.text
        == "needs attention: 12 % garbage; the file takes 300 MiB of disk for 100 MiB of records and index, "
        + "and 'kvmap compact' returns what is too much")
  }

  @Test("a reader that keeps much space needs attention, and is named")
  func reader() {
    let some = health {
      $0.freeAwaitingPinBytes = 1 << 20
      $0.logSinceCheckpoint = 5 << 20
    }
    #expect(some.isGood)
    #expect(
      some.text
        == "healthy: 12 % garbage, compaction keeps up; a reader keeps 1.0 MiB from being used again; "
        + "opening after a crash would read 5.0 MiB of log")
    let much = health {
      $0.freeAwaitingPinBytes = 100 << 20
      $0.allocatedBytes = 350 << 20
      $0.oldestPinHolder = 17
    }
    #expect(!much.isGood)
    #expect(much.remarks.last == "process 17 keeps 100 MiB from being used again")
  }

  @Test("an index that is mostly overflow needs attention")
  func index() {
    #expect(!health { $0.overflowPages = 11 }.isGood)
    #expect(health { $0.overflowPages = 10 }.isGood)
  }
}
