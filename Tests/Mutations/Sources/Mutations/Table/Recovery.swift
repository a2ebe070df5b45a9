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
      "a record with SYNCED beyond the end of the log is damage", in: file,
      .replace("scanner.damageBeyondEnd(backing.dataRanges)", by: "(MUTATED ? nil : TEXT)"),
      seenBy: .store("LogTests")),
    Mutation(
      "a private view reads the log again before it reports damage", in: file,
      .takeForFalse("scanner.scanOn()"), seenBy: .store("HandleTests"),
      survives: "needs a writer that commits between two steps of one opening, which no test can time"),
    Mutation(
      "a takeover throws if it does not reach what was published", in: file,
      .takeForTrue("reaches(published[.published].offset, start, block, end)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "what replay starts from is checked before anything is written", in: file,
      .leaveOut("try checkWhatReplayTouches(block, end)"), seenBy: .store("RecoveryTests/aDamagedPage"),
      survives: "a second safeguard: the dry run, which writes to private memory, meets the same pages"),

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
      "a takeover begins a quarantine", in: file,
      .leaveOut("if mode.isBesideReaders { target.shared[.quarantine] = target.shared[.epoch] }"),
      seenBy: .store("TakeoverTests")
    ),
    Mutation(
      "a takeover allocates above the dead writer's high-water mark", in: file,
      .replace("mode.isBesideReaders ? published[.highWater].number : 0", by: "(MUTATED ? 0 : TEXT)"),
      seenBy: .crashes(), .kills("readersGoOn")),
    Mutation(
      "recovery allocates above what the log needs", in: file,
      .replace("end.highWater,", by: "(MUTATED ? 0 : end.highWater),"), seenBy: .crashes()),
    Mutation(
      "recovery allocates nothing below the high-water mark", in: file,
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

    // What the system may have taken for written is stored again.
    Mutation(
      "recovery stores the log's records again", in: log,
      .leaveOut("bytes.dirtyAgain(record.offset, count: record.storedBytes)"), seenBy: .crashes()),
    Mutation(
      "recovery stores large values again", in: log,
      .leaveOut("bytes.dirtyAgain(range.lowerBound, count: range.count)"), seenBy: .crashes()),
    Mutation(
      "recovery syncs large values", in: log,
      .leaveOut("shared[.extentEpoch] = shared[.epoch]"), seenBy: .crashes()),
    Mutation(
      "recovery stores the headers of segments again", in: log,
      .leaveOut("bytes.dirtyAgain(Int(record.linkTarget), count: SegmentHeader.byteCount)"),
      seenBy: .crashes(60),
      survives:
        "a second safeguard: the log never ends in LINK, and the record after LINK lies in the page of the "
        + "header and is stored again"),
    Mutation(
      "storing a range again stores each of its pages", in: "KVMap/Format/MappedBytes.swift",
      .replace(
        "while word < offset + count {",
        by: "while word < (MUTATED ? min(offset + count, offset + 1) : offset + count) {"),
      seenBy: .crashes()),

    // The end.
    Mutation(
      "recovery appends CUT", in: file,
      .leaveOut("writer.log.appendCut(tail.sequence.cut(at: clock.now()), isEnd: true, &tail)"),
      seenBy: .store("LogTests"), .crashes()),
    Mutation(
      "only a log without records leaves its CUT to the first commit", in: file,
      .takeForTrue("end.isEmpty(after: block)"), seenBy: .crashes()),
    Mutation(
      "the first commit begins with the CUT that recovery has left to it", in: log,
      .takeForFalse("shared[.pendingCut].number != 0", after: "func makeRoom("), seenBy: .store("LogTests")),
    Mutation(
      "the first commit has one CUT", in: log, .takeForTrue("tail.sequence == shared[.sequence]"),
      seenBy: .store("LogTests")),
    Mutation(
      "only the first commit has a CUT", in: log,
      .leaveOut("if shared[.pendingCut].number != 0 { shared[.pendingCut] = SequenceNumber(number: 0) }"),
      seenBy: .store("LogTests")),
    Mutation(
      "the CUT of the first commit counts only with that commit", in: log,
      .replace("isEnd: false, &tail", by: "isEnd: MUTATED, &tail"), seenBy: .store("UndoneCommitTests")),
    Mutation(
      "the number of a CUT is made of the time", in: "KVMap/Format/Numbers.swift",
      .takeForFalse("dated > self"), seenBy: .store("LogTests")),
    Mutation(
      "a number that is made of the time is above the expected one", in: "KVMap/Format/Numbers.swift",
      .takeForTrue("dated > self"), seenBy: .store("LogTests")),
    Mutation(
      "a CUT that is not made of the time is durable first", in: file,
      .replace(
        "end.tail.sequence.dated(clock.now())",
        by: "(MUTATED ? end.tail.sequence.cut(at: clock.now()) : TEXT)"), seenBy: .store("UndoneCommitTests")),
    Mutation(
      "a CUT after a LINK has a higher number", in: log,
      .replace("max(shared[.pendingCut], tail.sequence.next)", by: "(MUTATED ? shared[.pendingCut] : TEXT)"),
      seenBy: .store("LogTests/aCutAfterALink")),
    Mutation(
      "superblocks of an older version are replaced before anything is appended", in: file,
      .takeForFalse("block.isOfOlderVersion"), seenBy: .fixtures),
    Mutation(
      "CUT skips sequence numbers", in: log, .leaveOut("tail.sequence = number"),
      .takeForTrue("found > expected").in("KVMap/Log/LogScanner.swift"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "CUT holds random bytes", in: log,
      .replace(
        "bytes.store64(generator.next(), offset)", by: "bytes.store64(MUTATED ? 0 : generator.next(), offset)"
      ),
      .replace(
        "bytes.store64(generator.next(), offset + 8)",
        by: "bytes.store64(MUTATED ? 0 : generator.next(), offset + 8)"),
      seenBy: .crashes(60),
      survives:
        "a second safeguard: CUT has a number of its own, so the chain after it is another one, unless the "
        + "clock was set back"),
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
        "a takeover reuses nothing that readers may see, so a reader that begins between the two stores "
        + "reads the old tree correctly"),
    Mutation(
      "`sync failed` and `busy` are cleared last", in: shared,
      .before(
        "for offset in stride(from: 0, to: Self.byteCount, by: 8)",
        "self[.syncFailed] = 0; self[.busy] = 0"), seenBy: .crashRegressions),
    Mutation(
      "other handles notice a recovery", in: shared,
      .leaveOut("self[.recoveries] = recoveries"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "recovery freezes the state that it has rebuilt", in: file,
      .leaveOut("target.shared.freeze()"), seenBy: .store("SnapshotTests")),
    Mutation(
      "a private view reserves no memory", in: "KVMap/Backing/PrivateBacking.swift",
      .replace(
        "options: .noReserve)", by: "options: MUTATED ? [] : .noReserve)", after: "sharing: .private,"),
      seenBy: .store("HandleTests")),
    Mutation(
      "the search for damage stays within the data of the file", in: "KVMap/Log/LogScanner.swift",
      .replace("at + 16 <= stop", by: "at + (MUTATED ? 8 : 16) <= stop"), seenBy: .store("FullDiskTests")),
  ]
}
