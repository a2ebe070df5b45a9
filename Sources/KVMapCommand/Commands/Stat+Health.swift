import KVMap

/// What `kvmap stat` says in words.
struct Health {
  /// Whether nothing needs attention.
  private(set) var isGood = true
  private(set) var remarks: [String] = []

  /// More than this of space that a reader holds needs attention.
  private static let muchHeld = 64 << 20

  init(_ statistics: Store.Statistics) {
    judgeSize(statistics)
    judgeReader(statistics)
    judgeIndex(statistics)
    let log = statistics.logSinceCheckpoint
    if log > 0 { remarks.append("opening after a crash would read \(Quantity.bytes(log)) of log") }
  }

  /// "healthy: 12 % garbage, compaction keeps up".
  var text: String { (isGood ? "healthy: " : "needs attention: ") + remarks.joined(separator: "; ") }

  /// Whether the file is within the bound that writing by itself keeps.
  private mutating func judgeSize(_ statistics: Store.Statistics) {
    let garbage = Quantity.share(statistics.garbageBytes, of: statistics.usedBytes) + " garbage"
    let (taken, held) = (statistics.allocatedBytes, statistics.liveBytes + statistics.indexBytes)
    if taken - statistics.freeAwaitingPinBytes <= 2 * held + (64 << 20) {
      remarks.append(garbage + ", compaction keeps up")
    } else {
      needAttention(
        "\(garbage); the file takes \(Quantity.bytes(taken)) of disk for \(Quantity.bytes(held)) of records and "
          + "index, and 'kvmap compact' returns what is too much")
    }
  }

  private mutating func judgeReader(_ statistics: Store.Statistics) {
    let held = statistics.freeAwaitingPinBytes
    guard held > 0 else { return }
    let reader = statistics.oldestPinHolder.map { "process \($0)" } ?? "a reader"
    let remark = "\(reader) keeps \(Quantity.bytes(held)) from being used again"
    if held > Self.muchHeld { needAttention(remark) } else { remarks.append(remark) }
  }

  private mutating func judgeIndex(_ statistics: Store.Statistics) {
    guard statistics.overflowPages * 10 > statistics.bucketPages else { return }
    needAttention("many keys have the same hash, so look-ups take longer")
  }

  private mutating func needAttention(_ remark: String) {
    isGood = false
    remarks.append(remark)
  }
}
