extension Mutation {
  private static let mover = "KVMap/Log/MoveWriter.swift"
  private static let look = "KVMap/Compaction/Compactor+Look.swift"
  private static let move = "KVMap/Compaction/Compactor+Move.swift"
  private static let punch = "KVMap/Compaction/Compactor+Punch.swift"
  private static let full = "KVMap/Compaction/Compactor+Full.swift"
  private static let inUse = "KVMap/Compaction/Writer+Compaction.swift"
  private static let merge = "KVMap/Index/WritableIndex+Merge.swift"
  private static let closing = "KVMap/Engine/StoreCore+Closing.swift"
  private static let compaction = TestRun.store("CompactionTests")
  private static let damaged = TestRun.store("DamageTests")

  static let moving: [Mutation] = [
    Mutation(
      "a moved record gets a checksum for its new place", in: mover,
      .leaveOut("bytes.store64(UInt64(moved.computeChecksum(bytes, at: offset, seed: memory.seed)), offset)"),
      seenBy: .crashes()),
    Mutation(
      "a moved record has neither END nor SYNCED", in: mover,
      .leaveOut("moved.flags.remove([.end, .synced])"), seenBy: .crashes(60), .store("SalvageTests"),
      compaction,
      survives:
        "a second safeguard: no log points to a segment of moved records, as its header has the ordinal 0"),
    Mutation(
      "a moved record has a kind of its own", in: mover,
      .leaveOut("moved.kindBits = RecordKind.move.rawValue"), seenBy: .crashes(60), .store("SalvageTests"),
      compaction,
      survives:
        "a second safeguard: the header of its segment has the ordinal 0, and no chain points to it"),
    Mutation(
      "a moved large value gets a checksum for its new place", in: mover,
      .leaveOut("bytes.store64(checksum, offset + moved.externalOffset + 8)"), seenBy: compaction),
    Mutation(
      "a moved record points to its moved large value", in: mover,
      .leaveOut("bytes.store64(UInt64(extent), offset + moved.externalOffset)"), seenBy: compaction),
    Mutation(
      "a segment of moved records has a header", in: mover,
      .leaveOut(
        "SegmentHeader(ordinal: 0, next: Unit(number: 0), sequence: SequenceNumber(number: 0)).encode( "
          + "bytes, at: start, seed: memory.seed)"), seenBy: .crashes(60), compaction),
    Mutation(
      "moved records have disk space before they are written", in: mover,
      .leaveOut("try backing.allocate(offset: Int(ready), count: Int(target - ready))"),
      seenBy: .store("FullDiskTests"), .store("FileSizeLimitTests"),
      survives:
        "no test fills a disk just while records are moved; a page without disk space is a loss of the "
        + "mapping, which is reported"),
    Mutation(
      "a slot points to a copy only when the copy is complete", in: move,
      .before(
        "let target = writer.mover.copy(record)",
        "writer.memory.bytes.storeRelease(Slot(tag: hash.tag, position: "
          + "writer.shared[.moveTail]).bits, slot)"), seenBy: .crashes()),
    Mutation(
      "a slot points to a moved large value only when the copy is complete", in: full,
      .before(
        "writer.memory.bytes.copy(from: range.lowerBound, to: offset, count: range.count)",
        "writer.memory.bytes.storeRelease(Slot(tag: slot.tag, position: "
          + "writer.shared[.moveTail]).bits, slotOffset)"), seenBy: .crashes(),
      survives: "a crash undoes it: only a reader that looks between two statements could see it"),
    Mutation(
      "a damaged record is not moved", in: move,
      .takeForTrue("record.isIntact"), seenBy: damaged),
    Mutation(
      "a damaged record's large value is not moved", in: full,
      .takeForTrue("record.isIntact"), seenBy: damaged),
    Mutation(
      "a damaged large value is not moved", in: full,
      .replace("(try? record.verifyExternal(range)) != nil", by: "(MUTATED || TEXT)"),
      seenBy: damaged),
    Mutation(
      "a segment is released only when nothing lives in it", in: move,
      .replace(
        "if try writer.space.liveBytes(segment, at: 0).counted == 0 {",
        by: "if try (MUTATED ? true : writer.space.liveBytes(segment, at: 0).counted == 0) {"),
      seenBy: damaged, .crashes()),
    Mutation(
      "records that have only probably expired still live", in: look,
      .replace(
        "if live.counted == 0 { return try releaseSegment(&writer, segment) }",
        by: "if (MUTATED ? live.probable : live.counted) == 0 { return try releaseSegment(&writer, segment) }"
      ),
      seenBy: compaction, .crashes()),
    Mutation(
      "the segment that the log writes to is no victim", in: inUse,
      .takeForFalse("number == shared[.segment].number"), seenBy: .crashes(), compaction),
    Mutation(
      "the segment that the log will go on in is no victim", in: inUse,
      .takeForFalse("number == shared[.nextSegment].number"), seenBy: .crashes(), compaction),
    Mutation(
      "the segment that moved records go to is no victim", in: inUse,
      .takeForFalse("number == shared[.moveSegment].number"), seenBy: compaction),
    Mutation(
      "the victim is not chosen again", in: inUse,
      .takeForFalse("number == shared[.victim].number"), seenBy: .crashes(), compaction),
    Mutation(
      "a segment that another handle has released is no victim", in: move,
      .takeForTrue("entry.kind == .segment", after: "while let candidate = candidates.popLast()"),
      seenBy: compaction, .crashes(),
      survives:
        "a second safeguard: units that are no segment any more have another length, except an extent of as "
        + "many units"
    ),
    Mutation(
      "a moved record is counted in its new segment", in: move,
      .leaveOut("try writer.space.addRecord(unit, bytes: record.storedBytes, expiry: expiry)"),
      seenBy: .crashes()),
    Mutation(
      "a moved record is no longer counted in its old segment", in: move,
      .leaveOut(
        "try writer.space.removeRecord(position.unit, bytes: record.storedBytes, expires: expiry != nil)"),
      seenBy: .crashes()),
    Mutation(
      "the old extent of a moved large value is released", in: full,
      .leaveOut("try writer.space.releaseUnits(extent.first)"), seenBy: compaction),
  ]

