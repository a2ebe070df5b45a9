extension Mutation {
  private static let checkpoint = "KVMap/Store/Checkpoint.swift"
  private static let turn = "KVMap/Store/StoreCore+Turn.swift"
  private static let order = "for offset in [Layout.superblockOffsets.a, Layout.superblockOffsets.b]"
  private static let superblockSync = "try backing.sync(offset: offset, count: Layout.pageBytes)"

  static let checkpoints: [Mutation] = [
    Mutation(
      "the file is synced before the superblocks are written", in: checkpoint,
      .leaveOut("try backing.sync(offset: 0, count: backing.mappedBytes)"), seenBy: .crashes()),
    Mutation(
      "the superblocks are written only after the file is synced", in: checkpoint,
      .before(
        "try backing.sync(offset: 0, count: backing.mappedBytes)",
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
        "for early in [Layout.superblockOffsets.a, Layout.superblockOffsets.b] { "
          + "block.encode(memory.bytes, at: early) }"), seenBy: .crashes()),
    Mutation(
      "pages get a checksum", in: checkpoint, .leaveOut("header.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "overflow pages get a checksum", in: checkpoint,
      .leaveOut("try changed(page, .overflow, &sealing)?.seal(seed: memory.seed)"),
      seenBy: .crashes()),
    Mutation(
      "a new epoch begins when a checkpoint is frozen", in: checkpoint,
      .leaveOut("live[LivePage.epoch] = block.epoch.number + 1"), seenBy: .crashes()),
    Mutation(
      "the generation rises with a checkpoint", in: checkpoint,
      .leaveOut("live[LivePage.generation] += 1"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "the generation rises before the durable epoch", in: checkpoint,
      .before(
        "live[LivePage.generation] += 1", "live[LivePage.durableEpoch] = block.epoch.number"),
      seenBy: .crashes(60), .store("ReadProtocolTests"),
      survives: "both are stored in one turn, and only who has the turn reuses space; if it dies in between, "
        + "it is taken over from, which raises the generation"),
    Mutation(
      "space is released only when both superblocks are written", in: turn,
      .before("try checkpoint.record(block)", "checkpoint.release(block)"), seenBy: .crashes(60),
      survives:
        "all of it is one turn, and nobody reuses space meanwhile; after a failure or death in it, recovery "
        + "goes by the superblocks"),
    Mutation(
      "closing makes durable what was committed", in: turn,
      .leaveOut("try unsafe writer.pointee.log.sync(upTo: writer.pointee.log.tail.position)"),
      seenBy: .crashes()),
    Mutation(
      "Store.sync syncs", in: turn,
      .leaveOut("try writer.log.sync(upTo: writer.log.tail.position)"), seenBy: .crashes()),
    Mutation(
      "the thread of .interval syncs", in: "KVMap/Store/IntervalSyncer.swift",
      .leaveOut("try? core.sync()"), seenBy: .store("SyncOrderTests/anInterval")),
    Mutation(
      "what lies in another segment is not durable for being lower", in: "KVMap/Store/StoreCore+Write.swift",
      .takeForFalse("memory.live[LivePage.durableSegment] != memory.live[LivePage.segment]"),
      seenBy: .store("LogTests")),
  ]
}
