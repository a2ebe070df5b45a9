import TestSupport
import Testing

@testable import KVMap

/// What a handle may call durable that others had stored before it was opened.
struct VouchingTests {
  /// A recovery stores the log and the index again. But one that was under way when the handle
  /// was opened had stored the index before, and the system may have reported write errors only
  /// to others. So only the second recovery counts.
  @Test(arguments: [(1, true), (2, false)] as [(UInt64, Bool)])
  func theLogIsInheritedUntilARecoveryHasStoredItAgain(recoveries: UInt64, inherits: Bool) throws {
    let scratch = try Scratch()
    let first = try scratch.store()
    try first.put("value", forKey: "key")
    let other = try scratch.store()
    other.core.shared[.recoveries] += recoveries
    try other.put("value", forKey: "other")
    #expect((other.core.writeLock.enter().writer.log.inheritance != nil) == inherits)
    try expectSound(first)
  }

  /// On a full disk a key is removed without a record, and the next checkpoint makes that
  /// durable. If a sync fails meanwhile, recovery brings the key back, and the call must not
  /// say that it was removed.
  @Test func aRemovalThatIsInNoLogIsNotForgotten() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let core = store.core
    let error = #expect(throws: Store.Error.self) {
      try core.withWriteLock { turn throws(Store.Error) in
        let lock = try CheckpointLock(waitingFor: core)
        turn.writer.isHalfDone = true
        core.shared[.syncFailed] = 1
        try core.checkpoint(turn, lock)
      }
    }
    #expect(error?.code == .outcomeUnknown)
    #expect(try store.get("key", as: String.self) == "value")
  }

  /// A handle that is closed beside others leaves the checkpoint to them, but syncs its own
  /// changes.
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

  /// The tag of an epoch repeats after 65,536 epochs. Pages unchanged for so long were taken
  /// for pages of the present epoch, and every later checkpoint failed.
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
