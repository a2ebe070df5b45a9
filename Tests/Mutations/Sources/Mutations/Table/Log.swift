extension Mutation {
  private static let scanner = "KVMap/Log/LogScanner.swift"
  private static let writer = "KVMap/Log/LogWriter.swift"

  private static let noOlderHeader =
    "a second safeguard: only the header of an older segment at the same place differs, and the records of "
    + "that segment have lower sequence numbers"

  static let endOfLog: [Mutation] = [
    Mutation(
      "a record of the log counts only with the right checksum", in: scanner,
      .takeForTrue("record.isIntact", after: "found < SequenceNumber.limit,"), seenBy: .crashes()),
    Mutation(
      "a record of the log counts only with the next sequence number", in: scanner,
      .takeForTrue("found == expected"), seenBy: .crashes(60), .store("LogTests"),
      survives:
        "a second safeguard: the checksum covers the number, and the chain goes through all checksums, "
        + "so a record that continues the chain has the right number, unless 32 bits agree by accident"),
    Mutation(
      "a record of the log counts only if it continues the chain", in: scanner,
      .takeForTrue("record.header.chain == UInt32(truncatingIfNeeded: chain)"), seenBy: .store("LogTests")),
    Mutation(
      "a commit counts only with END", in: scanner, .takeForTrue("record.flags.contains(.end)"),
      seenBy: .crashes()),
    Mutation(
      "a record counts only if its large value is intact", in: scanner,
      .replace("(try? record.verifyExternal(range)) != nil", by: "(MUTATED || TEXT)"),
      seenBy: .crashes()),
    Mutation(
      "LINK points to where the segment's header does", in: scanner, .takeForTrue("header.next == unit"),
      seenBy: .store("LogTests"), .crashes(60),
      survives: "a second safeguard: LINK and header have checksums of their own and say the same"),
    Mutation(
      "a segment has the next ordinal", in: scanner, .takeForTrue("found.ordinal == header.ordinal + 1"),
      seenBy: .store("LogTests"), .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "a segment begins with the next sequence number", in: scanner,
      .takeForTrue("found.sequence == sequence"), seenBy: .store("LogTests"), .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "a segment's header has a checksum", in: "KVMap/Format/SegmentHeader.swift",
      .takeForTrue("bytes.load64(offset + Self.checksumOffset) == Self.checksum(bytes, offset, seed)"),
      seenBy: .store("FormatTests/segmentHeader"), .store("LogTests")),
    Mutation(
      "the log's segments lie below the high-water mark", in: scanner,
      .leaveOut("highWater = max(highWater, top)"),
      seenBy: .crashes()),
    Mutation(
      "the log's large values lie below the high-water mark", in: scanner,
      .leaveOut("highWater = max(highWater, start / UInt64(Layout.unitBytes) + UInt64(units))"),
      seenBy: .crashes()),
    Mutation(
      "older segments beyond the end are no damage", in: scanner,
      .takeForFalse("following.ordinal != header.map({ $0.ordinal + 1 })"), seenBy: .crashes(60),
      survives: noOlderHeader),
    Mutation(
      "only a record with SYNCED proves damage", in: scanner,
      .takeForTrue("order & UInt64(RecordHeader.Flags.synced.rawValue) != 0"), seenBy: .crashes()),
    Mutation(
      "only a record with the right checksum proves damage", in: scanner,
      .takeForTrue("record.isIntact", after: "record.isPlausible(before: limit),"), seenBy: .crashes()),
    Mutation(
      "only a record that is newer than the end proves damage", in: scanner,
      .takeForTrue("numbers.contains(SequenceNumber(number: order >> 8))"),
      seenBy: .crashes()),
    Mutation(
      "the chain runs through all records", in: "KVMap/Format/Checksum.swift",
      .replace("fold(previous ^ mix.0,", by: "fold((MUTATED ? 0 : previous) ^ mix.0,"),
      seenBy: .store("LogTests")),
    Mutation(
      "a record's checksum covers its place", in: "KVMap/Format/RecordHeader.swift",
      .replace("seed: seed, place: UInt64(offset)", by: "seed: seed, place: MUTATED ? 0 : UInt64(offset)"),
      seenBy: .store("SalvageTests/recordsInsideAValueDoNotCount"), .fixtures),
    Mutation(
      "a page's checksum covers its place", in: "KVMap/Format/PageHeader.swift",
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
      "a sync covers the earlier segments", in: writer,
      .leaveOut(
        "try backing.sync(offset: Int(from), count: Int(start + UInt64(Layout.segmentBytes) - from))"),
      seenBy: .crashes()),
    Mutation(
      "a sync adopts a checkpoint that ended within its turn", in: writer,
      .leaveOut("adoptCheckpoint()", after: "func sync(upTo tail: Tail)"), seenBy: .crashRegressions),
    Mutation(
      "a sync covers the current segment", in: writer,
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
      "a sync notes how far the log is durable", in: writer,
      .leaveOut("shared[.durableSequence] = sequence"), seenBy: .store("LogTests")),
    Mutation(
      "SYNCED is set only when all earlier records are durable", in: writer,
      .takeForTrue("shared[.durableSequence] == tail.sequence"), seenBy: .crashes()),
    Mutation(
      "SYNCED is set when all earlier records are durable", in: writer,
      .takeForFalse("shared[.durableSequence] == tail.sequence"), seenBy: .store("LogTests")),
    Mutation(
      "of a transaction's records only the last one has END", in: "KVMap/Commit/Writer+Transaction.swift",
      .replace(
        "version: request.version, isEnd: isEnd", by: "version: request.version, isEnd: MUTATED || isEnd"),
      seenBy: .crashes()),
  ]
}
