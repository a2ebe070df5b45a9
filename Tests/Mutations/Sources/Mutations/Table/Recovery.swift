extension Mutation {
  private static let file = "KVMap/Recovery/Recovery.swift"
  private static let log = "KVMap/Log/LogWriter.swift"

  static let recovery: [Mutation] = [
    // Which superblock counts.
    Mutation(
      "the superblock with the higher epoch counts", in: file,
      .takeForFalse("first.epoch >= second.epoch"), seenBy: .store("VerifyTests"), .crashes()),
    Mutation(
      "superblocks of two stores are told apart", in: file,
      .takeForTrue("first.identifier == second.identifier"),
      .takeForTrue("first.seed == second.seed"), seenBy: .store("RecoveryTests/superblocksOfTwoStores")),
    Mutation(
      "superblocks that differ are made equal", in: file, .takeForTrue("first == second"), seenBy: .crashes()),
    Mutation(
      "superblocks are written and synced again after a failed sync", in: file,
      .takeForFalse("source.live[LivePage.syncFailed] != 0"), seenBy: .store("FailedSyncTests")),
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
      .takeForTrue("reaches(published[LivePage.published], start, block, end)"),
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
        "isTakeover ? Epoch(number: published[LivePage.epoch])",
        by: "isTakeover && !MUTATED ? Epoch(number: published[LivePage.epoch])"),
      seenBy: .store("SnapshotTests")),
    Mutation(
      "a takeover takes nothing that readers may see", in: file,
      .leaveOut("if isTakeover { target.live[LivePage.quarantine] = target.live[LivePage.epoch] }"),
      seenBy: .store("TakeoverTests")
    ),
    Mutation(
      "a takeover begins above the dead writer's high water", in: file,
      .replace("isTakeover ? published[LivePage.highWater] : 0", by: "(MUTATED ? 0 : TEXT)"),
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
        "live[LivePage.durable] = block.logPosition.offset",
        by: "live[LivePage.durable] = MUTATED ? end.tail.position.offset : block.logPosition.offset"),
      .replace(
        "live[LivePage.durableSegment] = block.segment.number",
        by: "live[LivePage.durableSegment] = MUTATED ? end.segment.number : block.segment.number"),
      seenBy: .crashes()),

    // What may have been taken for clean is stored again.
    Mutation(
      "records are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(Int(position.offset), count: head.storedBytes)"), seenBy: .crashes()),
    Mutation(
      "large values are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(range.lowerBound, count: range.count)"), seenBy: .crashes()),
    Mutation(
      "recovery syncs large values", in: log,
      .leaveOut("live[LivePage.extentEpoch] = live[LivePage.epoch]"), seenBy: .crashes()),
    Mutation(
      "headers of segments are stored again", in: log,
      .leaveOut("bytes.dirtyAgain(Int(next), count: SegmentHeader.byteCount)"), seenBy: .crashes(60),
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
      "the root is published after the other words", in: file,
      .before("for offset in stride(from: 0, to: LivePage.byteCount, by: 8)", "old[LivePage.root] = root"),
      seenBy: .crashes()),
    Mutation(
      "the generation is published last", in: file,
      .before(
        "old[LivePage.recoveries] = recoveries", "old[LivePage.generation] = generation"),
      seenBy: .crashes(60),
      survives:
        "a takeover reuses nothing that readers may see, so a reader that looks between the two stores "
        + "reads the old tree rightly"),
    Mutation(
      "what made a takeover necessary is forgotten last", in: file,
      .before(
        "for offset in stride(from: 0, to: LivePage.byteCount, by: 8)",
        "old[LivePage.syncFailed] = 0; old[LivePage.busy] = 0"), seenBy: .crashRegressions),
    Mutation(
      "a recovery is noticed by other handles", in: file,
      .leaveOut("old[LivePage.recoveries] = recoveries"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "what was rebuilt is the last frozen state", in: file,
      .leaveOut("target.live.freeze()"), seenBy: .store("SnapshotTests")),
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
