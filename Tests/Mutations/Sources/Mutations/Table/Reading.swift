extension Mutation {
  private static let read = "KVMap/Engine/StoreCore+Read.swift"
  private static let cursor = "KVMap/API/Cursor.swift"
  private static let record = "KVMap/Log/Record.swift"
  private static let memory = "KVMap/Memory/StoreMemory.swift"

  static let reading: [Mutation] = [
    Mutation(
      "the generation is looked at again", in: read,
      .takeForTrue("shared[.generation] == generation"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "an error counts only with the generation unchanged", in: read,
      .takeForFalse("shared[.generation] != generation"), seenBy: .store("ReadProtocolTests")),
    Mutation(
      "a fence stands before the second look", in: read,
      .leaveOut("atomicMemoryFence(ordering: .acquiring)", after: "func read<R>"),
      seenBy: .store("HandleTests"),
      survives:
        "x86 does no load before an earlier one; elsewhere the second look might come before the reading"),
    Mutation(
      "a look is repeated when the mapping was lost", in: read,
      .takeForFalse("source.local.isLost", after: "func read<R>"), seenBy: .store("LostFileTests"),
      .store("CutFileTests")),
    Mutation(
      "damage in a mapping that was lost is none", in: read,
      .leaveOut("try checkNotLost()", after: "private func throwUnlessOutdated"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "the last look is checked for loss", in: read,
      .leaveOut("try checkNotLost()", after: "func readFrozen<R>"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a value that was looked at is checked for loss", in: read,
      .leaveOut("try checkNothingReadWasLost()", after: "let result = try body(found.span)"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a fence stands before the look at the mark of loss", in: read,
      .leaveOut("atomicMemoryFence(ordering: .sequentiallyConsistent)"), seenBy: .store("LostFileTests"),
      survives: "a store that faults on x86 does so before any later load of its thread is done"),
    Mutation(
      "the last look pins the epoch", in: read,
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
      "a cursor reads a value again while a change is under way", in: "KVMap/API/CursorBatch.swift",
      .takeForTrue("shared[.busy] == 0"), seenBy: .store("CursorTests")),
    Mutation(
      "a cursor maps what was added to the file", in: "KVMap/API/CursorBatch.swift",
      .replace("isUnread = true", by: "isUnread = !MUTATED"), seenBy: .store("CursorTests")),
    Mutation(
      "forEach pins the epoch", in: cursor,
      .replace("let pin = backing.isShared ?", by: "let pin = !MUTATED && backing.isShared ?"),
      seenBy: .store("ReadProtocolTests")),
    Mutation(
      "a value of forEach is checked for loss", in: cursor,
      .leaveOut("try checkNothingReadWasLost()", after: "func forEach(in snapshot"),
      seenBy: .store("LostFileTests")),
    Mutation(
      "a reader is counted", in: "KVMap/Memory/ReaderGate.swift",
      .leaveOut("unsafe counters[index].wrappingAdd(1, ordering: .sequentiallyConsistent)"),
      .leaveOut("unsafe counters[ticket.index].wrappingSubtract(1, ordering: .releasing)"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "a reader looks whether it was counted in the right set", in: "KVMap/Memory/ReaderGate.swift",
      .takeForTrue("self.period.load(ordering: .sequentiallyConsistent) == period"),
      seenBy: .store("HandleTests"),
      survives: "needs a thread that stands still between two instructions while two checkpoints are made"),
    Mutation(
      "a parent's handle is refused in a child", in: read,
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
      "a page's checksum is looked at when it is touched first", in: memory,
      .takeForTrue("header.isIntact(seed: seed)", after: "private func verify("),
      seenBy: .store("IndexTests"),
      .store("RefusalTests/anyByteMayBeWrong")),
    Mutation(
      "a page is of the kind its reference means", in: memory,
      .takeForTrue("header.kindByte == kind.rawValue", after: "private func verify("),
      seenBy: .store("DamageTests")),
    Mutation(
      "a page is of the epoch its reference means", in: memory,
      .takeForTrue(
        "header.epoch.tag == pointer.epochTag",
        after: "at: pointer.page.offset, \"its checksum does not match\")"),
      seenBy: .store("DamageTests")),
    Mutation(
      "recovery verifies pages", in: memory,
      .takeForTrue("header.isIntact(seed: seed)", after: "func checkSealed("), seenBy: .store("RefusalTests"),
      .store("IndexTests")),
    Mutation(
      "recovery looks at kind and epoch of pages", in: memory,
      .replace(
        "header.kindByte == kind.rawValue, header.epoch.tag == pointer.epochTag",
        by: "(MUTATED || (header.kindByte == kind.rawValue && header.epoch.tag == pointer.epochTag))"),
      seenBy: .store("DamageTests"),
      survives: "a second safeguard: the trial checks each page that it comes to in the same way"),
    Mutation(
      "a superblock's checksum decides whether it counts", in: "KVMap/Format/Superblock.swift",
      .takeForTrue("bytes.load64(checksum) == checksum(bytes, 0)"), seenBy: .crashes()),
  ]
}
