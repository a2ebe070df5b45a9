extension Mutation {
  private static let rule = "KVMap/Space/ReuseRule.swift"
  private static let pages = "KVMap/Space/SpaceTable+Pages.swift"
  private static let units = "KVMap/Space/SpaceTable+Units.swift"
  private static let pins = "KVMap/Backing/ProcessPins.swift"

  static let reuse: [Mutation] = [
    Mutation(
      "what the durable checkpoint needs is not reused", in: rule,
      .replace(
        "memory.live[LivePage.durableEpoch]",
        by: "memory.live[MUTATED ? LivePage.epoch : LivePage.durableEpoch]"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "what is pinned is not reused", in: rule, .takeForFalse("pin <= candidate"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "the floor of pins is stored", in: rule,
      .leaveOut(
        "memory.live.storeAndFence(candidate.number + 1, LivePage.pinFloor)", after: "var candidate = durable"
      ),
      seenBy: .store("PinTests")),
    Mutation(
      "a fence stands between the floor and the look at the pins", in: "KVMap/Memory/LivePage.swift",
      .replace(
        "bytes.storeSequentiallyConsistent(value, start + word.offset)",
        by: "if MUTATED { bytes.storeRelease(value, start + word.offset) } else { TEXT }"),
      seenBy: .store("SpaceTests"),
      survives: "the look is a system call, which no processor here begins before an earlier store is done"),
    Mutation(
      "what readers of this process may see waits for them", in: rule,
      .replace(
        "guard unsafe memory.local.pointee.readers.haveLeft(since: moment)",
        by: "guard unsafe (MUTATED ? true : memory.local.pointee.readers.haveLeft(since: moment))"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "readers of this process are looked for", in: rule,
      .replace(
        "if unsafe memory.local.pointee.readers.haveLeft(since: moment)",
        by: "if unsafe (MUTATED ? true : memory.local.pointee.readers.haveLeft(since: moment))"),
      seenBy: .store("SpaceTests")),
    Mutation(
      "a pin is compared with the floor", in: pins,
      .takeForTrue("source.live[LivePage.pinFloor] <= epoch.number"), seenBy: .store("PinTests")),
    Mutation(
      "a pin is taken before it is compared with the floor", in: pins,
      .replace(
        "try lock.withLock {", by: "let early = source.live[LivePage.pinFloor]\nTEXT",
        after: "func pin(_ epoch: Epoch)"),
      .replace(
        "source.live[LivePage.pinFloor] <= epoch.number",
        by: "(MUTATED ? early <= epoch.number : TEXT)"), seenBy: .store("PinTests")),
    Mutation(
      "units are reused by the rule", in: units,
      .takeForTrue("max(entry.epoch.number, quarantine) <= reuse.limit.number"), seenBy: .crashes()),
    Mutation(
      "units that were never entered wait for the quarantine", in: units,
      .takeForTrue("quarantine <= reuse.limit.number", after: "guard let entry else { return"),
      seenBy: .crashes(60),
      survives: "each unit below the high water has an entry, but for those a dead writer took that entered "
        + "none: nobody leads to these"),
    Mutation(
      "recovery takes no unit that was used", in: units,
      .takeForFalse("isRecovering"), seenBy: .crashes(60)),
    Mutation(
      "pages released before are reused by the rule", in: pages,
      .takeForTrue("entry.epochBefore <= reuse.limit"), seenBy: .store("PinTests")),
    Mutation(
      "pages released lately are reused by the rule", in: pages,
      .takeForTrue("entry.epoch <= reuse.limit"), seenBy: .crashes()),
    Mutation(
      "after a takeover free pages wait for readers", in: pages,
      .takeForTrue(
        "memory.live[LivePage.quarantine] <= reuse.limit.number",
        after: "// After a takeover even free pages may be seen by readers of what was."),
      seenBy: .store("TakeoverTests")),
    Mutation(
      "who recovers takes no pages of units that the log may have gone on in", in: pages,
      .takeForFalse("isRecovering"), seenBy: .crashes()),
  ]
}
