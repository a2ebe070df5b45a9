extension Mutation {
  private static let units = "KVMap/Space/SpaceTable+Units.swift"
  private static let pages = "KVMap/Space/SpaceTable+Pages.swift"
  private static let reserve = "KVMap/Space/SpaceReserve.swift"
  private static let space = TestRun.store("SpaceTests")
  private static let fullDisk = TestRun.store("FullDiskTests")

  static let spaceTable: [Mutation] = [
    Mutation(
      "released units know when they were", in: units,
      .leaveOut("entry.epoch = epoch", after: "func releaseUnits"), seenBy: space, .crashes()),
    Mutation(
      "released units know that they have disk space", in: units,
      .leaveOut("entry.diskSpace = .some", after: "mutating func releaseUnits"),
      seenBy: space),
    Mutation(
      "a row of units is entered wholly or not at all", in: units,
      .leaveOut("try makeWritable((first, count))"), seenBy: .store("FaultTests"), fullDisk, .crashes(60),
      survives:
        "needs a row across the border of two pages of the table, and a disk with room for the copy of the "
        + "first but not of the second: the reserve of a put has room for both"),
    Mutation(
      "units that are chosen are not given out for pages of the table", in: units,
      .takeForFalse("claiming.contains(number)"), seenBy: space, .crashes(60), .store("CompactionTests")),
    Mutation(
      "a run's length is checked before it is released", in: units,
      .takeForTrue("UInt64(entry.length) <= highWater"), seenBy: .store("RefusalTests"), space,
      TestRun(filter: "HostileFileTests.KnownForgeryTests/")),
    Mutation(
      "what is released is kind of what is asked for", in: units,
      .takeForTrue("kinds.contains(kind)"), seenBy: space),
    Mutation(
      "released pages are marked", in: pages, .leaveOut("entry.releasedLately |= bit"),
      seenBy: space, .crashes()),
    Mutation(
      "pages released in an earlier epoch stay marked", in: pages,
      .leaveOut("entry.releasedBefore |= entry.releasedLately"), seenBy: space, .crashes()),
    Mutation(
      "pages released in an earlier epoch know when", in: pages,
      .leaveOut("entry.epochBefore = entry.epoch"), seenBy: space, .crashes()),
    Mutation(
      "released pages know when they were", in: pages,
      .leaveOut("entry.epoch = epoch", after: "entry.releasedLately = 0"), seenBy: space, .crashes()),
    Mutation(
      "pages that are taken are marked as used", in: pages,
      .leaveOut("entry.used |= 1 << UInt16(bit)"), seenBy: space, .crashes()),
    Mutation(
      "a unit of index pages that another process has freed is not used further", in: pages,
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
      "pages that a snapshot may need are no unit's to give away", in: pages,
      .takeForTrue("max(entry.epoch, entry.epochBefore) <= reuse.limit"), seenBy: .crashes(),
      .store("CompactionTests"), space,
      survives:
        "a second safeguard: the unit keeps the epoch of its last release, and is not used before that is past"
    ),
    Mutation(
      "a unit with pages in use is not given away", in: pages,
      .takeForTrue("entry.used == 0", after: "func isUnusedIndexUnit"), seenBy: space, .crashes(),
      survives:
        "a second safeguard: it is looked at again when its entry is writable"),
    Mutation(
      "a page that is released lies in a unit of the index", in: pages,
      .takeForTrue("entry.kind == .index", after: "let entry = try writableEntryKeepingReleases(unit)"),
      seenBy: .store("DamageTests"), .store("RefusalTests"),
      TestRun(filter: "HostileFileTests.KnownForgeryTests/"),
      survives:
        "takes a table that says two things of one unit, which only a forger makes: what is "
        + "changed then was wrong before"
    ),
    Mutation(
      "pages of the table of an older epoch are no place for entries", in: "KVMap/Space/SpaceTable.swift",
      .takeForTrue(
        "memory.header(pointer.page).epoch == epoch",
        after: "private func writableLeaf"), seenBy: .crashes()),
    Mutation(
      "a put leaves the reserve behind", in: units,
      .leaveOut("try reserve.ensure(above: end, memory, backing)"), seenBy: fullDisk,
      survives:
        "a second safeguard: each put makes sure of the reserve at its end as well"),
    Mutation(
      "the reserve has disk space", in: reserve,
      .leaveOut(
        "try backing.preallocate(offset: Int(unit) * Layout.unitBytes, count: Layout.unitBytes)"),
      seenBy: fullDisk),
    Mutation(
      "a put leaves more behind than a removal needs", in: reserve,
      .replace(
        "case .adding: Self.kept(memory)", by: "case .adding: MUTATED ? 0 : Self.kept(memory)"),
      seenBy: fullDisk),
    Mutation(
      "a removal leaves what the checkpoint needs", in: reserve,
      .replace("case .removing: 1", by: "case .removing: MUTATED ? 0 : 1"), seenBy: fullDisk,
      survives:
        "no test fills a disk so exactly that a checkpoint lacks this one unit"),
    Mutation(
      "nothing behind the high-water mark is entered as surely real", in: units,
      .leaveOut("if entry.kind == .free { entry.diskSpace = .some }"), seenBy: .store("PunchTests")),
    Mutation(
      "pages of the table about what lies behind the mark are dropped", in: "KVMap/Space/SpaceTable.swift",
      .leaveOut("pendingReleases += pages"), seenBy: .store("CompactionTests")),
    Mutation(
      "dropping them begins behind where the mark is by then", in: "KVMap/Space/SpaceTable.swift",
      .takeForFalse("last != Self.leaf(of: Unit(number: highWater - 1))"), seenBy: .store("SpaceTests")),
    Mutation(
      "who takes over takes no pages that readers may see", in: pages,
      .takeForFalse("!takesReleasedPages"), seenBy: .crashes(), .store("TakeoverTests"),
      .store("SnapshotTests")),
    Mutation(
      "who recovers alone has more than the reserve", in: "KVMap/Recovery/Recovery.swift",
      .replace(
        "writer.space.takesReleasedPages = !mode.isBesideReaders && !mode.isPrivate",
        by: "writer.space.takesReleasedPages = !MUTATED && !mode.isBesideReaders && !mode.isPrivate"),
      seenBy: fullDisk),
  ]
}
