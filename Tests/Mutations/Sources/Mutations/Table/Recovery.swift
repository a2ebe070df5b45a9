extension Mutation {
  private static let file = "KVMap/Recovery/Recovery.swift"
  private static let superblocks = "KVMap/Format/SuperblockPair.swift"
  private static let log = "KVMap/Log/LogWriter.swift"
  private static let shared = "KVMap/Memory/SharedState.swift"

  static let recovery: [Mutation] = [
    // Which superblock counts.
    Mutation(
      "the superblock with the higher epoch counts", in: superblocks,
      .takeForFalse("first.epoch >= second.epoch"), seenBy: .store("VerifyTests"), .crashes()),
    Mutation(
      "superblocks of two stores are told apart", in: superblocks,
      .takeForTrue("first.identifier == second.identifier"),
      .takeForTrue("first.seed == second.seed"), seenBy: .store("RecoveryTests/superblocksOfTwoStores")),
    Mutation(
      "superblocks that differ are made equal", in: superblocks, .takeForTrue("first == second"),
      seenBy: .crashes()),
    Mutation(
      "superblocks are written and synced again after a failed sync", in: file,
      .takeForFalse("source.shared[.syncFailed] != 0"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "superblocks that agree in memory are stored again", in: file,
      .leaveOut("source.fixed.dirtyAgain(offset, count: Superblock.byteCount)"), seenBy: .crashRegressions),

    // What is found out before anything is written.
    Mutation(
      "a record that says SYNCED behind the end is damage", in: file,
      .replace("scanner.damageBeyondEnd(backing.dataRanges)", by: "(MUTATED ? nil : TEXT)"),
      seenBy: .store("LogTests")),
    Mutation(
      "a private view looks again before it tells of damage", in: file,
      .takeForFalse("scanner.scanOn()"), seenBy: .store("HandleTests"),
      survives: "needs a writer that commits between two looks of one opening, which no test can time"),
    Mutation(
      "a takeover reaches what was published", in: file,
      .takeForTrue("reaches(published[.published].offset, start, block, end)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "what replay starts from is checked before anything is written", in: file,
      .leaveOut("try checkWhatReplayTouches(block, end)"), seenBy: .store("RecoveryTests/aDamagedPage"),
      survives: "a second safeguard: the trial, which writes to private memory, meets the same pages"),

    // What the new state is built from, and where.
    Mutation(
      "recovery works in a new epoch", in: file,
      .replace(
        "max(working, block.epoch).next.number", by: "(MUTATED ? max(working, block.epoch).number : TEXT)"),
      seenBy: .crashes()),
    Mutation(
      "a takeover's epoch is above the dead writer's", in: file,
      .replace(
        "mode.isBesideReaders ? published[.epoch]",
        by: "mode.isBesideReaders && !MUTATED ? published[.epoch]"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a takeover takes nothing that readers may see", in: file,
      .leaveOut("if mode.isBesideReaders { target.shared[.quarantine] = target.shared[.epoch] }"),
      seenBy: .store("TakeoverTests")
    ),
    Mutation(
      "a takeover begins above the dead writer's high water", in: file,
      .replace("mode.isBesideReaders ? published[.highWater].number : 0", by: "(MUTATED ? 0 : TEXT)"),
      seenBy: .crashes(), .kills("readersGoOn")),
    Mutation(
      "recovery begins above what the log needs", in: file,
      .replace("end.highWater,", by: "(MUTATED ? 0 : end.highWater),"), seenBy: .crashes()),
    Mutation(
      "recovery takes nothing below the high water", in: file,
      .leaveOut("writer.space.isRecovering = true"), seenBy: .crashes(60)),
    Mutation(
      "recovery syncs from the checkpoint on", in: file,
      .replace(
        "shared[.durable] = block.logPosition",
        by: "shared[.durable] = MUTATED ? end.tail.position : block.logPosition"),
      .replace(
        "shared[.durableSegment] = block.segment",
        by: "shared[.durableSegment] = MUTATED ? end.segment : block.segment"),
      seenBy: .crashes()),

    // What may have been taken for clean is stored again.
    Mutation(
      "records are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(record.offset, count: record.storedBytes)"), seenBy: .crashes()),
    Mutation(
      "large values are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(range.lowerBound, count: range.count)"), seenBy: .crashes()),
    Mutation(
      "recovery syncs large values", in: log,
      .leaveOut("shared[.extentEpoch] = shared[.epoch]"), seenBy: .crashes()),
    Mutation(
      "headers of segments are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(Int(record.linkTarget), count: SegmentHeader.byteCount)"),
      seenBy: .crashes(60),
      survives:
        "a second safeguard: the log never ends in LINK, and the record behind it lies in the same page and "
        + "is stored again itself"),
    Mutation(
      "each page of a range is stored again", in: "KVMap/Format/MappedBytes.swift",
      .replace(
        "while word < offset + count {",
        by: "while word < (MUTATED ? min(offset + count, offset + 1) : offset + count) {"),
      seenBy: .crashes()),

    // The end.
    Mutation(
      "CUT ends what a crash left behind", in: file,
      .leaveOut("writer.log.appendCut(random: (generator.next(), generator.next()), &tail)"),
      seenBy: .store("LogTests"), .crashes()),
    Mutation(
      "CUT jumps the sequence", in: "KVMap/Log/LogWriter.swift",
      .leaveOut("tail.sequence.number += Layout.sequenceJump"),
      .replace("isCut ? Layout.sequenceJump : 0", by: "isCut && !MUTATED ? Layout.sequenceJump : 0").in(
        "KVMap/Log/LogScanner.swift"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "CUT is random", in: "KVMap/Log/LogWriter.swift",
      .replace("bytes.store64(random.0, offset)", by: "bytes.store64(MUTATED ? 0 : random.0, offset)"),
      .replace(
        "bytes.store64(random.1, offset + 8)", by: "bytes.store64(MUTATED ? 0 : random.1, offset + 8)"),
      seenBy: .crashes(60),
      survives:
        "a second safeguard: CUT is durable before anything follows it, so no record can have followed "
        + "an equal one that was lost"),
    Mutation(
      "recovery syncs through CUT", in: file, .leaveOut("try writer.log.sync(upTo: tail)"),
      seenBy: .crashes()),
    Mutation(
      "the root is published after the other words", in: shared,
      .before("for offset in stride(from: 0, to: Self.byteCount, by: 8)", "self[.root] = root"),
      seenBy: .crashes()),
    Mutation(
      "the generation is published last", in: shared,
      .before("self[.recoveries] = recoveries", "self[.generation] = generation"),
      seenBy: .crashes(60),
      survives:
        "a takeover reuses nothing that readers may see, so a reader that looks between the two stores "
        + "reads the old tree rightly"),
    Mutation(
      "what made a takeover necessary is forgotten last", in: shared,
      .before(
        "for offset in stride(from: 0, to: Self.byteCount, by: 8)",
        "self[.syncFailed] = 0; self[.busy] = 0"), seenBy: .crashRegressions),
    Mutation(
      "a recovery is noticed by other handles", in: shared,
      .leaveOut("self[.recoveries] = recoveries"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "what was rebuilt is the last frozen state", in: file,
      .leaveOut("target.shared.freeze()"), seenBy: .store("SnapshotTests")),
    Mutation(
      "a trial does not ask for memory", in: "KVMap/Backing/PrivateBacking.swift",
      .replace(
        "options: .noReserve)", by: "options: MUTATED ? [] : .noReserve)", after: "sharing: .private,"),
      seenBy: .store("HandleTests")),
    Mutation(
      "the search for damage stays within the data", in: "KVMap/Log/LogScanner.swift",
      .replace("at + 16 <= stop", by: "at + (MUTATED ? 8 : 16) <= stop"), seenBy: .store("FullDiskTests")),
  ]
}
