import Foundation
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

/// Several handles on one store in one process, and several threads on one handle.
@Suite(.timeLimit(.minutes(5)))
struct HandleTests {
  @Test func aHandleSeesAtOnceWhatAnotherWrote() throws {
    let scratch = try Scratch()
    let first = try scratch.store()
    let second = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    for number in 0..<300 {
      let writer = number % 2 == 0 ? first : second
      let value = patterned(number % 50 == 7 ? 100_000 : 20, UInt64(number))
      try writer.put(value, forKey: "key \(number % 40)")
      for handle in [first, second, reader] {
        #expect(try handle.get("key \(number % 40)") == value)
        #expect(try handle.count == min(number + 1, 40))
      }
    }
    try second.remove("key 3")
    #expect(try first.contains("key 3") == false)
    #expect(try reader.contains("key 3") == false)
    try expectSound(first)
    try expectSound(second)
  }

  @Test func nobodyElseSeesATransactionBeforeItsEnd() throws {
    let scratch = try Scratch()
    let writer = try scratch.store()
    let other = try scratch.store { $0.access = .readOnly }
    try writer.put("old", forKey: "a")
    try writer.transaction { transaction in
      try transaction.put("new", forKey: "a")
      try transaction.put("new", forKey: "b")
      let seen = (try other.get("a", as: String.self), try other.get("b", as: String.self))
      #expect(seen == ("old", nil))
      #expect(try other.everything().count == 1)
    }
    #expect(try other.get("a", as: String.self) == "new")
    #expect(try other.get("b", as: String.self) == "new")
  }

