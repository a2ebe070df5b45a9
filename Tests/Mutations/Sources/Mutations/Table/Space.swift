extension Mutation {
  private static let units = "KVMap/Space/SpaceTable+Units.swift"
  private static let pages = "KVMap/Space/SpaceTable+Pages.swift"
  private static let reserve = "KVMap/Space/SpaceReserve.swift"
  private static let space = TestRun.store("SpaceTests")
  private static let fullDisk = TestRun.store("FullDiskTests")

  static let spaceTable: [Mutation] = [
    Mutation(
      "a released unit has the epoch of its release", in: units,
      .leaveOut("entry.epoch = epoch", after: "func releaseUnits"), seenBy: space, .crashes()),
    Mutation(
      "a released unit is entered as having disk space", in: units,
      .leaveOut("entry.diskSpace = .some", after: "mutating func releaseUnits"),
      seenBy: space),
    Mutation(
      "a row of units is entered wholly or not at all", in: units,
      .leaveOut("try makeWritable((first, count))"), seenBy: .store("FaultTests"), fullDisk, .crashes(60),
      survives:
        "needs a row across the border of two pages of the table, and a disk with room for the copy of the "
        + "first page but not of the second: the reserve of a put has room for both"),
    Mutation(
      "units that are being allocated are not used for pages of the space table", in: units,
      .takeForFalse("claiming.contains(number)"), seenBy: space, .crashes(60), .store("CompactionTests")),
    Mutation(
      "a row's length is checked before the row is released", in: units,
      .takeForTrue("UInt64(entry.length) <= highWater"), seenBy: .store("RefusalTests"), space,
      TestRun(filter: "HostileFileTests.KnownForgeryTests/")),
    Mutation(
      "only a row of the kind that is asked for is released", in: units,
      .takeForTrue("kinds.contains(kind)"), seenBy: space),
    Mutation(
      "released pages are marked as released", in: pages, .leaveOut("entry.releasedLately |= bit"),
      seenBy: space, .crashes()),
    Mutation(
      "pages released in an earlier epoch stay marked as released", in: pages,
      .leaveOut("entry.releasedBefore |= entry.releasedLately"), seenBy: space, .crashes()),
    Mutation(
      "pages released in an earlier epoch keep the epoch of their release", in: pages,
      .leaveOut("entry.epochBefore = entry.epoch"), seenBy: space, .crashes()),
    Mutation(
      "released pages have the epoch of their release", in: pages,
      .leaveOut("entry.epoch = epoch", after: "entry.releasedLately = 0"), seenBy: space, .crashes()),
    Mutation(
      "pages that are taken are marked as used", in: pages,
      .leaveOut("entry.used |= 1 << UInt16(bit)"), seenBy: space, .crashes()),
    Mutation(
      "an index unit that another process has freed gives no more pages", in: pages,
      .replace(
        "guard entry.kind == .index else { return 0 }",
        by: "guard MUTATED || entry.kind == .index else { return 0 }"
      ),
      seenBy: space, .store("CompactionTests"), .store("HandleTests"),
      survives:
        "needs another process that looks through the table between two turns of one epoch, just "
        + "after this one has opened a unit and used no page of it"
    ),
    Mutation(
      "an index unit with pages that a snapshot may need is not freed", in: pages,
      .takeForTrue("max(entry.epoch, entry.epochBefore) <= reuse.limit"), seenBy: .crashes(),
      .store("CompactionTests"), space,
      survives:
        "a second safeguard: the unit keeps the epoch of its last release, and the reuse rule applies"
    ),
    Mutation(
      "an index unit with pages in use is not freed", in: pages,
      .takeForTrue("entry.used == 0", after: "func isUnusedIndexUnit"), seenBy: space, .crashes(),
      survives:
        "a second safeguard: it is checked again when its entry is writable"),
    Mutation(
      "a page is released only in an index unit", in: pages,
      .takeForTrue("entry.kind == .index", after: "let entry = try writableEntryKeepingReleases(unit)"),
      seenBy: .store("DamageTests"), .store("RefusalTests"),
      TestRun(filter: "HostileFileTests.KnownForgeryTests/"),
      survives:
        "needs a space table that contradicts itself, which only a forger makes: what is "
        + "changed then was wrong before"
    ),
    Mutation(
      "a leaf that another handle may have dropped is looked up again", in: "KVMap/Engine/WriteLock.swift",
      .leaveOut("unsafe state.pointee.writer.space.forgetLeaves()"), seenBy: space),
    Mutation(
      "a leaf that was dropped is not written", in: "KVMap/Space/SpaceTable.swift",
      .leaveOut("forgetLeaves()", after: "func dropLeaves"), seenBy: space),
    Mutation(
      "a leaf of an older epoch is looked up again", in: "KVMap/Space/WritableLeaves.swift",
      .takeForTrue("self.epoch == epoch", after: "func page"), seenBy: .crashes()),
    Mutation(
      "pages of the space table of an older epoch are not written to", in: "KVMap/Space/SpaceTable.swift",
      .takeForTrue(
        "memory.header(pointer.page).epoch == epoch",
        after: "private mutating func writableLeaf"), seenBy: .crashes()),
    Mutation(
      "a put that allocates units leaves the reserve", in: units,
      .leaveOut("try reserve.ensure(above: end, memory, backing)"), seenBy: fullDisk,
      survives:
        "a second safeguard: each put ensures the reserve at its end as well"),
    Mutation(
      "the reserve has disk space", in: reserve,
      .leaveOut(
        "try backing.preallocate(offset: Int(unit) * Layout.unitBytes, count: Layout.unitBytes)"),
      seenBy: fullDisk),
    Mutation(
      "a put leaves more in reserve than a removal", in: reserve,
      .replace(
        "case .adding: Self.kept(memory)", by: "case .adding: MUTATED ? 0 : Self.kept(memory)"),
      seenBy: fullDisk),
    Mutation(
      "a removal leaves what the checkpoint needs", in: reserve,
      .replace("case .removing: 1", by: "case .removing: MUTATED ? 0 : 1"), seenBy: fullDisk,
      survives:
        "no test fills a disk so precisely that a checkpoint lacks this one unit"),
    Mutation(
      "no unit above a lowered high-water mark is entered as having all its disk space", in: units,
      .leaveOut("if entry.kind == .free { entry.diskSpace = .some }"), seenBy: .store("PunchTests")),
    Mutation(
      "pages of the space table about units above the high-water mark are released",
      in: "KVMap/Space/SpaceTable.swift",
      .leaveOut("pendingReleases += pages"), seenBy: .store("CompactionTests")),
    Mutation(
      "these pages are chosen by the high-water mark as it is after the path was copied",
      in: "KVMap/Space/SpaceTable.swift",
      .takeForFalse("last != Self.leaf(of: Unit(number: highWater - 1))"), seenBy: .store("SpaceTests")),
    Mutation(
      "a takeover takes no released pages, which readers may see", in: pages,
      .takeForFalse("!takesReleasedPages"), seenBy: .crashes(), .store("TakeoverTests"),
      .store("SnapshotTests")),
    Mutation(
      "recovery alone may take released pages", in: "KVMap/Recovery/Recovery.swift",
      .replace(
        "writer.space.takesReleasedPages = !mode.isBesideReaders && !mode.isPrivate",
        by: "writer.space.takesReleasedPages = !MUTATED && !mode.isBesideReaders && !mode.isPrivate"),
      seenBy: fullDisk),
  ]
}
