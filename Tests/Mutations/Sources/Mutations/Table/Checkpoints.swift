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
      "what others stored of the log is stored again before it is synced", in: "KVMap/Log/LogWriter.swift",
      .takeForFalse("inheritance.sequence.number > shared[.durableSequence].number"), seenBy: .crashes()),
    Mutation(
      "pages that others stored are made anew before a checkpoint", in: besides,
      .leaveOut("try rebuildDoubtfulPages(turn, lock)"), seenBy: .crashes()),
    Mutation(
      "pages that others stored are not made anew over a change that is in no log", in: turn,
      .takeForFalse("turn.writer.isHalfDone", after: "shared[.syncFailed] != 0 else { return }"),
      seenBy: .store("VouchingTests/aRemovalThatIsInNoLogIsNotForgotten")),
    Mutation(
      "one recovery since a handle joined may have begun before", in: turn,
      .replace(
        "shared[.recoveries] &- recoveriesWhenJoined < 2",
        by: "(MUTATED ? shared[.recoveries] == recoveriesWhenJoined : TEXT)"),
      seenBy: .store("VouchingTests/theLogIsInheritedUntilARecoveryHasStoredItAgain")),
    Mutation(
      "a handle at its end leaves the checkpoint to those who can vouch for what they stored", in: turn,
      .takeForFalse("inheritsPages(turn)", after: "func leavesCheckpointToOthers"), seenBy: .crashes(60),
      survives: "a saving: a checkpoint makes the pages anew"),
    Mutation(
      "a handle that leaves the checkpoint to others makes durable what was committed", in: closing,
      .takeForFalse("isForOthers", after: "if isDone { try truncateEnd(turn) }"),
      seenBy: .store("VouchingTests/closingBesideOthersMakesItsChangesDurable")),
    Mutation(
      "a checkpoint announces its sync", in: besides,
      .leaveOut("shared[.announcedSync] = UInt64(processIdentifier)"), seenBy: .crashRegressions),
    Mutation(
      "an announced sync whose process is gone counts as failed", in: lock,
      .leaveOut("shared[.syncFailed] = 1", after: "func noteSyncOfTheDead"), seenBy: .crashRegressions),
  ]

  static let checkpoints: [Mutation] = [
    Mutation(
      "the file is synced before the superblocks are written", in: checkpoint,
      .leaveOut("try backing.syncAll()"), seenBy: .crashes()),
    Mutation(
      "a checkpoint gives up if a sync failed meanwhile", in: checkpoint,
      .takeForFalse("shared[.syncFailed] != 0"), seenBy: .store("HandleTests")),
    Mutation(
      "the superblocks are written only after the file is synced", in: checkpoint,
      .before(
        "try backing.syncAll()",
        "block.encode(memory.bytes, at: Layout.superblockOffsets.a)"), seenBy: .crashes()),
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
          + "block.encode(memory.bytes, at: early) }"), seenBy: .crashes()),
    Mutation(
      "pages get a checksum", in: checkpoint, .leaveOut("header.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "overflow pages get a checksum", in: checkpoint,
      .leaveOut("try changed(page, .overflow, &sealing)?.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "an old page whose reference looks like that of a new one is sealed already", in: checkpoint,
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
      survives: "both are stored in one turn, and only who has the turn reuses space; if it dies in between, "
        + "it is taken over from, which raises the generation"),
    Mutation(
      "space is released only when both superblocks are written", in: besides,
      .before("try checkpoint.persist(block)", "checkpoint.publishReuse(block)"), seenBy: .crashes()),
    Mutation(
      "closing makes durable what was committed", in: closing,
      .leaveOut("try turn.writer.log.sync(upTo: turn.writer.log.tail)"),
      seenBy: .crashes()),
    Mutation(
      "Store.sync syncs", in: "KVMap/Engine/StoreCore+Write.swift",
      .leaveOut("try turn.writer.log.sync(upTo: turn.writer.log.tail)"), seenBy: .crashes()),
    Mutation(
      "the thread of .interval syncs", in: "KVMap/Engine/Maintenance.swift",
      .leaveOut("try? core.sync()"), seenBy: .store("SyncOrderTests/anInterval")),
    Mutation(
      "who died between the superblocks is finished for", in: besides,
      .leaveOut("try checkpoint.repairSuperblocks()"), seenBy: .crashRegressions,
      survives: "a second safeguard: the sync that a dead process had announced makes a recovery write both"),
    Mutation(
      "a page that is let go gets a checksum", in: "KVMap/Space/SpaceTable+Pages.swift",
      .leaveOut("header.seal(seed: memory.seed)"), seenBy: .store("SnapshotTests"), .crashes()),
    Mutation(
      "a recovery beside readers seals what snapshots point to", in: "KVMap/Recovery/Recovery.swift",
      .replace("if mode == .besideReaders {", by: "if !MUTATED, mode == .besideReaders {"),
      seenBy: .store("SnapshotTests"), .crashes()),
    Mutation(
      "a state that is frozen leaves the last one whole", in: "KVMap/Memory/SharedState.swift",
      .replace(
        "let pair = 1 - Int(self[.frozen] & 1)",
        by: "let pair = MUTATED ? Int(self[.frozen] & 1) : 1 - Int(self[.frozen] & 1)"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a snapshot is pinned", in: "KVMap/API/Snapshot.swift",
      .replace("try pins.pin(epoch) else", by: "try (MUTATED ? true : pins.pin(epoch)) else"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a handle's own pins count", in: "KVMap/Space/ReuseRule.swift",
      .replace("memory.local.lowestPin,", by: "MUTATED ? .max : TEXT"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a checkpoint is adopted as durable", in: turn,
      .leaveOut("turn.writer.adoptCheckpoint()"), seenBy: .crashes(),
      survives: "a second safeguard: each sync adopts it first"),
    Mutation(
      "a takeover waits for a checkpoint", in: turn,
      .replace(
        "let lock = try CheckpointLock(waitingFor: self)",
        by: "let lock = try (MUTATED ? CheckpointLock(untaken: self) : CheckpointLock(waitingFor: self))"),
      .replace("deinit {", by: "init(untaken core: StoreCore) { unsafe self.core = core }\n TEXT").in(lock),
      seenBy: .crashes(60),
      survives: "the simulation has one thread; the model of the protocol shows what happens"),
    Mutation(
      "closing waits for a checkpoint that was begun while it waited", in: closing,
      .leaveOut("waitForOwnCheckpoint()", after: "endGroup(turn)"), seenBy: .store("HandleTests")),
    Mutation(
      "a group of commits is synced", in: "KVMap/Commit/CommitGroup.swift",
      .replace(
        "try publish(transaction, isDurable: true)", by: "try publish(transaction, isDurable: !MUTATED)"),
      seenBy: .store("GroupCommitTests"), .crashes()),
    Mutation(
      "what is asked for with onCommit is durable though nothing changes", in: "KVMap/Commit/Writer.swift",
      .leaveOut("if isDurable { try log.sync(upTo: log.tail) }"), seenBy: .store("SyncOrderTests")),
  ]
}
