extension Mutation {
  private static let writer = "KVMap/Commit/Writer.swift"
  private static let turn = "KVMap/Engine/StoreCore+WriteLock.swift"
  private static let transaction = "KVMap/Engine/StoreCore+Transaction.swift"

  static let writing: [Mutation] = [
    Mutation(
      ".onCommit syncs", in: writer, .leaveOut("try log.sync(upTo: tail)"), seenBy: .crashes()),
    Mutation(
      "a commit is seen only when it is durable", in: writer,
      .before(
        "try enterLog(tail, isDurable: request.isDurable)",
        "try publish(prepared, hash, Record(memory, start, header))"),
      .leaveOut("try publish(prepared, hash, Record(memory, start, header))"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "a removal is seen only when it is durable", in: writer,
      .before("try enterLog(tail, isDurable: isDurable)", "try unpublish(prepared)"),
      .leaveOut("try unpublish(prepared)", after: "try enterLog(tail, isDurable: isDurable)"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "a transaction is seen only when it is durable", in: "KVMap/Commit/Writer+Transaction.swift",
      .leaveOut("try enterLog(open.tail, isDurable: isDurable)"),
      .before("complete(open.tail)", "try enterLog(open.tail, isDurable: isDurable)"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "nothing is published over pages that were lost", in: writer,
      .takeForFalse("isLost", after: "func enterLog"), seenBy: .store("CutFileTests"),
      .store("LostFileTests"),
      survives:
        "the loss is found at the end of the turn all the same; what was published before that is of a "
        + "file that was cut short, and the store is taken over from"),
    Mutation(
      "a commit that failed is half done", in: writer,
      .leaveOut("isHalfDone = true", after: "func enterLog"), seenBy: .store("FaultTests"), .crashes(60),
      survives:
        "a second safeguard: what can fail from there on, a sync or a loss, sets the mark for a failed "
        + "sync as well"),
    Mutation(
      "the published position moves on", in: writer,
      .leaveOut("shared[.published] = tail.position"), seenBy: .store("TakeoverTests")),
    Mutation(
      "a slot is published with release", in: writer,
      .replace(
        "memory.bytes.storeRelease( Slot(tag: hash.tag, position: record.position).bits, prepared.slotOffset)",
        by: "if MUTATED { memory.bytes.storeRelaxed(Slot(tag: hash.tag, position: record.position).bits, "
          + "prepared.slotOffset) } else { TEXT }"),
      seenBy: .store("HandleTests"),
      survives:
        "x86 does no store before an earlier one; elsewhere a reader might see a slot without its record"),
    Mutation(
      "a slot is followed with acquire", in: "KVMap/Index/IndexReader.swift",
      .replace(
        "Slot(bits: bytes.loadAcquire(offset))",
        by: "Slot(bits: MUTATED ? bytes.loadRelaxed(offset) : bytes.loadAcquire(offset))"),
      seenBy: .store("HandleTests"),
      survives:
        "x86 does no load before an earlier one, and what a slot points to cannot be loaded before the slot"),
    Mutation(
      "readers pass over pending slots", in: "KVMap/Index/IndexReader.swift",
      .takeForFalse("slot.isPending", after: "slot.tag != tag || slot.isEmpty ||"),
      .takeForFalse("slot.isPending", after: "if slot.isEmpty ||"), seenBy: .store("HandleTests")),
    Mutation(
      "index pages of older epochs are copied", in: "KVMap/Index/WritableIndex.swift",
      .takeForTrue("memory.header(pointer.page).epoch == epoch"), seenBy: .crashes()),
    Mutation(
      "pages of the space table of older epochs are copied", in: "KVMap/Space/SpaceTable.swift",
      .takeForTrue(
        "header.epoch == epoch", after: "func writableCopy"),
      seenBy: .crashes()),
    Mutation(
      "a put's transaction is checked for loss", in: transaction,
      .leaveOut("try core.checkNotLost()", after: "try turn.writer.commit(pending, isDurable: isDurable)"),
      seenBy: .store("CutFileTests"),
      survives:
        "the commit itself looks before it publishes; a file cut short later than that is found by the next call"
    ),
    Mutation(
      "a get in a transaction is checked for loss", in: transaction,
      .leaveOut(
        "try core.checkNotLost()",
        after: "let bytes = memory.bytes.array(range.lowerBound, count: range.count)"),
      seenBy: .store("CutFileTests"),
      survives: "the checksum was right just before the bytes were copied: it takes a loss between the two"),
    Mutation(
      "a get in a transaction that finds nothing is checked for loss", in: transaction,
      .leaveOut(
        "try core.checkNotLost()",
        after: "// A page that was lost reads as one without slots."),
      seenBy: .store("LostFileTests")),
  ]

  static let turns: [Mutation] = [
    Mutation(
      "a change is checked for loss", in: turn,
      .leaveOut("try checkNotLost()", after: "func withWriteLock"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a turn begins with a look for loss", in: turn,
      .leaveOut("try checkNotLost()", after: "private func begin(_ turn"), seenBy: .store("CutFileTests"),
      survives: "a safeguard: each way through a turn looks again before it tells of success"),
    Mutation(
      "a writer that died is taken over from", in: turn,
      .replace(
        "shared[.busy] | shared[.syncFailed] != 0",
        by: "(MUTATED ? shared[.syncFailed] != 0 : (TEXT))"), seenBy: .store("TakeoverTests")),
    Mutation(
      "nobody writes after a failed sync", in: turn,
      .replace(
        "shared[.busy] | shared[.syncFailed] != 0",
        by: "(MUTATED ? shared[.busy] != 0 : (TEXT))"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "who finds a recovery of others starts afresh", in: turn,
      .replace(
        "shared[.recoveries] != turn.knownRecoveries", by: "(MUTATED ? turn.knownRecoveries == nil : TEXT)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "the path is looked at", in: turn, .leaveOut("try checkPath(turn)"), seenBy: .store("ReplacedFileTests")
    ),
    Mutation(
      "busy is set", in: turn,
      .leaveOut("shared[.busy] = UInt64(processIdentifier)", after: "try checkPath(turn)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "busy is cleared", in: turn, .leaveOut("shared[.busy] = 0"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "busy stays after a commit that is half done", in: turn,
      .takeForTrue("!turn.writer.isHalfDone"), seenBy: .store("FaultTests"), .crashes(60),
      survives:
        "a second safeguard: what can fail from there on, a sync or a loss, sets the mark for a failed "
        + "sync as well"),
    Mutation(
      "a failed sync is marked", in: turn, .takeForFalse("error.code == .outcomeUnknown"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "a loss is marked like a failed sync", in: turn, .takeForFalse("error.code == .lost"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a failed sync of a checkpoint that was due is marked", in: turn,
      .leaveOut("noteFailure(lossOr(error))", after: "func maintain"),
      .leaveOut("noteFailure(lossOr(error))").in("KVMap/Engine/StoreCore+Checkpoint.swift"),
      seenBy: .store("FailedSyncTests")),
  ]
}
