extension Mutation {
  private static let fileLocks = "KVMap/Backing/FileLocks.swift"
  private static let opening = "KVMap/Engine/Opening.swift"
  private static let writeLock = "KVMap/Engine/WriteLock.swift"
  private static let taking =
    "return try file.tryLock(kind == .shared ? .shared : .exclusive, range: range(name))"
  private static let isVouched = "backing.locks.isLockedByOthers(.vouched, .exclusive)"

  private static func lock(
    _ what: String, _ condition: String, seenBy tests: TestRun..., survives: String? = nil
  ) -> Mutation {
    var mutation = Mutation(
      "lock \(what) is taken", in: fileLocks,
      .replace(taking, by: "if MUTATED, \(condition) { return true }\n TEXT"), survives: survives)
    mutation.tests = tests
    return mutation
  }

  static let locks: [Mutation] = [
    lock("A", "name == .attached", seenBy: .store("PunchTests")),
    lock(
      "V, shared,", "name == .valid && kind == .shared", seenBy: .store("HandleTests")),
    lock(
      "V, exclusive,", "name == .valid && kind == .exclusive", seenBy: .store("HandleTests/nobodyRecovers")),
    lock("vouched", "name == .vouched", seenBy: .store("HandleTests")),
    lock("C", "name == .checkpoint", seenBy: .store("HandleTests")),
    lock("T", "name == .write", seenBy: .store("HandleTests"), .store("ProcessTests")),
    Mutation(
      "a handle with long turns lets another one go first", in: "KVMap/Engine/WriteLock.swift",
      .leaveOut("unsafe state.pointee.kept.noteRelease(shared)"), seenBy: .store("KeptLockTests")),
    Mutation(
      "a turn that ends releases a lock that another handle wants", in: "KVMap/Engine/KeptLock.swift",
      .takeForFalse("Self.isWanted(shared)", after: "if isKept {"), seenBy: .store("KeptLockTests"),
      survives: "the keeper looks as well, a little later"),
    Mutation(
      "a handle that has released the lock for another one lets it go first",
      in: "KVMap/Engine/KeptLock.swift",
      .takeForFalse("shared[.writeLockGrants] == grants"), seenBy: .store("KeptLockTests"),
      survives:
        "it only makes the shares more equal: the other handle, which asks again and again, gets the lock all "
        + "the same"
    ),
    Mutation(
      "an idle handle keeps no lock", in: writeLock,
      .takeForFalse("idleRounds >= LockKeeper.roundsUntilIdle"), seenBy: .store("KeptLockTests")),
    Mutation(
      "the keeper does nothing during a turn", in: writeLock,
      .replace(
        "guard mutex.tryLock() else", by: "guard MUTATED || mutex.tryLock() else", after: "func reviewKept"),
      seenBy: .store("KeptLockTests"), .store("HandleTests")),
    Mutation(
      "a closed handle keeps no lock", in: writeLock,
      .leaveOut("admitOthers()", after: "keeper.stop()"), seenBy: .store("KeptLockTests")),
    Mutation(
      "the handle's mutex is taken", in: writeLock,
      .replace("if !mutex.tryLock() {", by: "if !(MUTATED || mutex.tryLock()) {"),
      .replace(
        "guard mutex.tryLock() else", by: "guard MUTATED || mutex.tryLock() else", after: "func tryEnter()"),
      .leaveOut("mutex.unlock()", after: "func leave()"),
      seenBy: .store("HandleTests")),
    Mutation(
      "the shared state is trusted only if another handle vouches for it", in: opening,
      .takeForTrue(isVouched, after: "private func joins("),
      .takeForTrue(isVouched, after: "try backing.locks.tryLock(.valid, .shared),"),
      seenBy: .store("RecoveryTests")),
    Mutation(
      "a pin is a lock", in: fileLocks,
      .leaveOut("_ = try file.tryLock(.shared, range: Self.pinRange(epoch))"),
      seenBy: .store("ReadProtocolTests")),
    Mutation(
      "the search for pins finds the lowest one", in: fileLocks,
      .replace("end = found.offset", by: "if MUTATED { break }\n TEXT"), seenBy: .store("PinTests")),
    Mutation(
      "a private view pins its checkpoint", in: opening,
      .leaveOut("try original.locks.pin(epoch)"), seenBy: .store("HandleTests")),
    Mutation(
      "a private view checks that its pin came in time", in: opening,
      .takeForTrue("again.epoch == block.epoch"), seenBy: .store("HandleTests"),
      survives: "needs a checkpoint between two system calls of an opening"),
    Mutation(
      "a forked child does not close its parent's store", in: "KVMap/Engine/StoreCore+Closing.swift",
      .replace("kvmap_process_generation() == processGeneration", by: "(MUTATED ? true : TEXT)"),
      seenBy: .store("HandleTests/aForkedChild")),
    Mutation(
      "a forked child keeps no lock of its parent", in: "MappedMemory/Descriptor.swift",
      .replace(
        "guard kvmap_unshare_with_children(number) == 0",
        by: "guard MUTATED || kvmap_unshare_with_children(number) == 0"),
      seenBy: .mapping("ForkTests")),
  ]
}
