import KVMap

/// One figure of `kvmap stat`.
struct Figure {
  enum Unit {
    case plain
    case count
    case bytes
  }

  /// Its name in JSON.
  let name: String
  /// Its name in the table.
  let label: String
  let meaning: String
  let unit: Unit
  /// Nil if the system does not tell.
  let value: (Store.Statistics) -> Int?
  /// What it is a part of; nil if of nothing.
  let whole: ((Store.Statistics) -> Int)?

  private init(
    _ name: String, _ label: String, _ unit: Unit, of whole: ((Store.Statistics) -> Int)? = nil,
    _ meaning: String, _ value: @escaping (Store.Statistics) -> Int?
  ) {
    (self.name, self.label, self.unit, self.meaning) = (name, label, unit, meaning)
    (self.value, self.whole) = (value, whole)
  }

  /// The figure with its unit, and its share of the whole.
  func text(_ statistics: Store.Statistics) -> String {
    guard let number = value(statistics) else { return "unknown" }
    let text =
      switch unit {
      case .plain: "\(number)"
      case .count: Quantity.count(number)
      case .bytes: Quantity.bytes(number)
      }
    guard let whole else { return text }
    return text.padded(to: 10) + Quantity.share(number, of: whole(statistics))
  }

  /// All of them, in the order in which they are printed.
  static var all: [Figure] {
    [
      Figure(
        "records", "records", .count,
        "keys, expired ones included until they are reclaimed"
      ) { $0.recordCount },
      Figure("file_bytes", "file", .bytes, "length of the file, which may have holes") { $0.fileBytes },
      Figure(
        "allocated_bytes", "allocated", .bytes,
        "what the file takes on the disk"
      ) { $0.allocatedBytes },
      Figure(
        "resident_pages", "resident pages", .count,
        "pages of the system's size that are in memory"
      ) { $0.residentPages },
      Figure("used_bytes", "used", .bytes, "the sum of the next six") { $0.usedBytes },
      Figure(
        "live_bytes", "live", .bytes, of: { $0.usedBytes },
        "live records, with headers, padding and large values"
      ) { $0.liveBytes },
      Figure(
        "garbage_bytes", "garbage", .bytes, of: { $0.usedBytes },
        "what compaction can reclaim of the log"
      ) { $0.garbageBytes },
      Figure(
        "free_bytes", "free", .bytes, of: { $0.usedBytes },
        "what writing can use before the file grows"
      ) { $0.freeBytes },
      Figure(
        "index_bytes", "index", .bytes, of: { $0.usedBytes },
        "the index and the table of space"
      ) { $0.indexBytes },
      Figure(
        "room_bytes", "room", .bytes, of: { $0.usedBytes },
        "reserved and still empty"
      ) { $0.roomBytes },
      Figure(
        "fixed_bytes", "fixed", .bytes, of: { $0.usedBytes },
        "superblocks and shared state"
      ) { $0.fixedBytes },
      Figure(
        "expiring_bytes", "live that will expire", .bytes, of: { $0.liveBytes },
        "live records of the log with a time of expiry"
      ) { $0.expiringBytes },
      Figure(
        "free_stored_bytes", "free, on disk", .bytes, of: { $0.freeBytes },
        "free, and may still take disk space"
      ) { $0.freeStoredBytes },
      Figure(
        "free_awaiting_checkpoint_bytes", "free after a checkpoint", .bytes, of: { $0.freeBytes },
        "free, and usable after the next checkpoint"
      ) { $0.freeAwaitingCheckpointBytes },
      Figure(
        "free_awaiting_pin_bytes", "free after a reader", .bytes, of: { $0.freeBytes },
        "free, and usable when the oldest reader ends"
      ) { $0.freeAwaitingPinBytes },
      Figure("segments", "segments", .count, "parts of the log, of 1 MiB each") { $0.segments },
      Figure(
        "log_bytes", "log", .bytes, of: { $0.usedBytes },
        "what is set apart for the log"
      ) { $0.logBytes },
      Figure(
        "large_value_bytes", "large values", .bytes, of: { $0.usedBytes },
        "what is set apart for large values"
      ) { $0.largeValueBytes },
      Figure(
        "log_bytes_since_checkpoint", "log since checkpoint", .bytes,
        "what opening has to read after a crash"
      ) { $0.logSinceCheckpoint },
      Figure(
        "checkpoint_epoch", "checkpoint epoch", .plain,
        "number of the last checkpoint"
      ) { Int($0.checkpointEpoch) },
      Figure(
        "index_pages", "index pages", .count,
        "pages of 4 KiB of the index and the table of space"
      ) { $0.indexPages },
      Figure(
        "bucket_pages", "bucket pages", .count, of: { $0.indexPages },
        "index pages that point to records"
      ) { $0.bucketPages },
      Figure(
        "overflow_pages", "overflow pages", .count, of: { $0.bucketPages },
        "bucket pages that only keys of equal hashes need"
      ) { $0.overflowPages },
      Figure(
        "full_lines", "full lines", .count, of: { $0.bucketPages * 63 },
        "cache lines of bucket pages past which a look-up goes on"
      ) { $0.fullLines },
      Figure(
        "directory_height", "directory height", .count,
        "pages that a look-up passes before the bucket"
      ) { $0.directoryHeight },
      Figure(
        "format_version", "format version", .plain,
        "version of the file's format"
      ) { $0.formatVersion },
    ]
  }
}

extension String {
  /// With spaces after it up to a width.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
