extension DamagedStore {
  /// All kinds of damage, with their places in the golden stores' files.
  static func kinds(pairs: [UInt8], largeValues: [UInt8]) -> [DamagedStore] {
    let places = StorePlaces(pairs)
    let (a, b) = StorePlaces.superblocks
    let bucket = places.buckets[0]
    let record = places.records(bucket: bucket)[0]
    func damage(_ name: String, _ outcome: Outcome, _ edits: Edit...) -> DamagedStore {
      DamagedStore(name: name, base: "pairs", edits: edits, outcome: outcome)
    }
    return [
      damage("superblock-a", .whole, .flip(offset: a + StorePlaces.recordCount, bit: 3)),
      damage("superblock-b", .whole, .flip(offset: b + StorePlaces.recordCount, bit: 3)),
      damage("magic-of-superblock-a", .whole, .flip(offset: a, bit: 0)),
      damage(
        "both-superblocks", .refused("damaged"), .flip(offset: a + StorePlaces.recordCount, bit: 3),
        .flip(offset: b + StorePlaces.recordCount, bit: 5)),
      damage(
        "newer-format", .refused("newerFormat"), .write(offset: a + StorePlaces.version, [3, 0, 0, 0]),
        .write(offset: b + StorePlaces.version, [3, 0, 0, 0])),
      damage("version-of-superblock-a", .whole, .flip(offset: a + StorePlaces.version, bit: 1)),
      damage("index-page", .partly, .flip(offset: bucket + 64 + 11, bit: 6)),
      damage("index-page-header", .partly, .flip(offset: bucket + 9, bit: 0)),
      damage("index-page-zeroed", .partly, .write(offset: bucket, [UInt8](repeating: 0, count: 128))),
      damage("directory-page", .unreadable, .flip(offset: places.directory + 64 + 5, bit: 1)),
      damage("space-table", .readable, .flip(offset: places.spaceTable + 64 + 2, bit: 1)),
      damage("record-checksum", .partly, .flip(offset: record, bit: 7)),
      damage("record-length", .partly, .flip(offset: record + 19, bit: 2)),
      damage("record-key", .partly, .flip(offset: places.value(record: record).lowerBound - 1, bit: 0)),
      damage("record-value", .partly, .flip(offset: places.value(record: record).lowerBound, bit: 4)),
      damage("segment-header", .refused("damaged"), .flip(offset: places.segment + 9, bit: 0)),
      damage("cut-short", .refused("damaged"), .truncate(length: places.usedBytes - 65_536)),
      damage("cut-to-superblocks", .refused("damaged"), .truncate(length: 131_072)),
      damage("cut-to-half-a-superblock", .refused("damaged"), .truncate(length: 100)),
    ] + largeValueDamage(largeValues)
  }

  private static func largeValueDamage(_ bytes: [UInt8]) -> [DamagedStore] {
    let places = StorePlaces(bytes)
    let values = places.buckets.flatMap { places.records(bucket: $0) }.map { places.value(record: $0) }
    guard let largest = values.max(by: { $0.count < $1.count }) else { return [] }
    return [
      DamagedStore(
        name: "large-value", base: "large-values",
        edits: [.flip(offset: largest.lowerBound + 150_000, bit: 2)],
        outcome: .partly)
    ]
  }
}
