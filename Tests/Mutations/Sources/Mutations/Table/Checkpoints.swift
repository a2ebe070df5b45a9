extension Mutation {
  private static let checkpoint = "KVMap/Checkpoint/Checkpoint.swift"
  private static let turn = "KVMap/Engine/StoreCore+WriteLock.swift"
  private static let lock = "KVMap/Engine/CheckpointLock.swift"
  private static let closing = "KVMap/Engine/StoreCore+Closing.swift"
  private static let besides = "KVMap/Engine/StoreCore+Checkpoint.swift"
  private static let order = "for offset in SuperblockPair.offsets"
  private static let superblockSync = "try backing.sync(offset: offset, count: Layout.pageBytes)"

  static let vouching: [Mutation] = [
    Mutation(
      "records that other handles stored are stored again before they are synced",
      in: "KVMap/Log/LogWriter.swift",
      .takeForFalse("inheritance.sequence.number > shared[.durableSequence].number"), seenBy: .crashes()),
    Mutation(
      "pages that other handles stored are rebuilt before a checkpoint", in: besides,
      .leaveOut("try rebuildDoubtfulPages(turn, lock)"), seenBy: .crashes()),
    Mutation(
      "pages are not rebuilt while a change is in no log", in: turn,
      .takeForFalse("turn.writer.isHalfDone", after: "shared[.syncFailed] != 0 else { return }"),
      seenBy: .store("VouchingTests/aRemovalThatIsInNoLogIsNotForgotten")),
    Mutation(
      "the first recovery after a handle has opened may have begun before that", in: turn,
      .replace(
        "shared[.recoveries] &- recoveriesWhenJoined < 2",
        by: "(MUTATED ? shared[.recoveries] == recoveriesWhenJoined : TEXT)"),
      seenBy: .store("VouchingTests/theLogIsInheritedUntilARecoveryHasStoredItAgain")),
    Mutation(
      "a handle that is closed leaves the checkpoint to the handles that stored the pages", in: turn,
      .takeForFalse("inheritsPages(turn)", after: "func leavesCheckpointToOthers"), seenBy: .crashes(60),
      survives: "it saves time only: a checkpoint of the closed handle would rebuild the pages"),
    Mutation(
      "a handle that leaves the checkpoint to others syncs what was committed", in: closing,
      .takeForFalse("isForOthers", after: "if isDone { try truncateEnd(turn) }"),
      seenBy: .store("VouchingTests/closingBesideOthersMakesItsChangesDurable")),
    Mutation(
      "a checkpoint announces its sync", in: besides,
      .leaveOut("shared[.announcedSync] = UInt64(processIdentifier)"), seenBy: .crashRegressions),
    Mutation(
      "an announced sync whose process has died counts as failed", in: lock,
      .leaveOut("shared[.syncFailed] = 1", after: "func noteSyncOfTheDead"), seenBy: .crashRegressions),
  ]

  static let checkpoints: [Mutation] = [
    Mutation(
      "the file is synced before the superblocks are written", in: checkpoint,
      .leaveOut("try backing.syncAll()", after: "func persist(_"), seenBy: .crashes()),
    Mutation(
      "a checkpoint gives up if a sync failed meanwhile", in: checkpoint,
      .takeForFalse("shared[.syncFailed] != 0"), seenBy: .store("HandleTests")),
    Mutation(
      "the superblocks are written only after the file is synced", in: checkpoint,
      .before(
        "try backing.syncAll()",
        "block.encode(memory.bytes, at: Layout.superblockOffsets.a)", after: "func persist(_"),
      seenBy: .crashes()),
    Mutation(
      "superblock A is synced", in: checkpoint,
      .leaveOut(superblockSync, when: "offset == Layout.superblockOffsets.a"),
      seenBy: .store("FailedSyncTests"), .crashes()),
    Mutation(
      "superblock B is synced", in: checkpoint,
      .leaveOut(superblockSync, when: "offset == Layout.superblockOffsets.b"),
      seenBy: .store("FailedSyncTests"), .crashes()),
    Mutation(
      "superblock B is written only when A is durable", in: checkpoint,
      .before(
        order,
        "for early in SuperblockPair.offsets { "
          + "block.encode(memory.bytes, at: early) }", after: "func writeSuperblocks"), seenBy: .crashes()),
    Mutation(
      "pages get a checksum", in: checkpoint, .leaveOut("header.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "overflow pages get a checksum", in: checkpoint,
      .leaveOut("try changed(page, .overflow, &sealing)?.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "an old page whose pointer has the tag of a new epoch is not taken for lost", in: checkpoint,
      .leaveOut("if isOld(pointer, height > 0 ? node : leaf, sealing) { return }"),
      seenBy: .store("VouchingTests/pagesMayStayUnchangedForManyEpochs")),
    Mutation(
      "a new epoch begins when a checkpoint is frozen", in: checkpoint,
      .leaveOut("shared.freeze()"), seenBy: .crashes()),
    Mutation(
      "the generation rises with a checkpoint", in: checkpoint,
      .leaveOut("shared.raise(.generation, by: 1)"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "the generation rises before the durable epoch", in: checkpoint,
      .before("shared.raise(.generation, by: 1)", "shared[.durableEpoch] = block.epoch"),
      seenBy: .crashes(60), .store("ReadProtocolTests"),
      survives: "needs a writer that reuses space between the two stores, or a process that dies there, "
        + "and a reader in another process"),
    Mutation(
      "space may be reused only when both superblocks are written", in: besides,
      .before("try checkpoint.persist(block)", "checkpoint.publishReuse(block)"), seenBy: .crashes()),
    Mutation(
      "closing makes durable what was committed", in: closing,
      .leaveOut("try turn.writer.log.sync(upTo: turn.writer.log.tail)"),
      seenBy: .crashes()),
    Mutation(
      "Store.sync syncs", in: "KVMap/Engine/StoreCore+Write.swift",
      .leaveOut("try turn.writer.log.sync(upTo: turn.writer.log.tail)"), seenBy: .crashes()),
    Mutation(
      "with .interval the store's thread syncs", in: "KVMap/Engine/Maintenance.swift",
      .leaveOut("try? core.sync()"), seenBy: .store("SyncOrderTests/anInterval")),
    Mutation(
      "superblocks that differ because a process died are made equal", in: besides,
      .leaveOut("try checkpoint.repairSuperblocks()"), seenBy: .crashRegressions,
      survives: "a second safeguard: the sync that a dead process had announced makes a recovery write both"),
    Mutation(
      "a released page gets a checksum", in: "KVMap/Space/SpaceTable+Pages.swift",
      .leaveOut("header.seal(seed: memory.seed)"), seenBy: .store("SnapshotTests"), .crashes()),
    Mutation(
      "recovery beside readers seals the pages that snapshots point to", in: "KVMap/Recovery/Recovery.swift",
      .replace("if mode == .besideReaders {", by: "if !MUTATED, mode == .besideReaders {"),
      seenBy: .store("SnapshotTests"), .crashes()),
    Mutation(
      "freezing a state leaves the previous frozen state intact", in: "KVMap/Memory/SharedState.swift",
      .replace(
        "let pair = 1 - Int(self[.frozen] & 1)",
        by: "let pair = MUTATED ? Int(self[.frozen] & 1) : 1 - Int(self[.frozen] & 1)"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a snapshot is pinned", in: "KVMap/API/Store.Snapshot.swift",
      .replace("try pins.pin(epoch) else", by: "try (MUTATED ? true : pins.pin(epoch)) else"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a handle's own pins count", in: "KVMap/Space/ReuseRule.swift",
      .replace("memory.local.lowestPin,", by: "MUTATED ? .max : TEXT"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a turn adopts the last checkpoint as durable", in: turn,
      .leaveOut("turn.writer.adoptCheckpoint()"), seenBy: .crashes(),
      survives: "a second safeguard: each sync adopts it first"),
    Mutation(
      "a takeover waits for a checkpoint that is being written", in: turn,
      .replace(
        "let lock = try CheckpointLock(waitingFor: self)",
        by: "let lock = try (MUTATED ? CheckpointLock(untaken: self) : CheckpointLock(waitingFor: self))"),
      .replace("deinit {", by: "init(untaken core: StoreCore) { unsafe self.core = core }\n TEXT").in(lock),
      seenBy: .crashes(60),
      survives: "the simulation has one thread; the model of the protocol shows what happens"),
    Mutation(
      "closing waits for a checkpoint that began while it waited for the write lock", in: closing,
      .leaveOut("waitForOwnCheckpoint()", after: "endGroup(turn)"), seenBy: .store("HandleTests")),
    Mutation(
      "a group of commits is synced", in: "KVMap/Commit/CommitGroup.swift",
      .replace(
        "try publish(transaction, isDurable: true)", by: "try publish(transaction, isDurable: !MUTATED)"),
      seenBy: .store("GroupCommitTests"), .crashes()),
    Mutation(
      "a durable call that changes nothing syncs what was committed", in: "KVMap/Commit/Writer.swift",
      .leaveOut("if isDurable { try log.sync(upTo: log.tail) }"), seenBy: .store("SyncOrderTests")),
  ]
}
