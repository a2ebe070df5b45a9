extension Mutation {
  private static let increments = "KVMap/API/Store+Increments.swift"

  static let backups: [Mutation] = [
    Mutation(
      "a backup of changes holds only what is durable", in: increments,
      .leaveOut("try core.sync(upTo: snapshot.sequence)"), seenBy: .store("IncrementTests/aChain")),
    Mutation(
      "what a private view shows does not count as durable", in: "KVMap/Engine/StoreCore+Changes.swift",
      .takeForFalse("path != nil"), seenBy: .store("IncrementTests/aPrivateView")),
    Mutation(
      "a scratch handle makes no backup of changes", in: increments,
      .takeForFalse("core.options.access == .scratch"), seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "changes that are missing are told", in: increments, .takeForFalse("change.isGap"),
      seenBy: .store("IncrementTests/changesThatAreGone")),
    Mutation(
      "a backup begins with a number that the store has", in: increments,
      .takeForTrue("sequence <= state.sequence.number"),
      seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "changes of another store are refused", in: increments,
      .takeForTrue("header.identifier == state.identifier"),
      seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "a backup that is missing is noticed", in: increments, .takeForTrue("header.since <= state.sequence"),
      seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "a backup that comes too late is noticed", in: increments,
      .takeForTrue("header.upTo >= state.sequence"), seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "a copy that was changed is none any more", in: "KVMap/Format/Superblock.swift",
      .takeForTrue("copy.next == next"), seenBy: .store("IncrementTests/whatDoesNotBelong")),
    Mutation(
      "a clone has an identifier of its own", in: "KVMap/Engine/Opening+Creation.swift",
      .leaveOut("block.identifier = identifier"), seenBy: .store("IncrementTests/aClone")),
    Mutation(
      "each part of a backup of changes is verified", in: "KVMap/Backup/IncrementReader.swift",
      .takeForTrue("whole.word(at: count) == checksum"), seenBy: .store("IncrementTests/anyByte")),
    Mutation(
      "the parts of a backup of changes are chained", in: "KVMap/Backup/IncrementFormat.swift",
      .replace("place: previous", by: "place: MUTATED ? 0 : previous"),
      seenBy: .store("IncrementTests/anyByte")),
    Mutation(
      "a backup of changes ends with its end", in: "KVMap/Backup/IncrementReader.swift",
      .takeForTrue("position == size"), seenBy: .store("IncrementTests/anyByte")),
  ]
}
