import ArgumentParser
import KVMap

struct Stat: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat",
    abstract: "Print figures about the store.",
    discussion: """
      Sizes are in bytes. "used" is the sum of "live", "garbage", "free", "index", "room" (reserved and still empty) \
      and "fixed". "allocated" is what the file takes on the disk, which may be less than its length. The last lines \
      show how full the pages of the index are.

      EXAMPLES
        kvmap stat colours.kvmap
        kvmap stat --json colours.kvmap | jq .garbage_bytes
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let statistics = try openForReading().statistics()
    var output = standardOutput()
    try output.append(json ? Self.object(statistics) : Self.table(statistics))
    try output.flush()
  }

  /// Each figure with the name it has in JSON and on the screen.
  ///
  /// - Parameter unknown: replaces a figure that the system does not report.
  private static func figures(
    _ statistics: StoreStatistics, unknown: String
  ) -> [(name: String, label: String, value: String)] {
    [
      ("records", "records", "\(statistics.recordCount)"),
      ("file_bytes", "file bytes", "\(statistics.fileBytes)"),
      ("allocated_bytes", "allocated bytes", "\(statistics.allocatedBytes)"),
      ("resident_pages", "resident pages", statistics.residentPages.map { "\($0)" } ?? unknown),
      ("used_bytes", "used bytes", "\(statistics.usedBytes)"),
      ("live_bytes", "live bytes", "\(statistics.liveBytes)"),
      ("garbage_bytes", "garbage bytes", "\(statistics.garbageBytes)"),
      ("free_bytes", "free bytes", "\(statistics.freeBytes)"),
      ("index_bytes", "index bytes", "\(statistics.indexBytes)"),
      ("room_bytes", "room bytes", "\(statistics.roomBytes)"),
      ("fixed_bytes", "fixed bytes", "\(statistics.fixedBytes)"),
      ("expiring_bytes", "live bytes that will expire", "\(statistics.expiringBytes)"),
      ("free_stored_bytes", "free bytes on disk", "\(statistics.freeStoredBytes)"),
      (
        "free_awaiting_checkpoint_bytes", "free bytes after a checkpoint",
        "\(statistics.freeAwaitingCheckpointBytes)"
      ),
      ("free_awaiting_pin_bytes", "free bytes after a reader", "\(statistics.freeAwaitingPinBytes)"),
      ("segments", "segments", "\(statistics.segments)"),
      ("log_bytes", "log bytes", "\(statistics.logBytes)"),
      ("large_value_bytes", "large value bytes", "\(statistics.largeValueBytes)"),
      ("log_bytes_since_checkpoint", "log bytes since checkpoint", "\(statistics.logSinceCheckpoint)"),
      ("checkpoint_epoch", "checkpoint epoch", "\(statistics.checkpointEpoch)"),
      ("index_pages", "index pages", "\(statistics.indexPages)"),
      ("bucket_pages", "bucket pages", "\(statistics.bucketPages)"),
      ("overflow_pages", "overflow pages", "\(statistics.overflowPages)"),
      ("full_lines", "full lines in bucket pages", "\(statistics.fullLines)"),
      ("directory_height", "directory height", "\(statistics.directoryHeight)"),
      ("format_version", "format version", "\(statistics.formatVersion)"),
    ]
  }

  private static func table(_ statistics: StoreStatistics) -> String {
    var rows = figures(statistics, unknown: "unknown").map { ($0.label, $0.value) }
    rows.append(("writer", statistics.writer.map { "process \($0)" } ?? "none"))
    rows.append(("oldest reader", statistics.oldestPinHolder.map { "process \($0)" } ?? "none"))
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    var text = ""
    for (label, value) in rows {
      text += label + String(repeating: " ", count: width - label.count) + value + "\n"
    }
    return text + "\nfill of bucket pages\n" + histogram(statistics.fillHistogram)
  }

  private static func histogram(_ bins: [Int]) -> String {
    let most = max(bins.max() ?? 0, 1)
    let longestBar = 40
    var text = ""
    for (index, pages) in bins.enumerated() {
      let (from, to) = (index * 100 / bins.count, (index + 1) * 100 / bins.count)
      let range = "\(from)–\(to) %"
      // Even one page among many must be visible.
      let bar = pages == 0 ? 0 : max(1, Int(Double(pages) / Double(most) * Double(longestBar)))
      text += "  " + String(repeating: " ", count: max(0, 8 - range.count)) + range + "  "
      text += String(repeating: "#", count: bar) + (bar == 0 ? "" : " ") + "\(pages)\n"
    }
    return text
  }

  private static func object(_ statistics: StoreStatistics) -> String {
    var members = figures(statistics, unknown: "null").map { "\"\($0.name)\":\($0.value)" }
    members.append("\"fill_histogram\":[\(statistics.fillHistogram.map(String.init).joined(separator: ","))]")
    members.append("\"writer\":\(statistics.writer.map { "\($0)" } ?? "null")")
    members.append("\"oldest_reader\":\(statistics.oldestPinHolder.map { "\($0)" } ?? "null")")
    return "{\(members.joined(separator: ","))}\n"
  }
}
