import ArgumentParser
import KVMap
import SystemPackage

struct Get: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Print the value of a key, or of several.",
    discussion: """
      Prints exactly the bytes of the value. On a terminal only, control bytes are escaped (\\n, \\t, \\x1b) and a \
      newline follows. If the key is absent, nothing is printed and the status is 1.

      Of several keys, each is printed with its value, as JSON; with -0, which reads the keys from standard input, \
      as 'kvmap list -0 --values' prints them. If one is absent, the others are printed and the status is 1.

      EXAMPLES
        kvmap get colours.kvmap sky
        kvmap get pictures.kvmap sunset -o sunset.jpg
        kvmap get counters.kvmap visits --default 0
        kvmap get colours.kvmap sky sea grass
        kvmap list s.kvmap -0 --prefix a | kvmap get -0 --format json s.kvmap
        kvmap get cache.kvmap --key-hex 00ff07 --format hex
        kvmap get colours.kvmap -- -key-with-a-dash
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case raw
    case text
    case hex
    case base64
    case json
    case null
  }

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var keys: KeysArgument

  @Option(
    help: """
      raw: the bytes as they are, on a terminal too; text: control bytes escaped; hex; base64; json: an object \
      with key and value, or key_b64 and value_b64 for what is not UTF-8; null: key and value, each ended by a zero \
      byte. The others, but for raw, end with a newline. For several keys, json or null.
      """)
  var format: Format?

  @Option(
    help: ArgumentHelp("Take this value if a key is absent; the status is then 0.", valueName: "value"))
  var `default`: String?

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("Write to a file instead of standard output.", valueName: "file"),
    completion: .file())
  var output: String?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try keys.requireSome()
    guard keys.mayBeSeveral, let format, format != .json, format != .null else { return }
    throw ValidationError("Several keys can be printed with --format json and null only")
  }

  func run() throws {
    if keys.mayBeSeveral { try printAll() } else { try printOne() }
  }

  private func printOne() throws {
    let key = try keys.arguments()[0]
    guard let value = try openForReading().get(key) ?? defaultValue else {
      throw Failure(.absent, "no key \(TerminalText.quote(key)) in '\(store)'")
    }
    let file = try output.map { try OutputFile($0, besides: store) }
    var stream = file?.stream ?? standardOutput()
    let onTerminal = file == nil && Terminal.isTerminal(.standardOutput)
    try append(key, value, as: format ?? (onTerminal ? .text : .raw), to: &stream)
    try stream.flush()
    try file?.finish()
  }

  private func printAll() throws {
    let store = try openForReading()
    let file = try output.map { try OutputFile($0, besides: self.store) }
    var stream = file?.stream ?? standardOutput()
    let format = format ?? (keys.null ? .null : .json)
    var absent = AbsentKeys()
    func append(absent keys: ArraySlice<[UInt8]>) throws {
      for key in keys {
        if let defaultValue {
          try self.append(key, defaultValue, as: format, to: &stream)
        } else {
          absent.append(key)
        }
      }
    }
    try keys.forEachBatch { batch in
      var next = 0
      try store.withValues(forKeys: batch) { number, value in
        try append(absent: batch[next..<number])
        next = number + 1
        try self.append(batch[number], [UInt8](copying: value), as: format, to: &stream)
      }
      try append(absent: batch[next...])
    }
    try stream.flush()
    try file?.finish()
    try absent.report(self.store)
  }

  private var defaultValue: [UInt8]? { `default`.map { Array($0.utf8) } }

  private func append(
    _ key: [UInt8], _ value: [UInt8], as format: Format, to output: inout ByteOutput
  ) throws {
    switch format {
    case .raw:
      return try output.append(value)
    case .null:
      try NullFraming.append(key, to: &output)
      return try NullFraming.append(value, to: &output)
    case .text:
      try output.append(TerminalText.escape(value))
    case .hex:
      try output.append(TerminalText.hexadecimal(value))
    case .base64:
      try output.appendBase64(value)
    case .json:
      try output.append("{")
      try output.appendJSONMember("key", key)
      try output.append(",")
      try output.appendJSONMember("value", value)
      try output.append("}")
    }
    try output.append("\n")
  }
}
