extension Mutation {
  private static let scanner = "KVMap/Log/LogScanner.swift"
  private static let writer = "KVMap/Log/LogWriter.swift"

  private static let noOlderHeader =
    "the header is one of this store and place by its checksum; only a segment that was one before, which there is "
    + "none of while segments are not given back, has another"

  static let endOfLog: [Mutation] = [
    Mutation(
      "a record's checksum decides whether it counts", in: scanner,
      .takeForTrue("record.isIntact", after: "record.sequence.number == expected,"), seenBy: .crashes()),
    Mutation(
      "a record's sequence number decides whether it counts", in: scanner,
      .takeForTrue("record.sequence.number == expected"), seenBy: .crashes(60), .store("LogTests"),
      survives:
        "a second safeguard: the checksum covers the number, and the chain goes through all checksums, "
        + "so a record that continues the chain has the right number but by an accident of 32 bits"),
    Mutation(
      "a record's chain decides whether it counts", in: scanner,
      .takeForTrue("record.header.chain == UInt32(truncatingIfNeeded: chain)"), seenBy: .store("LogTests")),
    Mutation(
      "a commit counts only with END", in: scanner, .takeForTrue("record.flags.contains(.end)"),
      seenBy: .crashes()),
    Mutation(
      "a record counts only with its large value", in: scanner,
      .replace("(try? record.verifyExternal(range)) != nil", by: "(MUTATED || TEXT)"),
      seenBy: .crashes()),
    Mutation(
      "LINK leads where the header says", in: scanner, .takeForTrue("header.next == unit"),
      seenBy: .store("LogTests"), .crashes(60),
      survives: "a second safeguard: LINK and header have checksums of their own and say the same"),
    Mutation(
      "a segment has the next ordinal", in: scanner, .takeForTrue("found.ordinal == header.ordinal + 1"),
      seenBy: .store("LogTests"), .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "a segment begins with the next sequence number", in: scanner,
      .takeForTrue("found.sequence.number == sequence"), seenBy: .store("LogTests"), .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "a segment's header has a checksum", in: "KVMap/Format/SegmentHeader.swift",
      .takeForTrue("bytes.load64(offset + Self.checksumOffset) == Self.checksum(bytes, offset, seed)"),
      seenBy: .store("FormatTests/segmentHeader"), .store("LogTests")),
    Mutation(
      "the log's segments are above the end", in: scanner, .leaveOut("highWater = max(highWater, top)"),
      seenBy: .crashes()),
    Mutation(
      "the log's large values are below the high water", in: scanner,
      .leaveOut("highWater = max(highWater, start / UInt64(Layout.unitBytes) + UInt64(units))"),
      seenBy: .crashes()),
    Mutation(
      "older segments are no damage behind the end", in: scanner,
      .takeForFalse("following.ordinal != header.map({ $0.ordinal + 1 })"), seenBy: .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "only SYNCED tells of damage", in: scanner,
      .takeForTrue("order & UInt64(RecordHeader.Flags.synced.rawValue) != 0"), seenBy: .crashes()),
    Mutation(
      "what tells of damage has a checksum", in: scanner,
      .takeForTrue("record.isIntact", after: "record.header.fits(in: limit - at),"), seenBy: .crashes()),
    Mutation(
      "what tells of damage is not older", in: scanner,
      .replace(
        "sequence > first, sequence - first < Self.furthestSequence",
        by: "(MUTATED || (sequence > first && sequence - first < Self.furthestSequence))"),
      seenBy: .crashes()),
    Mutation(
      "the chain runs through all records", in: "KVMap/Format/Checksum.swift",
      .replace("fold(previous ^ mix.0,", by: "fold((MUTATED ? 0 : previous) ^ mix.0,"),
      seenBy: .store("LogTests")),
    Mutation(
      "a record's checksum is bound to its place", in: "KVMap/Format/RecordHeader.swift",
      .replace("seed: seed, place: UInt64(offset)", by: "seed: seed, place: MUTATED ? 0 : UInt64(offset)"),
      seenBy: .store("SalvageTests/recordsInsideAValueDoNotCount"), .fixtures),
    Mutation(
      "a page's checksum is bound to its place", in: "KVMap/Format/PageHeader.swift",
      .replace("place: page.number", by: "place: MUTATED ? 0 : page.number"), seenBy: .fixtures),
  ]

  static let logWriting: [Mutation] = [
    Mutation(
      "a sync begins where the last one ended", in: writer,
      .replace(
        "var from = shared[.durable].offset",
        by: "var from = MUTATED && shared[.durableSegment].number == segment "
          + "? max(shared[.durable].offset, shared[.tail].offset) : shared[.durable].offset"),
      seenBy: .crashes()),
    Mutation(
      "a sync covers the segments before", in: writer,
      .leaveOut(
        "try backing.sync(offset: Int(from), count: Int(start + UInt64(Layout.segmentBytes) - from))"),
      seenBy: .crashes()),
    Mutation(
      "a sync takes note of a checkpoint that ended within its turn", in: writer,
      .leaveOut("adoptCheckpoint()", after: "func sync(upTo tail: Tail)"), seenBy: .crashRegressions),
    Mutation(
      "a sync covers the segment at hand", in: writer,
      .leaveOut("try backing.sync(offset: Int(from), count: Int(tail.position.offset - from))"),
      seenBy: .crashes()),
    Mutation(
      "a sync covers large values", in: writer,
      .takeForFalse("shared[.extentEpoch] > shared[.durableEpoch]"),
      seenBy: .crashes()),
    Mutation(
      "large values are noted for the next sync", in: "KVMap/Commit/Writer.swift",
      .leaveOut("shared[.extentEpoch] = shared[.epoch]"), seenBy: .crashes()),
    Mutation(
      "how far the log is durable is noted", in: writer,
      .leaveOut("shared[.durableSequence] = sequence"), seenBy: .store("LogTests")),
    Mutation(
      "SYNCED is set only when all before is durable", in: writer,
      .takeForTrue("shared[.durableSequence] == tail.sequence"), seenBy: .crashes()),
    Mutation(
      "SYNCED is set when all before is durable", in: writer,
      .takeForFalse("shared[.durableSequence] == tail.sequence"), seenBy: .store("LogTests")),
    Mutation(
      "a transaction's records have no END but the last", in: "KVMap/Commit/Writer+Transaction.swift",
      .replace(
        "version: request.version, isEnd: isEnd", by: "version: request.version, isEnd: MUTATED || isEnd"),
      seenBy: .crashes()),
  ]
}
