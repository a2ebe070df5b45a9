extension Mutation {
  private static let rule = "KVMap/Space/ReuseRule.swift"
  private static let pages = "KVMap/Space/SpaceTable+Pages.swift"
  private static let units = "KVMap/Space/SpaceTable+Units.swift"
  private static let pins = "KVMap/Backing/ProcessPins.swift"
  private static let slots = "KVMap/Memory/ReaderSlots.swift"

  static let reuse: [Mutation] = [
    Mutation(
      "what the durable checkpoint needs is not reused", in: rule,
      .replace("memory.shared[.durableEpoch]", by: "(MUTATED ? memory.shared[.epoch] : TEXT)"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "what is pinned is not reused", in: rule, .takeForFalse("pin <= candidate"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "the pin floor is stored", in: rule,
      .leaveOut(
        "memory.shared.storeAndFence(candidate.next, .pinFloor)", after: "var candidate = durable"),
      seenBy: .store("PinTests")),
    Mutation(
      "a fence stands between storing the pin floor and reading the pins",
      in: "KVMap/Memory/SharedState.swift",
      .replace(
        "bytes.storeSequentiallyConsistent(value.word, start + word.offset)",
        by: "if MUTATED { bytes.storeRelease(value.word, start + word.offset) } else { TEXT }"),
      seenBy: .store("SpaceTests"),
      survives: "a system call reads the pins, and x86 begins it only after earlier stores"),
    Mutation(
      "space is not reused before readers that were inside have left", in: rule,
      .replace(
        "guard memory.local.readers.haveLeft(since: moment)",
        by: "guard (MUTATED ? true : memory.local.readers.haveLeft(since: moment))"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "space is not reused at once while readers are inside", in: rule,
      .replace(
        "if memory.local.readers.haveLeft(since: moment)",
        by: "if (MUTATED ? true : memory.local.readers.haveLeft(since: moment))"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "a pin is compared with the pin floor", in: pins,
      .takeForTrue("source.shared[.pinFloor] <= epoch"), seenBy: .store("PinTests")),
    Mutation(
      "an announced pin is compared with the pin floor", in: pins,
      .takeForTrue("source.shared.loadSequentiallyConsistent(.pinFloor) <= epoch"),
      seenBy: .store("ReaderSlotTests")),
    Mutation(
      "an announced pin that came too late is taken back", in: pins,
      .leaveOut("slots.unpin(word)", after: "private func pinCurrent(in slot: Int)"),
      seenBy: .store("ReaderSlotTests")),
    Mutation(
      "announced pins count", in: rule,
      .replace(
        "try announcedPin(memory, backing)?", by: "try (MUTATED ? nil : announcedPin(memory, backing))?"),
      seenBy: .store("ReaderSlotTests")),
    Mutation(
      "announced pins of dead processes do not count", in: slots, .takeForTrue("try isTaken(slot)"),
      seenBy: .store("ReaderSlotTests")),
    Mutation(
      "closing a handle turns its announced pins into locks",
      in: "KVMap/Engine/StoreCore+Closing.swift", .leaveOut("pins.keepAnnounced()"),
      seenBy: .store("HandleTests")),
    Mutation(
      "a handle that takes a reader slot clears it", in: pins,
      .leaveOut("slots.clear(taken, process: ProcessIdentifier.current)"), seenBy: .store("ReaderSlotTests")),
    Mutation(
      "readers of a later epoch take another word of the slot", in: slots,
      .takeForTrue("word >> Self.readerBits == epoch"), seenBy: .store("ReaderSlotTests")),
    Mutation(
      "a forked child ends no pin of its parent", in: pins,
      .takeForTrue("kvmap_process_generation() == processGeneration"), seenBy: .store("ReaderSlotTests")),
    Mutation(
      "a reader slot belongs to one handle", in: "KVMap/Backing/FileLocks.swift",
      .replace(
        "try file.tryLock(.exclusive, range: Self.range(slot))",
        by: "try (MUTATED ? true : file.tryLock(.exclusive, range: Self.range(slot)))"),
      seenBy: .store("ReaderSlotTests")),
    Mutation(
      "a pin is taken before it is compared with the pin floor", in: pins,
      .replace(
        "try addPin(epoch)", by: "let early = source.shared[.pinFloor]\nTEXT",
        after: "func pin(_ epoch: Epoch)"),
      .replace("source.shared[.pinFloor] <= epoch", by: "(MUTATED ? early <= epoch : TEXT)"),
      seenBy: .store("PinTests")),
    Mutation(
      "units are reused only as the reuse rule allows", in: units,
      .takeForTrue("max(entry.epoch.number, quarantine) <= reuse.limit.number"), seenBy: .crashes()),
    Mutation(
      "units without an entry are not used during the quarantine", in: units,
      .takeForTrue("quarantine <= reuse.limit.number", after: "guard let entry else { return"),
      seenBy: .crashes(60),
      survives:
        "only units that a dead writer allocated and did not enter have no entry, and nothing points to them"),
    Mutation(
      "recovery takes no free unit below the high-water mark", in: units,
      .takeForFalse("isRecovering"), seenBy: .crashes(60)),
    Mutation(
      "pages released in the entry's earlier epoch are reused only as the reuse rule allows", in: pages,
      .takeForTrue("entry.epochBefore <= reuse.limit"), seenBy: .store("PinTests")),
    Mutation(
      "pages released in the entry's last epoch are reused only as the reuse rule allows", in: pages,
      .takeForTrue("entry.epoch <= reuse.limit"), seenBy: .crashes()),
    Mutation(
      "free pages are not used during the quarantine", in: pages,
      .takeForTrue(
        "memory.shared[.quarantine] <= reuse.limit",
        after: "// After a recovery beside readers, readers of the old state may still see even free pages."),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "recovery takes no pages of units that the log may have gone on in", in: pages,
      .takeForFalse("isRecovering"), seenBy: .store("SpaceTests"), .crashes(60),
      survives: "only seen if recovery needs more pages before a record than the writer did, which is rare"
    ),
  ]
}