  @Test func anExclusiveHandleKeepsOthersFromWriting() throws {
    let scratch = try Scratch()
    let holder = try scratch.store { $0.exclusive = true }
    try holder.put("1", forKey: "key")
    let other = try scratch.store { $0.timeout = .milliseconds(30) }
    #expect(try other.get("key", as: String.self) == "1")
    do {
      try other.put("2", forKey: "key")
      Issue.record("two handles have the turn")
    } catch {
      #expect(error.code == .busy)
      #expect(error.holder == getpid())
      #expect(error.message.contains(scratch.path().string))
    }
    #expect(
      code {
        try scratch.store {
          $0.exclusive = true; $0.timeout = .milliseconds(10)
        }
      } == .busy)
    #expect(try holder.get("key", as: String.self) == "1")
    try holder.close()
    #expect(try other.put("2", forKey: "key"))
    #expect(try other.get("key", as: String.self) == "2")
  }

  /// A reader that was there while nobody wrote keeps its own, unchanging view:
  /// the pages and large values that it shows are not reused under it.
  @Test func aViewStaysAsItWasWhileOthersReuseSpace() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    var expected: [[UInt8]: [UInt8]] = [:]
    do {
      let store = try scratch.store()
      for number in 0..<20 {
        expected[bytes("key \(number)")] = patterned(70_000 + number, UInt64(number))
      }
      for (key, value) in expected { try store.put(value, forKey: key) }
      try store.checkpoint()
      try store.close()
    }
    let view = try scratch.store { $0.access = .readOnly }
    let writer = try scratch.store()
    for round in 0..<6 {
      for key in expected.keys { try writer.put(patterned(80_000, UInt64(round)), forKey: key) }
      try writer.checkpoint()
      #expect(try view.everything() == expected, "round \(round)")
      #expect(view.core.verify().isSound)
    }
    try view.close()
    try expectSound(writer)
  }

  /// Two readers of one handle met growth of the file at the same time: the one
  /// whose look failed found everything mapped already, and took that for damage.
  @Test func threadsReadThroughOneHandleWhileTheFileGrows() throws {
    let scratch = try Scratch()
    let writer = try scratch.store { $0.exclusive = true }
    let reader = try scratch.store { $0.access = .readOnly }
    let isDone = Atomic<Bool>(false)
    let problems = Mutex<[String]>([])
    let threads = Threads(4) {
      while !isDone.load(ordering: .relaxed) {
        do {
          guard let current = try reader.get("current") else { continue }
          if try reader.get(current) == nil { problems.withLock { $0.append("absent: \(current)") } }
        } catch {
          problems.withLock { $0.append("\(error)") }
        }
      }
    }
    let value = patterned(60_000, 3)
    for number in 0..<1_500 {
      try writer.put(value, forKey: "value \(number)")
      try writer.put("value \(number)", forKey: "current")
    }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    let found = problems.withLock { $0 }
    #expect(found.isEmpty, "\(found.count), the first: \(found.first ?? "")")
  }

  /// Who has locked V and not yet looked may come to trust the live page: nobody recovers
  /// meanwhile.
  @Test func nobodyRecoversBesideWhoMayTrustTheLivePage() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let backing = try FileBacking(
      File(opening: scratch.path(), access: .readWrite),
      locks: File(opening: scratch.path(), access: .readWrite),
      isWritable: true)
    #expect(try backing.tryLock(.valid, .shared))
    #expect(code { try scratch.store { $0.timeout = .zero } } == .busy)
    try backing.unlock(.valid)
    try scratch.store().close()
  }

  /// The turn for life ends when the handle is closed, which may be while a value is looked at.
  @Test func aValueStaysAsItWasWhenItsExclusiveHandleIsClosed() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    try store.put(patterned(5_000, 7), forKey: "key")
    for number in 0..<1_000 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
    func overwrite() throws {
      let other = try scratch.store { $0.checkpoints = .inline }
      try other.remove("key")
      for round in 0..<4 {
        for number in 0..<1_000 {
          try other.put(patterned(1_000, UInt64(number + round)), forKey: "key \(number)")
        }
        try other.compact()
      }
    }
    try store.withValue(forKey: "key") { value in
      try store.close()
      try overwrite()
      #expect(value.array == patterned(5_000, 7))
    }
    let again = try scratch.store { $0.exclusive = true }
    #expect(throws: StoreError.self) {
      try again.forEach { key, value in
        let before = [key.array, value.array]
        try again.close()
        try overwrite()
        #expect([key.array, value.array] == before)
      }
    }
  }

  @Test func theProcessMayGoElsewhere() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      #expect(FileManager.default.changeCurrentDirectoryPath(scratch.directory.string))
      let store = try Store(path: "store")
      try store.put("value", forKey: "key")
      #expect(FileManager.default.changeCurrentDirectoryPath("/"))
      usleep(100_000)
      try store.put("value", forKey: "other")
      #expect(try store.verify().recordCount == 2)
    }
  }

  /// Another thread may have been about to pin something when the child was made.
  @Test func aForkedChildEndsASnapshotWithoutWaiting() async {
    await #expect(processExitsWith: .success) {
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

  /// A forked child has neither the mapping nor the locks of the handle.
  @Test func aForkedChildIsRefused() async {
    await #expect(processExitsWith: .success) {
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

  /// While one handle writes a checkpoint without the turn, others have the turn, and begin none.
  @Test func oneCheckpointIsWrittenAtATime() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    let block = try #require(try begunCheckpoint(store.core))
    #expect(try begunCheckpoint(other.core) == nil)
    try other.put("value", forKey: "other")
    try store.core.finishCheckpoint(block)
    let next = try #require(try begunCheckpoint(other.core))
    try other.core.finishCheckpoint(next)
    try expectSound(store)
  }

  /// A writer that is far ahead of the disk is slowed down, in every handle, and gets on.
  @Test func noPutWaitsUntilACheckpointIsWritten() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    let block = try #require(try begunCheckpoint(store.core))
    let epoch = store.core.memory.live[LivePage.durableEpoch]
    // A whole quarter and more above the length at which the next one is due.
    try store.put(patterned(11 << 19, 1), forKey: "key")
    for handle in [store, other] {
      let start = ContinuousClock.now
      for number in 0..<50 { try handle.put("\(number)", forKey: "number") }
      #expect(ContinuousClock.now - start >= .milliseconds(50))
    }
    #expect(store.core.memory.live[LivePage.durableEpoch] == epoch)
    try store.core.finishCheckpoint(block)
    try expectSound(store)
  }

  /// As long as another process takes for its checkpoint, asking for one is in vain.
  @Test func aCheckpointIsAskedForAgainAfterThatOfOthers() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    try store.core.withTurn { _ in store.core.lengthWhenAsked = 1 << 40 }
    try other.checkpoint()
    let epoch = store.core.memory.live[LivePage.durableEpoch]
    for number in 0..<6 { try store.put(patterned(1 << 20, UInt64(number)), forKey: "key") }
    let deadline = ContinuousClock.now + .seconds(60)
    while store.core.memory.live[LivePage.durableEpoch] == epoch, ContinuousClock.now < deadline {
      usleep(1_000)
    }
    #expect(store.core.memory.live[LivePage.durableEpoch] > epoch)
  }

  /// With its lock; somebody has to finish it.
  private func begunCheckpoint(_ core: StoreCore) throws -> Superblock? {
    try core.takeTurn()
    defer { core.returnTurn(after: nil) }
    return try core.beginCheckpoint()
  }

  /// The thread of the store waits for the turn with a checkpoint when the handle is closed.
  /// The locks must last until it has been written: who opens the store then would recover
  /// it, and be mixed with it.
  @Test func closingWaitsForACheckpointThatBeginsMeanwhile() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let store = try scratch.store()
      let other = try scratch.store()
      for number in 0..<2_000 { try store.put(patterned(100, UInt64(number)), forKey: "key \(number)") }
      let (isInside, isWriting, mayEnd, isClosed) = (Signal(), Signal(), Signal(), Signal())
      let holder = Threads(1) {
        try? other.transaction { transaction in
          try transaction.put("x", forKey: "other")
          isInside.give()
          Thread.sleep(forTimeInterval: 0.4)
        }
      }
      isInside.wait()
      FaultInjection.install { call in
        guard call == .fdatasync, !isWriting.isGiven else { return nil }
        isWriting.give()
        mayEnd.wait()
        return nil
      }
      #expect(store.core.maintenance.requestCheckpoint(store.core))
      usleep(100_000)
      let closer = Threads(1) {
        try? store.close()
        isClosed.give()
      }
      isWriting.wait()
      holder.join()
      usleep(200_000)
      #expect(!isClosed.isGiven)
      mayEnd.give()
      closer.join()
      FaultInjection.install(nil)
      try other.close()
      #expect(try Store.verify(scratch.path()).recordCount == 2_001)
    }
  }

  /// Longer than memory, as a store may come to be; all but its beginning is a hole.
  @Test func aFileLargerThanMemoryIsOpened() throws {
    let scratch = try Scratch()
    for kind in ["closed", "crashed"] {
      let store = try scratch.store(kind)
      try store.put("value", forKey: "key")
      if kind == "crashed" {
        try Image(of: scratch.path(kind)).lay(at: scratch.path("crashed 2"))
      }
      try store.close()
    }
    for name in ["closed", "crashed 2"] {
      try File(opening: scratch.path(name), access: .readWrite).setSize(512 << 30)
      for access in [Access.readOnly, .scratch, .readWrite] {
        let store = try scratch.store(name) { $0.access = access }
        #expect(try store.get("key", as: String.self) == "value")
        try store.close()
      }
    }
  }

  /// Somebody has the turn, and the two superblocks differ for the moment: it is for them to
  /// see to that.
  @Test func openingBesideAHalfWrittenCheckpointWaitsForNobody() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    try store.put("value", forKey: "key")
    var memory: MappedBytes { store.core.memory.bytes }
    let before = Layout.superblockOffsets.b
    let old = memory.array(before, count: Superblock.byteCount)
    try store.checkpoint()
    unsafe memory.copy(old.span.bytes, to: before)
    let other = try scratch.store { $0.timeout = .zero }
    #expect(try other.get("key", as: String.self) == "value")
    #expect(code { try other.put("x", forKey: "key") } == .busy)
    try store.put("2", forKey: "key")
    try store.checkpoint()
    try store.close()
    try other.put("3", forKey: "key")
    try expectSound(other)
  }

  /// Writers of one handle and of another, readers of both.
  @Test func threadsOfTwoHandlesLoseNoUpdate() throws {
    let scratch = try Scratch()
    let handles = [try scratch.store(), try scratch.store { $0.durability = .interval(milliseconds: 1) }]
    let problems = Mutex<[String]>([])
    let turn = Atomic<Int>(0)
    Threads(4) {
      let own = turn.wrappingAdd(1, ordering: .relaxed).oldValue
      let store = handles[own % 2]
      do {
        var highest = 0
        for _ in 0..<150 {
          try store.transaction { transaction in
            let sum = try transaction.get("sum", as: String.self).flatMap { Int($0) } ?? 0
            try transaction.put("\(sum + 1)", forKey: "sum")
            try transaction.put(patterned(70_000, UInt64(sum)), forKey: "large \(own)")
          }
          let seen = try handles[1 - own % 2].get("sum", as: String.self).flatMap { Int($0) } ?? 0
          if seen <= highest { problems.withLock { $0.append("\(seen) after \(highest)") } }
          highest = seen
        }
      } catch {
        problems.withLock { $0.append("\(error)") }
      }
    }.join()
    #expect(problems.withLock { $0 } == [])
    #expect(try handles[0].get("sum", as: String.self) == "600")
    for store in handles { try expectSound(store) }
  }

  /// `verify` beside a writer that syncs each commit took a record that came
  /// while it looked for proof of damage.
  @Test func verifyingBesideAWriterFindsNoDamage() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.durability = .onCommit }
    let isDone = Atomic<Bool>(false)
    let threads = Threads(1) {
      var number: UInt64 = 0
      while !isDone.load(ordering: .relaxed) {
        number += 1
        _ = try? store.put(patterned(65_000, number), forKey: "key \(number % 10)")
        if number % 300 == 0 { try? store.checkpoint() }
      }
    }
    var faults: [VerificationReport.Fault] = []
    for _ in 0..<100 * testScale { faults += try store.verify().faults }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    #expect(faults.isEmpty, "\(faults.count), the first: \(faults.first?.description ?? "")")
  }

  /// The same for a handle that reads the store another has open for writing.
  @Test func verifyingThroughAReaderFindsNoDamage() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    let isDone = Atomic<Bool>(false)
    let threads = Threads(1) {
      var number: UInt64 = 0
      while !isDone.load(ordering: .relaxed) {
        number += 1
        _ = try? store.transaction { transaction in
          for key in 0..<5 { try transaction.put(patterned(400, number), forKey: "key \(key)") }
          try transaction.put(patterned(66_000, number), forKey: "large \(number % 7)")
          try transaction.put("new", forKey: "new \(number)")
        }
      }
    }
    var faults: [VerificationReport.Fault] = []
    for _ in 0..<40 * testScale { faults += try reader.verify().faults }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    #expect(faults.isEmpty, "\(faults.count), the first: \(faults.first?.description ?? "")")
  }

  @Test func forEachAndCursorsMeetEverythingThatStays() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<1_000 { try store.put("stays", forKey: "stays \(number)") }
    var cursor = store.makeCursor()
    var byCursor: Set<[UInt8]> = []
    var byCall: Set<[UInt8]> = []
    var number = 0
    // Buckets split, values come and go, space is reused while both go through.
    try store.forEach { key, _ in
      #expect(byCall.insert(key.array).inserted)
      if let entry = try cursor.next() { #expect(byCursor.insert(entry.key).inserted) }
      try store.put(patterned(number % 100 == 0 ? 70_000 : 10, UInt64(number)), forKey: "new \(number)")
      if number % 3 == 0 { try store.remove("new \(number / 2)") }
      if number % 200 == 0 { try store.checkpoint() }
      number += 1
    }
    while let entry = try cursor.next() { #expect(byCursor.insert(entry.key).inserted) }
    for number in 0..<1_000 {
      #expect(byCall.contains(bytes("stays \(number)")))
      #expect(byCursor.contains(bytes("stays \(number)")))
    }
    try expectSound(store)
  }

  /// Words that mean something else to the program that has the store open are not trusted.
  @Test func anotherVersionOfTheLivePageIsRefused() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let live = store.core.memory.live
    live[LivePage.layout] += 1
    let refusal = #expect(throws: StoreError.self) { try scratch.store() }
    #expect(refusal?.code == .busy)
    #expect(refusal?.holder == getpid())
    // Readers do without them.
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try reader.get("key", as: String.self) == "value")
    try reader.close()
    live[LivePage.layout] -= 1
    #expect(try scratch.store().get("key", as: String.self) == "value")
  }
}