  static let givingBack: [Mutation] = [
    Mutation(
      "only free units are punched", in: punch,
      .takeForTrue("writer.space.isFree(entry)", after: "var isIncluded"),
      seenBy: compaction, .crashes()),
    Mutation(
      "an index unit whose pages readers may see is not freed", in: look,
      .takeForTrue("writer.space.isUnusedIndexUnit(entry)"), seenBy: .crashes(), compaction,
      survives:
        "a second safeguard: as a free unit it keeps the epoch of its last released page, and the reuse rule "
        + "applies"
    ),
    Mutation(
      "an index unit is not freed if the copy of its entry took a page of it", in: look,
      .takeForTrue("changed.used == 0"), seenBy: .crashes(), compaction,
      survives: "a second safeguard: pages are only taken from the open unit, which is not freed"),
    Mutation(
      "the open index unit is not freed", in: look,
      .takeForTrue("writer.space.open?.unit != unit", after: "guard let entry else"),
      .takeForTrue("writer.space.open?.unit != unit", after: "guard changed.used == 0,"), seenBy: .crashes(),
      compaction,
      survives:
        "a second safeguard: a unit that pages were taken from has pages in use; and taking pages begins with "
        + "a check of their unit"
    ),
    Mutation(
      "the file is truncated only if no other handle has it open", in: closing,
      .replace(
        "try backing.locks.tryLock(.attached, .exclusive)",
        by: "try (MUTATED ? true : backing.locks.tryLock(.attached, .exclusive))"),
      seenBy: .store("PunchTests")),
    Mutation(
      "the high-water mark is lowered only as the reuse rule allows",
      in: "KVMap/Space/SpaceTable+Units.swift",
      .replace(
        "isFree(try entry(Unit(number: end - 1)))",
        by: "(try MUTATED ? (entry(Unit(number: end - 1))?.kind ?? .free) == .free "
          + ": isFree(entry(Unit(number: end - 1))))"), seenBy: .crashes(), compaction),
    Mutation(
      "the high-water mark is lowered", in: "KVMap/Engine/StoreCore+Checkpoint.swift",
      .leaveOut("try turn.writer.space.trimEnd()"), seenBy: compaction),
    Mutation(
      "space above a lowered high-water mark is punched", in: "KVMap/Engine/StoreCore+Compaction.swift",
      .leaveOut("_ = try turn.writer.punchEnd(upTo: end)"), seenBy: .store("ProcessTests/aReaderGoesOn")),
    Mutation(
      "a checkpoint is due when many pages of the index wait for one",
      in: "KVMap/Engine/StoreCore+Checkpoint.swift",
      .replace("shared[.releasedPages] /", by: "(MUTATED ? 0 : shared[.releasedPages]) /"),
      seenBy: .store("SnapshotTests/manyShortSnapshotsTakeLittleSpace")),
    Mutation(
      "a moved large value takes no more pages than it needs", in: full,
      .replace(
        "Layout.endOfPage(UInt64(range.count))",
        by: "(MUTATED ? UInt64(extent.count * Layout.unitBytes) : Layout.endOfPage(UInt64(range.count)))"),
      seenBy: compaction),
    Mutation(
      "a small store is cloned if its backup would be larger", in: "KVMap/API/Store+Backup.swift",
      .leaveOut("return false", after: "if try core.takesLess(than: copy), try"), seenBy: .store("SizeTests")),
    Mutation(
      "the search for free units does not begin above the high-water mark",
      in: "KVMap/Space/SpaceTable+Units.swift",
      .leaveOut("unitCursor.unit = min(unitCursor.unit, end)"), seenBy: compaction, .store("SpaceTests"),
      survives: "it costs some space until the next checkpoint, after which the search begins again"),
    Mutation(
      "units above a lowered high-water mark are no reserve",
      in: "KVMap/Space/SpaceTable+Units.swift",
      .leaveOut("reserve.forget()"), seenBy: .store("FullDiskTests"), compaction,
      survives:
        "a second safeguard: they keep their disk space until the checkpoint is durable, and then the whole "
        + "reserve is allocated again"
    ),
    Mutation(
      "truncated space is no reserve", in: closing,
      .leaveOut("turn.writer.space.reserve.forget()"), seenBy: .store("FullDiskTests"), compaction,
      survives: "a second safeguard: after the checkpoint before it, the whole reserve is allocated again"),
    Mutation(
      "truncated space is no longer mapped", in: "KVMap/Memory/StoreMapping.swift",
      .leaveOut("unsafe local.pointee.mappedBytes.store(min(bytes, mappedBytes), ordering: .releasing)"),
      seenBy: .store("PunchTests")),
  ]

