extension Mutation {
  private static let read = "KVMap/Engine/StoreCore+Read.swift"
  private static let cursor = "KVMap/API/Store.Cursor.swift"
  private static let record = "KVMap/Log/Record.swift"
  private static let memory = "KVMap/Memory/StoreMemory.swift"

  private static let search = "KVMap/Damage/LogSearch.swift"

  static let salvage: [Mutation] = [
    Mutation(
      "no checksum is computed of bytes that cannot be a record", in: record,
      .takeForFalse("!isExternal || hasPlausibleExtent"), seenBy: .store("LogTests/everyRecord")),
    Mutation(
      "a record is none if its large value cannot lie there", in: record,
      .takeForTrue("!isExternal || hasPlausibleExtent"), seenBy: .store("DamagedLogTests")),
    Mutation(
      "used-up patience is listed", in: search, .leaveOut("attempt.isSearched = false"),
      seenBy: .store("DamagedLogTests/aSearchThatIsGivenUp")),
    Mutation(
      "a segment that was never used does not hide damage before it", in: search,
      .takeForTrue("gap.isDoubtful"), seenBy: .store("DamagedLogTests/damageToTheLastRecord")),
    Mutation(
      "what a power failure undid does not count", in: "KVMap/Damage/RecentLog.swift",
      .takeForFalse("!isNext"), seenBy: .store("UndoneCommitTests")),
  ]

