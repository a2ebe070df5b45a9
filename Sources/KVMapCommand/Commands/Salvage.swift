import ArgumentParser
import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct Salvage: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "salvage",
    abstract: "Move every readable record of a damaged store into a new one.",
    discussion: """
      Works even if the store cannot be opened. STORE is only read. NEW appears when it is complete; an existing file \
      is never replaced. Values keep their time of expiry and their version.

      Prints what is damaged, then what was lost, each on a line, then totals. A lost key is named if it can be \
      read; the word "perhaps" precedes one that was read from damaged bytes. If records are lost whose keys are \
      not known, keys may be missing, have an older value, or be back although they were removed.

      The status is 0 if nothing was lost; 65 if something was lost and NEW has the rest, or if nothing can be read \
      and NEW was not made; 73 if NEW cannot be created or exists already.

      JSON is one object with "version", which is 1 and changes if a member gets another meaning; "complete" (true or \
      false), "records", "bytes", "older_values", "losses" (an array of objects with "kind", which is value, \
      older_value or unknown_keys, "key" or "key_b64", "key_is_certain", "place" and "meaning"), "further_losses" (how \
      many were not listed), and "faults" (an array of objects with "place" and "meaning").

      EXAMPLES
        kvmap salvage damaged.kvmap rescued.kvmap
        kvmap salvage --json damaged.kvmap rescued.kvmap | jq -r '.losses[].key'
      """)

  @Argument(help: "The damaged store.", completion: .file())
  var store: String

  @Argument(help: "The store to make.", completion: .file())
  var new: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    try checkIsNotStore(new)
    var share = 0.0
    let progress = Progress(self, share: { share })
    defer { progress.clear() }
    var options = Store.Options()
    // Users who could not read the old store must not be able to read the new one.
    if let mode = Self.permissions(of: store) { options.mode = mode }
    let report = try Store.salvage(from: store, into: new, options: options) {
      records, part in
      share = part
      progress.update(records)
    }
    progress.clear()
    var output = standardOutput()
    if json {
      try Self.writeObject(report, to: &output)
    } else {
      try Self.writeLines(report, to: &output)
    }
    try output.flush()
    if !report.isComplete { throw Failure(.damaged) }
  }

  private static func permissions(of path: String) -> UInt16? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? UInt16(status.st_mode & 0o666) : nil
  }

  // MARK: Lines

  private static func writeLines(_ report: Store.SalvageReport, to output: inout ByteOutput) throws {
    for fault in report.faults {
      try output.append("damaged: ")
      try output.append(TerminalText.escape(Array(fault.description.utf8)))
      try output.append("\n")
    }
    for loss in report.losses {
      try output.append(loss.kind == .unknownKeys ? "perhaps lost: " : "lost: ")
      if let key = loss.key {
        try output.append(loss.isKeyCertain ? "'" : "perhaps '")
        try output.append(TerminalText.escape(key))
        try output.append("', ")
      }
      try output.append(TerminalText.escape(Array(loss.description.utf8)))
      try output.append("\n")
    }
    if report.furtherLosses > 0 { try output.append("and \(report.furtherLosses) more\n") }
    let lost = report.losses.count + report.furtherLosses
    var total = "\(counted(report.recordCount, "record")) taken over, \(counted(report.byteCount, "byte"))"
    if report.olderValues > 0 { total += ", of which \(counted(report.olderValues, "older value"))" }
    try output.append(total + "\n")
    try output.append(lost == 0 ? "nothing lost\n" : "\(lost) \(lost == 1 ? "loss" : "losses")\n")
  }

  // MARK: JSON

  private static func writeObject(_ report: Store.SalvageReport, to output: inout ByteOutput) throws {
    try output.append("{\"version\":1,\"complete\":\(report.isComplete),\"records\":\(report.recordCount)")
    try output.append(",\"bytes\":\(report.byteCount),\"older_values\":\(report.olderValues),\"losses\":[")
    for (index, loss) in report.losses.enumerated() {
      try output.append("\(index == 0 ? "" : ","){\"kind\":\"\(name(of: loss.kind))\",")
      if let key = loss.key {
        try output.appendJSONMember("key", key)
        try output.append(",\"key_is_certain\":\(loss.isKeyCertain),")
      }
      try writePlace(loss.place, loss.meaning, to: &output)
      try output.append("}")
    }
    try output.append("],\"further_losses\":\(report.furtherLosses),\"faults\":[")
    for (index, fault) in report.faults.enumerated() {
      try output.append(index == 0 ? "{" : ",{")
      try writePlace(fault.place, fault.meaning, to: &output)
      try output.append("}")
    }
    try output.append("]}\n")
  }

  private static func writePlace(_ place: String, _ meaning: String, to output: inout ByteOutput) throws {
    try output.appendJSONMember("place", Array(place.utf8))
    try output.append(",")
    try output.appendJSONMember("meaning", Array(meaning.utf8))
  }

  private static func name(of kind: Store.SalvageReport.Loss.Kind) -> String {
    switch kind {
    case .value: "value"
    case .olderValue: "older_value"
    case .unknownKeys: "unknown_keys"
    }
  }
}
