import ArgumentParser
import KVMap
import SystemPackage

struct Watch: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Print changes as they come, of all processes.",
    discussion: """
      Begins with the changes to come, or after the one with the number that --since gives; 0 stands for all that the \
      log still has. Ends at an interrupt (Ctrl-C), with status 0, or after --limit changes.

      On a terminal, one line a change: its number, put or delete, the key, and with --values a tab and the value. \
      Elsewhere, and with --format jsonl, one JSON object a line: "sequence", then "put" or "delete" with the key (or \
      true, and the key as "key_b64"), with --values "value" (or "value_b64"), for what expires "expires" in milliseconds \
      since 1970, and "more": true if the next change belongs to the same commit.

      Changes that are not there any more, because their space was used again or a power failure has undone them, are \
      told on standard error and as a line {"sequence":9,"missing":[4,9]}.

      EXAMPLES
        kvmap watch orders.kvmap
        kvmap watch orders.kvmap --prefix order: --values > orders.jsonl
        kvmap watch orders.kvmap --since 4711 --limit 1
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case text
    case jsonl
  }

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Option(help: ArgumentHelp("Begin after the change with this number.", valueName: "number"))
  var since: UInt64?

  @Option(help: ArgumentHelp("Only keys that begin with this.", valueName: "prefix"))
  var prefix: String = ""

  @Flag
  var encoding: KeyEncoding?

  @Flag(help: "Print the values too.")
  var values = false

  @Flag(help: "Only what a power failure cannot undo any more.")
  var durable = false

  @Option(help: ArgumentHelp("Stop after this many changes.", valueName: "n"))
  var limit: Int?

  @Option(help: "text or jsonl.")
  var format: Format?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let limit, limit < 0 { throw ValidationError("--limit has to be 0 or more") }
    _ = try keyBytes(prefix, encoding, name: "--prefix")
  }

  func run() throws {
    endAtInterrupt()
    // For writing, so that commits of others wake this process.
    let store = try openForWriting(create: false)
    let prefix = try keyBytes(prefix, encoding, name: "--prefix")
    let changes = store.changes(since: since, withPrefix: prefix, values: values, durable: durable)
    var reader = changes.makeReader()
    var stream = standardOutput()
    let format = format ?? (Terminal.isTerminal(.standardOutput) ? .text : .jsonl)
    var left = limit ?? .max
    while left > 0 {
      guard let change = try reader.next() else {
        try stream.flush()
        if let change = try reader.next(within: .seconds(60)) { try print(change, format, &stream, &left) }
        continue
      }
      try print(change, format, &stream, &left)
    }
    try stream.flush()
    try store.close()
  }

  private func print(
    _ change: Store.Change, _ format: Format, _ stream: inout ByteOutput, _ left: inout Int
  ) throws {
    left -= 1
    if change.kind == .gap {
      note("changes \(change.sequences.lowerBound) to \(change.sequence) are missing")
      if format == .text { return }
    }
    switch format {
    case .text: try appendText(change, &stream)
    case .jsonl: try appendJSON(change, &stream)
    }
  }

  private func appendText(_ change: Store.Change, _ stream: inout ByteOutput) throws {
    let onTerminal = Terminal.isTerminal(.standardOutput)
    func shown(_ bytes: [UInt8]) -> [UInt8] { onTerminal ? TerminalText.escape(bytes) : bytes }
    try stream.append("\(change.sequence) \(change.kind == .put ? "put" : "delete") ")
    try stream.append(shown(change.key))
    if let value = change.value {
      try stream.append("\t")
      try stream.append(shown(value))
    }
    try stream.append("\n")
  }

  private func appendJSON(_ change: Store.Change, _ stream: inout ByteOutput) throws {
    try stream.append("{\"sequence\":\(change.sequence),")
    switch change.kind {
    case .gap: try stream.append("\"missing\":[\(change.sequences.lowerBound),\(change.sequence)]")
    case .put: try append("put", change.key, &stream)
    case .remove: try append("delete", change.key, &stream)
    }
    if let value = change.value {
      try stream.append(",")
      try stream.appendJSONMember("value", value)
    }
    if case .at(let time) = change.expiry { try stream.append(",\"expires\":\(time)") }
    try stream.append(change.isLastOfCommit ? "}\n" : ",\"more\":true}\n")
  }

  /// As `kvmap batch` reads it.
  private func append(_ deed: String, _ key: [UInt8], _ stream: inout ByteOutput) throws {
    if String(validating: key, as: UTF8.self) != nil { return try stream.appendJSONMember(deed, key) }
    try stream.append("\"\(deed)\":true,")
    try stream.appendJSONMember("key", key)
  }
}