  static let reading: [Mutation] = [
    Mutation(
      "a read counts only if the generation is unchanged", in: read,
      .takeForTrue("shared[.generation] == generation"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "an error counts only if the generation is unchanged", in: read,
      .takeForFalse("shared[.generation] != generation"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "a fence stands before the second load of the generation", in: read,
      .leaveOut("atomicMemoryFence(ordering: .acquiring)", after: "func read<R>"),
      seenBy: .store("HandleTests"),
      survives:
        "x86 does no load before an earlier one; elsewhere the second load might come before the reading"),
    Mutation(
      "a read is checked for loss", in: read,
      .takeForFalse("source.local.isLost", after: "func read<R>"), seenBy: .store("LostFileTests"),
      .store("CutFileTests")),
    Mutation(
      "damage in a lost mapping is reported as a loss", in: read,
      .leaveOut("try checkNotLost()", after: "private func throwUnlessOutdated"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "the last attempt of a read is checked for loss", in: read,
      .leaveOut("try checkNotLost()", after: "func readFrozen<R>"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "reading a value in place ends with a check for loss", in: read,
      .leaveOut("try checkNothingReadWasLost()", after: "let result = try body(value.span)"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a fence stands before the load of the loss mark", in: read,
      .leaveOut("atomicMemoryFence(ordering: .sequentiallyConsistent)"), seenBy: .store("LostFileTests"),
      survives: "a store that faults on x86 does so before any later load of its thread is done"),
    Mutation(
      "the last attempt of a read pins the epoch", in: read,
      .replace(
        "let pin = try pins.pinCurrent() defer { try? pins.unpin(pin) }",
        by: "let pin = MUTATED ? nil : try pins.pinCurrent()\n defer { if let pin { try? pins.unpin(pin) } }"),
      seenBy: .store("ReadProtocolTests")),
    Mutation(
      "withValue pins the epoch", in: read,
      .replace("let pin = backing.isShared ?", by: "let pin = !MUTATED && backing.isShared ?"),
      seenBy: .store("ReadProtocolTests")),
    Mutation(
      "a cursor reads a value again if the store has changed", in: cursor,
      .takeForTrue("batch.isCurrent(core.shared)"), seenBy: .store("CursorTests")),
    Mutation(
      "a cursor reads a value again while a change is under way", in: "KVMap/Memory/QuietMoment.swift",
      .takeForTrue("shared[.busy] == 0"), seenBy: .store("CursorTests")),
    Mutation(
      "a walk passes a key once that it has met in two slots", in: cursor,
      .leaveOut("Self.dropRepeated(&slots, index.memory)"), seenBy: .store("CursorTests/aKeyInTwoSlots")),
    Mutation(
      "a walk looks for such keys if a change is under way", in: cursor,
      .takeForFalse("moment == nil"), seenBy: .store("CursorTests/aKeyInTwoSlots")),
    Mutation(
      "a walk looks for such keys if there was a change", in: cursor,
      .takeForFalse("moment != QuietMoment(shared)"), seenBy: .store("CursorTests/keysThatComeAndGo")),
    Mutation(
      "a cursor maps what others have added to the file", in: "KVMap/API/CursorBatch.swift",
      .replace("isUnread = true", by: "isUnread = !MUTATED"), seenBy: .store("CursorTests")),
    Mutation(
      "forEach pins the epoch", in: cursor,
      .replace("let pin = backing.isShared ?", by: "let pin = !MUTATED && backing.isShared ?"),
      seenBy: .store("ReadProtocolTests")),
    Mutation(
      "each value of forEach is checked for loss", in: cursor,
      .leaveOut("try checkNothingReadWasLost()", after: "func forEach(in snapshot"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "the reader gate counts readers", in: "KVMap/Memory/ReaderGate.swift",
      .leaveOut("unsafe counters[index].wrappingAdd(1, ordering: .sequentiallyConsistent)"),
      .leaveOut("unsafe counters[ticket.index].wrappingSubtract(1, ordering: .releasing)"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "a reader checks that it was counted in the current period", in: "KVMap/Memory/ReaderGate.swift",
      .takeForTrue("self.period.load(ordering: .sequentiallyConsistent) == period"),
      seenBy: .store("HandleTests"),
      survives: "needs a thread that stops between two instructions while two checkpoints are written"),
    Mutation(
      "a forked child cannot use its parent's handle", in: read,
      .takeForTrue("kvmap_process_generation() == processGeneration"),
      seenBy: .store("HandleTests/aForkedChild")),
  ]

  static let damage: [Mutation] = [
    Mutation(
      "a value's record is verified", in: record,
      .leaveOut("try verify()", after: "func value()"), seenBy: .store("DamageTests")),
    Mutation(
      "a large value is verified", in: record,
      .leaveOut("try verifyExternal(range)"), seenBy: .store("DamageTests")),
    Mutation(
      "a record is verified before its key is called present", in: read,
      .leaveOut("try match.record(memory).verify()"),
      seenBy: .store("DamageTests")),
    Mutation(
      "a cursor verifies records", in: "KVMap/API/CursorBatch.swift",
      .leaveOut("try record.verify()"), seenBy: .store("DamageTests")),
    Mutation(
      "a record of another key is verified", in: record,
      .leaveOut("try verify()", after: "func isOf(_ key: RawSpan)"),
      seenBy: .store("DamageTests")),
    Mutation(
      "a record that has expired is verified", in: record,
      .leaveOut("try verify()", after: "func isExpired"),
      seenBy: .store("DamageTests")),
    Mutation(
      "a record's lengths fit what is mapped", in: record,
      .takeForTrue("header.fits(in: mapped - offset)"), seenBy: .store("DamageTests")),
    Mutation(
      "a page's checksum is checked when the page is used for the first time", in: memory,
      .takeForTrue("header.isIntact(seed: seed)", after: "private func verify("),
      seenBy: .store("IndexTests"),
      .store("RefusalTests/anyByteMayBeWrong")),
    Mutation(
      "a page has the kind that its pointer means", in: memory,
      .takeForTrue("header.kindByte == kind.rawValue", after: "private func verify("),
      seenBy: .store("DamageTests")),
    Mutation(
      "a page has the epoch that its pointer means", in: memory,
      .takeForTrue(
        "header.epoch.tag == pointer.epochTag",
        after: "at: pointer.page.offset, \"its checksum does not match\")"),
      seenBy: .store("DamageTests")),
    Mutation(
      "recovery verifies pages", in: memory,
      .takeForTrue("header.isIntact(seed: seed)", after: "func checkSealed("), seenBy: .store("RefusalTests"),
      .store("IndexTests")),
    Mutation(
      "recovery checks the kind and epoch of pages", in: memory,
      .replace(
        "header.kindByte == kind.rawValue, header.epoch.tag == pointer.epochTag",
        by: "(MUTATED || (header.kindByte == kind.rawValue && header.epoch.tag == pointer.epochTag))"),
      seenBy: .store("DamageTests"),
      survives: "a second safeguard: the dry run checks each page that it meets in the same way"),
    Mutation(
      "a superblock counts only with the right checksum", in: "KVMap/Format/Superblock.swift",
      .takeForTrue("bytes.load64(checksum) == checksum(bytes, 0)"), seenBy: .crashes()),
  ]
}
