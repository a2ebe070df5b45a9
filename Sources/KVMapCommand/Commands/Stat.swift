import ArgumentParser
import KVMap
import SystemPackage

struct Stat: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "stat",
    abstract: "Print figures about the store.",
    discussion: """
      On a terminal, figures have units, and a share of what they are a part of; elsewhere sizes are in bytes. The \
      last lines show how full the pages of the index are. "writer" is the process that has the write lock, "oldest \
      reader" the one that keeps the most space from being used again.

      JSON is one object with these members, and "version", which is 1 and changes if one gets another meaning; "healthy" \
      (true or false), "remarks" (an array of sentences), "fill_histogram" (how many buckets are filled up to 10 %, 20 %, \
      …), "writer" and "oldest_reader" (numbers of processes, or null). What the system does not tell is null.

      \(legend)

      EXAMPLES
        kvmap stat colours.kvmap
        kvmap stat --json colours.kvmap | jq .garbage_bytes
        kvmap stat --json colours.kvmap | jq -e .healthy
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let statistics = try openForReading().statistics()
    let hasUnits = Terminal.isTerminal(.standardOutput)
    var output = standardOutput()
    try output.append(json ? Self.object(statistics) : Self.table(statistics, hasUnits: hasUnits))
    try output.flush()
  }

  private static var legend: String {
    let width = (Figure.all.map(\.name.count).max() ?? 0) + 2
    return Figure.all.map { "  " + $0.name.padded(to: width) + $0.meaning }.joined(separator: "\n")
  }

  private static func table(_ statistics: Store.Statistics, hasUnits: Bool) -> String {
    var rows = Figure.all.map { figure in
      let raw = figure.value(statistics).map { "\($0)" } ?? "unknown"
      return (figure.label, hasUnits ? figure.text(statistics) : raw)
    }
    rows.append(("writer", statistics.writer.map { "process \($0)" } ?? "none"))
    rows.append(("oldest reader", statistics.oldestPinHolder.map { "process \($0)" } ?? "none"))
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    let lines = rows.map { label, value in label.padded(to: width) + value + "\n" }
    return Health(statistics).text + "\n\n" + lines.joined() + "\nfill of bucket pages\n"
      + histogram(statistics.fillHistogram)
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

  private static func object(_ statistics: Store.Statistics) -> String {
    func orNull(_ number: (some BinaryInteger)?) -> String { number.map { "\($0)" } ?? "null" }
    let health = Health(statistics)
    // Remarks are plain words, without anything that JSON escapes.
    let remarks = health.remarks.map { "\"\($0)\"" }.joined(separator: ",")
    var members = ["\"version\":1", "\"healthy\":\(health.isGood)", "\"remarks\":[\(remarks)]"]
    members += Figure.all.map { "\"\($0.name)\":\(orNull($0.value(statistics)))" }
    members.append("\"fill_histogram\":[\(statistics.fillHistogram.map(String.init).joined(separator: ","))]")
    members.append("\"writer\":\(orNull(statistics.writer))")
    members.append("\"oldest_reader\":\(orNull(statistics.oldestPinHolder))")
    return "{\(members.joined(separator: ","))}\n"
  }
}
