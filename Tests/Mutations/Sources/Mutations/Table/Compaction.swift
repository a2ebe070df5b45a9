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
      "a moved record is no end of a commit, and vouches for none", in: mover,
      .leaveOut("moved.flags.remove([.end, .synced])"), seenBy: .crashes(60), .store("SalvageTests"),
      compaction,
      survives:
        "a second safeguard: no log points to a segment of moved records, as its header has the ordinal 0"),
    Mutation(
      "a moved record is told from one of the log", in: mover,
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
        "no test fills a disk just while records are moved; a page that has no room is a loss of the mapping, "
        + "which is told"),
    Mutation(
      "a slot points to a copy only when that is whole", in: move,
      .before(
        "let target = writer.mover.copy(record)",
        "writer.memory.bytes.storeRelease(Slot(tag: hash.tag, position: "
          + "writer.shared[.moveTail]).bits, slot)"), seenBy: .crashes()),
    Mutation(
      "a slot points to a moved large value only when that is whole", in: full,
      .before(
        "writer.memory.bytes.copy(from: range.lowerBound, to: offset, count: range.count)",
        "writer.memory.bytes.storeRelease(Slot(tag: slot.tag, position: "
          + "writer.shared[.moveTail]).bits, slotOffset)"), seenBy: .crashes(),
      survives: "a crash undoes it: only a reader who looks between two statements could see it"),
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
      "a segment is given back only when nothing lives in it", in: move,
      .replace(
        "if try writer.space.liveBytes(segment, at: 0).counted == 0 {",
        by: "if try (MUTATED ? true : writer.space.liveBytes(segment, at: 0).counted == 0) {"),
      seenBy: damaged, .crashes()),
    Mutation(
      "what has probably expired still lives", in: look,
      .replace(
        "if live.counted == 0 { return try releaseSegment(&writer, segment) }",
        by: "if (MUTATED ? live.probable : live.counted) == 0 { return try releaseSegment(&writer, segment) }"
      ),
      seenBy: compaction, .crashes()),
    Mutation(
      "the segment that the log writes to is left", in: inUse,
      .takeForFalse("number == shared[.segment].number"), seenBy: .crashes(), compaction),
    Mutation(
      "the segment that the log will go on with is left", in: inUse,
      .takeForFalse("number == shared[.nextSegment].number"), seenBy: .crashes(), compaction),
    Mutation(
      "the segment that moved records go to is left", in: inUse,
      .takeForFalse("number == shared[.moveSegment].number"), seenBy: compaction),
    Mutation(
      "the segment that is being emptied is not chosen again", in: inUse,
      .takeForFalse("number == shared[.victim].number"), seenBy: .crashes(), compaction),
    Mutation(
      "a segment that others have given back is not chosen", in: move,
      .takeForTrue("entry.kind == .segment", after: "while let candidate = candidates.popLast()"),
      seenBy: compaction, .crashes(),
      survives:
        "a second safeguard: what is no segment any more has another length, but for large values of just that many units"
    ),
    Mutation(
      "a moved record is counted where it is", in: move,
      .leaveOut("try writer.space.addRecord(unit, bytes: record.storedBytes, expiry: expiry)"),
      seenBy: .crashes()),
    Mutation(
      "a moved record is not counted where it was", in: move,
      .leaveOut(
        "try writer.space.removeRecord(position.unit, bytes: record.storedBytes, expires: expiry != nil)"),
      seenBy: .crashes()),
    Mutation(
      "the units a large value was moved from are released", in: full,
      .leaveOut("try writer.space.releaseUnits(extent.first)"), seenBy: compaction),
  ]

  static let givingBack: [Mutation] = [
    Mutation(
      "only free units are given back", in: punch,
      .takeForTrue("writer.space.isFree(entry)", after: "var isIncluded"),
      seenBy: compaction, .crashes()),
    Mutation(
      "an index unit whose pages may be seen is kept", in: look,
      .takeForTrue("writer.space.isUnusedIndexUnit(entry)"), seenBy: .crashes(), compaction,
      survives:
        "a second safeguard: as a free unit it has the epoch of its last released page, and waits for the reuse rule as that did"
    ),
    Mutation(
      "an index unit whose pages the copying took is kept", in: look,
      .takeForTrue("changed.used == 0"), seenBy: .crashes(), compaction,
      survives: "a second safeguard: pages are only taken from the open unit, which is kept"),
    Mutation(
      "an index unit that pages are taken from is kept", in: look,
      .takeForTrue("writer.space.open?.unit != unit", after: "guard let entry else"),
      .takeForTrue("writer.space.open?.unit != unit", after: "guard changed.used == 0,"), seenBy: .crashes(),
      compaction,
      survives:
        "a second safeguard: a unit that pages were taken from has some in use; and who takes pages looks whether their unit was freed"
    ),
    Mutation(
      "the file is cut off only if nobody else has it open", in: closing,
      .replace(
        "try backing.locks.tryLock(.attached, .exclusive)",
        by: "try (MUTATED ? true : backing.locks.tryLock(.attached, .exclusive))"),
      seenBy: .store("PunchTests")),
    Mutation(
      "the end of the file is lowered by the rule", in: "KVMap/Space/SpaceTable+Units.swift",
      .replace(
        "isFree(try entry(Unit(number: end - 1)))",
        by: "(try MUTATED ? (entry(Unit(number: end - 1))?.kind ?? .free) == .free "
          + ": isFree(entry(Unit(number: end - 1))))"), seenBy: .crashes(), compaction),
    Mutation(
      "the end of the file is lowered", in: "KVMap/Engine/StoreCore+Checkpoint.swift",
      .leaveOut("try turn.writer.space.trimEnd()"), seenBy: compaction),
    Mutation(
      "space beyond the end is punched", in: "KVMap/Engine/StoreCore+Compaction.swift",
      .leaveOut("_ = try turn.writer.punchEnd(upTo: end)"), seenBy: .store("ProcessTests/aReaderGoesOn")),
    Mutation(
      "a checkpoint is due when many pages of the index wait for one",
      in: "KVMap/Engine/StoreCore+Checkpoint.swift",
      .replace("shared[.releasedPages] /", by: "(MUTATED ? 0 : shared[.releasedPages]) /"),
      seenBy: .store("SnapshotTests/manyShortSnapshotsTakeLittleSpace")),
    Mutation(
      "a large value that is moved takes no more pages than it needs", in: full,
      .replace(
        "Layout.endOfPage(UInt64(range.count))",
        by: "(MUTATED ? UInt64(extent.count * Layout.unitBytes) : Layout.endOfPage(UInt64(range.count)))"),
      seenBy: compaction),
    Mutation(
      "a backup of a small store that would be larger is a clone", in: "KVMap/API/Store+Backup.swift",
      .leaveOut("return false", after: "if try core.takesLess(than: copy), try"), seenBy: .store("SizeTests")),
    Mutation(
      "the search for free units does not begin beyond the end", in: "KVMap/Space/SpaceTable+Units.swift",
      .leaveOut("unitCursor.unit = min(unitCursor.unit, end)"), seenBy: compaction, .store("SpaceTests"),
      survives: "it costs some space until the next checkpoint, with which the search begins anew"),
    Mutation(
      "what lay above the end is no reserve when the end is lowered",
      in: "KVMap/Space/SpaceTable+Units.swift",
      .leaveOut("reserve.forget()"), seenBy: .store("FullDiskTests"), compaction,
      survives:
        "a second safeguard: it keeps its disk space until the checkpoint is durable, and then all of the reserve is asked for again"
    ),
    Mutation(
      "what was cut off is no reserve", in: closing,
      .leaveOut("turn.writer.space.reserve.forget()"), seenBy: .store("FullDiskTests"), compaction,
      survives: "a second safeguard: with the checkpoint before it, all of the reserve is asked for again"),
    Mutation(
      "what was cut off is mapped no more", in: "KVMap/Memory/StoreMapping.swift",
      .leaveOut("unsafe local.pointee.mappedBytes.store(min(bytes, mappedBytes), ordering: .releasing)"),
      seenBy: .store("PunchTests")),
  ]

  static let merging: [Mutation] = [
    Mutation(
      "buckets with changes of a transaction are not merged", in: merge,
      .takeForFalse("slot.isPending"), seenBy: .store("ModelTests"), .store("IndexTests"), .crashes(),
      survives: "a second safeguard: whoever finishes a transaction looks for the slot of each record anew"),
    Mutation(
      "buckets with overflow pages are not merged", in: merge,
      .takeForFalse(
        "memory.header(page).overflow.number != 0", after: "private func fitTogether"),
      seenBy: .store("IndexTests")),
    Mutation(
      "a line takes no more slots than it has", in: merge,
      .takeForFalse("inLine > Bucket.slotsPerLine"), seenBy: .store("IndexTests"), compaction),
    Mutation(
      "only an equal half is merged", in: merge, .takeForTrue("other.depth == page.depth"),
      seenBy: .store("IndexTests"), compaction),
    Mutation(
      "an overflow page is dropped only if it is empty", in: merge,
      .leaveOut("if memory.bucket(page).usedSlots > 0 { return }"),
      seenBy: .store("IndexTests"), .store("FloodTests"), .crashes()),
    Mutation(
      "the pages of both halves are released", in: merge,
      .leaveOut("space.release(other.page)"), seenBy: compaction, .store("IndexTests")),
    Mutation(
      "directory pages whose entries are all needed are not merged", in: merge,
      .takeForFalse("half[entry].depth >= node.depth + 8"), seenBy: .store("IndexTests"), compaction),
  ]
}