  static let merging: [Mutation] = [
    Mutation(
      "buckets with changes of a transaction are not merged", in: merge,
      .takeForFalse("slot.isPending"), seenBy: .store("ModelTests"), .store("IndexTests"), .crashes(),
      survives: "a second safeguard: the end of a transaction finds the slot of each record again"),
    Mutation(
      "buckets with overflow pages are not merged", in: merge,
      .takeForFalse(
        "memory.header(page).overflow.number != 0", after: "private func fitTogether"),
      seenBy: .store("IndexTests")),
    Mutation(
      "a line of a merged bucket gets no more slots than it has", in: merge,
      .takeForFalse("inLine > Bucket.slotsPerLine"), seenBy: .store("IndexTests"), compaction),
    Mutation(
      "only halves of equal depth are merged", in: merge, .takeForTrue("other.depth == page.depth"),
      seenBy: .store("IndexTests"), compaction),
    Mutation(
      "an overflow page is dropped only if it is empty", in: merge,
      .leaveOut("if memory.bucket(page).isFuller(than: 0) { return }"),
      seenBy: .store("IndexTests"), .store("FloodTests"), .crashes()),
    Mutation(
      "the pages of both halves are released", in: merge,
      .leaveOut("space.release(other.page)"), seenBy: compaction, .store("IndexTests")),
    Mutation(
      "directory pages whose entries are all needed are not merged", in: merge,
      .takeForFalse("half[entry].depth >= node.depth + 8"), seenBy: .store("IndexTests"), compaction),
  ]
}
