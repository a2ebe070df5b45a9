extension Mutation {
  private static let writer = "KVMap/Commit/Writer.swift"
  private static let turn = "KVMap/Engine/StoreCore+WriteLock.swift"
  private static let transaction = "KVMap/Engine/StoreCore+Transaction.swift"

  static let writing: [Mutation] = [
    Mutation(
      ".onCommit syncs", in: writer, .leaveOut("try log.sync(upTo: tail)"), seenBy: .crashes()),
    Mutation(
      "a durable put is published only after its sync", in: writer,
      .before(
        "try enterLog(tail, isDurable: request.isDurable)",
        "try publish(prepared, hash, Record(memory, start, header))"),
      .leaveOut("try publish(prepared, hash, Record(memory, start, header))"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "a durable removal is published only after its sync", in: writer,
      .before("try enterLog(tail, isDurable: isDurable)", "try unpublish(prepared)"),
      .leaveOut("try unpublish(prepared)", after: "try enterLog(tail, isDurable: isDurable)"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "a durable transaction is published only after its sync", in: "KVMap/Commit/Writer+Transaction.swift",
      .leaveOut("try enterLog(open.tail, isDurable: isDurable)"),
      .before("complete(open.tail)", "try enterLog(open.tail, isDurable: isDurable)"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "nothing is published after a loss of the mapping", in: writer,
      .takeForFalse("isLost", after: "func enterLog"), seenBy: .store("CutFileTests"),
      .store("LostFileTests"),
      survives:
        "the end of the turn finds the loss all the same; what was published before that lies in a file that "
        + "was cut short, and the next writer takes over"),
    Mutation(
      "a commit that failed after it was appended is half done", in: writer,
      .leaveOut("isHalfDone = true", after: "func enterLog"), seenBy: .store("FaultTests"), .crashes(60),
      survives:
        "a second safeguard: what can fail from there on, a sync or a loss, sets `sync failed` as well"),
    Mutation(
      "a commit moves the published position", in: writer,
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
      "a slot is loaded with acquire", in: "KVMap/Index/IndexReader.swift",
      .replace(
        "Slot(bits: bytes.loadAcquire(offset))",
        by: "Slot(bits: MUTATED ? bytes.loadRelaxed(offset) : bytes.loadAcquire(offset))"),
      seenBy: .store("HandleTests"),
      survives:
        "x86 does no load before an earlier one; and a record is loaded after the slot that points to it"),
    Mutation(
      "readers ignore pending slots", in: "KVMap/Index/IndexReader.swift",
      .replace("slot.label != label", by: "(MUTATED ? slot.published : slot).label != label"),
      .takeForFalse("slot.isPending", after: "if slot.isEmpty ||"), seenBy: .store("HandleTests")),
    Mutation(
      "index pages of older epochs are copied before they change", in: "KVMap/Index/WritableIndex.swift",
      .takeForTrue("memory.header(pointer.page).epoch == epoch", after: "func writableCopy"),
      seenBy: .crashes()),
    Mutation(
      "a bucket is writable only if the pages above it are", in: "KVMap/Index/WritableIndex.swift",
      .leaveOut("if memory.header(pointer.page).epoch != epoch { isWritable = false }"),
      seenBy: .store("DamageTests")),
    Mutation(
      "recovery refuses pages of later epochs than the checkpoint",
      in: "KVMap/Recovery/CheckpointReader.swift",
      .takeForTrue("memory.header(pointer.page).epoch <= block.epoch"), seenBy: .store("DamageTests")),
    Mutation(
      "verification names pages of later epochs", in: "KVMap/Verify/Verifier.swift",
      .takeForFalse("header.epoch > newest"), seenBy: .store("DamageTests")),
    Mutation(
      "a reserve above a mark that was lowered is not relied on", in: "KVMap/Space/SpaceReserve.swift",
      .takeForFalse("memory.shared[.highWater].number < knownMark"), seenBy: .store("PunchTests")),
    Mutation(
      "pages of the space table of older epochs are copied before they change",
      in: "KVMap/Space/SpaceTable.swift",
      .takeForTrue(
        "header.epoch == epoch", after: "func writableCopy"),
      seenBy: .crashes()),
    Mutation(
      "a call changes nothing if its task was cancelled", in: "KVMap/Engine/CallQueue.swift",
      .leaveOut("if isCancelled { throw Store.Error(.busy, \"the task was cancelled\") }"),
      seenBy: .store("TaskTests")),
    Mutation(
      "a task is resumed after the sync of its commit", in: "KVMap/Engine/CallQueue.swift",
      .leaveOut("joined.first?.core.endOpenGroup()"), seenBy: .store("TaskTests")),
    Mutation(
      "a task that is in no group is resumed at once", in: "KVMap/Engine/CallQueue.swift",
      .takeForFalse("call.group == nil"), seenBy: .store("TaskTests/aCallThatFailed")),
    Mutation(
      "a call for which there is no thread cannot be cancelled", in: "KVMap/Engine/CallQueue.swift",
      .replace("call.state = .begun }", by: "if !MUTATED { call.state = .begun } }"),
      seenBy: .store("TaskTests/aCallWithoutAThread")),
    Mutation(
      "a group ends when another handle wants the lock", in: "KVMap/Engine/StoreCore+Group.swift",
      .takeForFalse("writeLock.isOverdue(turn)"), seenBy: .store("TaskTests/aGroupDoesNot")),
    Mutation(
      "a task learns that the sync of its commit failed", in: "KVMap/Engine/CallQueue.swift",
      .replace("= group?.error", by: "= MUTATED ? nil : group?.error"), seenBy: .store("TaskTests")),
    Mutation(
      "the commit of a transaction is checked for loss", in: transaction,
      .leaveOut("try core.checkNotLost()", after: "try turn.writer.commit(pending, isDurable: isDurable)"),
      seenBy: .store("CutFileTests"),
      survives:
        "the commit itself checks before it publishes; if the file is cut short later, the next call finds it"
    ),
    Mutation(
      "a get in a transaction is checked for loss", in: transaction,
      .leaveOut(
        "try core.checkNotLost()",
        after: "let result = try body(match.record(turn.writer.memory))"),
      seenBy: .store("CutFileTests"),
      survives: "the checksum was right just before the bytes were copied: it needs a loss between the two"),
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
      "a turn begins with a check for loss", in: turn,
      .leaveOut("try checkNotLost()", after: "private func begin(_ turn"), seenBy: .store("CutFileTests"),
      survives: "a second safeguard: every way through a turn checks again before it reports success"),
    Mutation(
      "the next writer takes over from a dead one", in: turn,
      .replace(
        "shared[.busy] | shared[.syncFailed] != 0",
        by: "(MUTATED ? shared[.syncFailed] != 0 : (TEXT))"), seenBy: .store("TakeoverTests")),
    Mutation(
      "a takeover follows a failed sync", in: turn,
      .replace(
        "shared[.busy] | shared[.syncFailed] != 0",
        by: "(MUTATED ? shared[.busy] != 0 : (TEXT))"), seenBy: .store("FailedSyncTests")),
    Mutation(
      "a handle that finds another handle's recovery forgets what it remembers", in: turn,
      .replace(
        "shared[.recoveries] != turn.knownRecoveries", by: "(MUTATED ? turn.knownRecoveries == nil : TEXT)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "a turn checks that the path still names the file", in: turn, .leaveOut("try checkPath(turn)"),
      seenBy: .store("ReplacedFileTests")
    ),
    Mutation(
      "a turn sets `busy`", in: turn,
      .leaveOut("shared[.busy] = UInt64(processIdentifier)", after: "try checkPath(turn)"),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "the end of a turn clears `busy`", in: turn, .leaveOut("shared[.busy] = 0"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "`busy` stays after a commit that is half done", in: turn,
      .takeForTrue("!turn.writer.isHalfDone"), seenBy: .store("FaultTests"), .crashes(60),
      survives:
        "a second safeguard: what can fail from there on, a sync or a loss, sets `sync failed` as well"),
    Mutation(
      "a failed sync sets `sync failed`", in: turn, .takeForFalse("error.code == .outcomeUnknown"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "a loss sets `sync failed`", in: turn, .takeForFalse("error.code == .lost"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a failed sync of a checkpoint that was due sets `sync failed`", in: turn,
      .leaveOut("noteFailure(lossOr(error))", after: "func maintain"),
      .leaveOut("noteFailure(lossOr(error))").in("KVMap/Engine/StoreCore+Checkpoint.swift"),
      seenBy: .store("FailedSyncTests")),
  ]
}
