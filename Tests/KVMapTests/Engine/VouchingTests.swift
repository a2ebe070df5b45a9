import TestSupport
import Testing

@testable import KVMap

/// What a handle that came to others may say is durable.
struct VouchingTests {
  /// A recovery that was under way when the handle was opened had stored the index before; its
  /// errors in writing may have been told to somebody else.
  @Test(arguments: [(1, true), (2, false)] as [(UInt64, Bool)])
  func aRecoveryThatBeganBeforeIsNotRelied(recoveries: UInt64, inherits: Bool) throws {
    let scratch = try Scratch()
    let first = try scratch.store()
    try first.put("value", forKey: "key")
    let other = try scratch.store()
    other.core.shared[.recoveries] += recoveries
    try other.put("value", forKey: "other")
    #expect((other.core.writeLock.enter().writer.log.inheritance != nil) == inherits)
    try expectSound(first)
  }

  /// On a full disk a key is removed without a record, and the checkpoint after it makes that
  /// happen. A sync that failed meanwhile may not bring the key back, and say it was removed.
  @Test func aRemovalThatIsInNoLogIsNotForgotten() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let core = store.core
    let error = #expect(throws: StoreError.self) {
      try core.withWriteLock { turn throws(StoreError) in
        let lock = try CheckpointLock(waitingFor: core)
        turn.writer.isHalfDone = true
        core.shared[.syncFailed] = 1
        try core.checkpoint(turn, lock)
      }
    }
    #expect(error?.code == .outcomeUnknown)
    #expect(try store.get("key", as: String.self) == "value")
  }

  /// A handle that came last leaves the checkpoint to the others, but not what it has written.
  @Test func closingBesideOthersMakesItsChangesDurable() throws {
    let scratch = try Scratch()
    let first = try scratch.store()
    try first.put("value", forKey: "key")
    let other = try scratch.store()
    try other.put("value", forKey: "other")
    try other.close()
    let shared = first.core.shared
    #expect(shared[.durableSequence] == shared[.sequence])
  }

  /// Pages that nobody changes for 65,536 epochs are referred to like those of the present one:
  /// every checkpoint failed from then on.
  @Test func pagesMayStayUnchangedForManyEpochs() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<3_000 { try store.put("value", forKey: "key \(number)") }
    try store.checkpoint()
    for length in [40_000, 30_000] {
      for _ in 0..<length { try store.snapshot().end() }
      try store.put("new", forKey: "key 1")
      try store.checkpoint()
    }
    try store.close()
    let again = try scratch.store()
    #expect(try again.get("key 2999", as: String.self) == "value")
    try expectSound(again)
  }
}
