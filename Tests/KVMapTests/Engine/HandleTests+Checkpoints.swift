import MappedMemory
import Synchronization
import TestSupport
import Testing

@testable import KVMap

// Checkpoints that one handle writes while others commit, open and close.
extension HandleTests {
  /// While one handle writes a checkpoint without the write lock, others can commit, but begin
  /// no checkpoint.
  @Test func oneCheckpointIsWrittenAtATime() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    let block = try #require(try BegunCheckpoint(store.core))
    #expect(try BegunCheckpoint(other.core) == nil)
    try other.put("value", forKey: "other")
    try block.finish()
    let next = try #require(try BegunCheckpoint(other.core))
    try next.finish()
    try expectSound(store)
  }

  /// After a failed sync the system may take pages for clean that were never written.
  @Test func aCheckpointBesideAFailedSyncIsGivenUp() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let block = try #require(try BegunCheckpoint(store.core))
    let before = try SuperblockPair(store.core.source.fixed).current().block.epoch
    store.core.shared[.syncFailed] = 1
    #expect(code { try block.finish() } == .outcomeUnknown)
    #expect(try SuperblockPair(store.core.source.fixed).current().block.epoch == before)
    #expect(store.core.shared[.durableEpoch] == before)
    try store.put("other", forKey: "other")
    try expectSound(store)
  }

  /// If the log is far ahead of the checkpoint, every handle's puts are slowed down, not stopped.
  @Test func noPutWaitsUntilACheckpointIsWritten() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    let block = try #require(try BegunCheckpoint(store.core))
    let epoch = store.core.memory.shared[.durableEpoch].number
    // More than a quarter above the length at which the next checkpoint is due.
    try store.put(patterned(11 << 21, 1), forKey: "key")
    for handle in [store, other] {
      let start = ContinuousClock.now
      for number in 0..<50 { try handle.put("\(number)", forKey: "number") }
      #expect(ContinuousClock.now - start >= .milliseconds(50))
    }
    #expect(store.core.memory.shared[.durableEpoch].number == epoch)
    try block.finish()
    try expectSound(store)
  }

  /// A handle that asks for a checkpoint while another one writes its own gets none, and has
  /// to ask again.
  @Test func aCheckpointIsAskedForAgainAfterThatOfOthers() throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    try store.core.withWriteLock { turn throws(Store.Error) in turn.throttle.lengthWhenAsked = 1 << 40 }
    try other.checkpoint()
    let epoch = store.core.memory.shared[.durableEpoch].number
    for number in 0..<18 { try store.put(patterned(1 << 20, UInt64(number)), forKey: "key") }
    #expect(waits { store.core.memory.shared[.durableEpoch].number > epoch })
  }

  /// The store's thread waits for the write lock to begin a checkpoint when the handle is
  /// closed. The handle's locks must stay until the checkpoint is written: without them a
  /// process that opens the store would recover it, while the checkpoint is still written.
  @Test func closingWaitsForACheckpointThatBeginsMeanwhile() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        let other = try scratch.store()
        for number in 0..<2_000 { try store.put(patterned(100, UInt64(number)), forKey: "key \(number)") }
        let (isInside, isWaiting, mayReturn) = (Signal(), Signal(), Signal())
        let (isWriting, mayEnd, isClosed) = (Signal(), Signal(), Signal())
        let holder = Threads(1) {
          try? other.transaction { transaction in
            try transaction.put("x", forKey: "other")
            isInside.give()
            mayReturn.wait()
          }
        }
        isInside.wait()
        let thread = Threads.current
        let asked = Atomic<Int>(0)
        FaultInjection.install { call in
          // The second attempt of the store's thread shows that it waits for the write lock.
          if call == .lock, Threads.current != thread {
            if asked.wrappingAdd(1, ordering: .relaxed).newValue == 2 { isWaiting.give() }
          }
          guard call == .fdatasync, !isWriting.isGiven else { return nil }
          isWriting.give()
          mayEnd.wait()
          return nil
        }
        #expect(store.core.maintenance.requestCheckpoint(store.core))
        isWaiting.wait()
        let closer = Threads(1) {
          try? store.close()
          isClosed.give()
        }
        #expect(waits { code { try store.get("key 1") } == .closed })
        mayReturn.give()
        isWriting.wait()
        holder.join()
        #expect(!isClosed.isGiven(within: 200))
        mayEnd.give()
        closer.join()
        FaultInjection.install(nil)
        try other.close()
        #expect(try Store.verify(scratch.path()).recordCount == 2_001)
      }
    }
  }

  /// The superblocks differ while the holder of the write lock writes a checkpoint. Another
  /// handle that opens leaves them to the holder.
  @Test func openingDoesNotWaitForAHalfWrittenCheckpoint() throws {
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
}
