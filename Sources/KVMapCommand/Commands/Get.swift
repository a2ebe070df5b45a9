import ArgumentParser
import KVMap
import SystemPackage

struct Get: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Print the value of a key.",
    discussion: """
      Prints exactly the bytes of the value. On a terminal only, control bytes are escaped (\\n, \\t, \\x1b) and a \
      newline follows. If the key is absent, nothing is printed and the status is 1.

      EXAMPLES
        kvmap get colours.kvmap sky
        kvmap get pictures.kvmap sunset -o sunset.jpg
        kvmap get counters.kvmap visits --default 0
        kvmap get cache.kvmap --key-hex 00ff07 --format hex
        kvmap get colours.kvmap -- -key-with-a-dash
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case raw
    case text
    case hex
    case base64
    case json
  }

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Option(
    help: """
      raw: the bytes as they are, on a terminal too; text: control bytes escaped; hex; base64; json: an object \
      with key and value, or key_b64 and value_b64 for what is not UTF-8. All but raw end with a newline.
      """)
  var format: Format?

  @Option(
    help: ArgumentHelp("Take this value if the key is absent; the status is then 0.", valueName: "value"))
  var `default`: String?

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("Write to a file instead of standard output.", valueName: "file"),
    completion: .file())
  var output: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    let key = try key.bytes()
    guard let value = try openForReading().get(key) ?? `default`.map({ Array($0.utf8) }) else {
      throw Failure(.absent, "no key \(TerminalText.quote(key)) in '\(store)'")
    }
    if let output {
      let file = try OutputFile(output, besides: store)
      try file.write(try render(key, value, onTerminal: false))
    } else {
      var stream = standardOutput()
      try stream.append(try render(key, value, onTerminal: Terminal.isTerminal(.standardOutput)))
      try stream.flush()
    }
  }

  private func render(_ key: [UInt8], _ value: [UInt8], onTerminal: Bool) throws -> [UInt8] {
    var result: [UInt8]
    switch format ?? (onTerminal ? .text : .raw) {
    case .raw:
      return value
    case .text:
      result = TerminalText.escape(value)
    case .hex:
      result = TerminalText.hexadecimal(value)
    case .base64:
      result = []
      Base64.encode(value[...], into: &result)
    case .json:
      result = []
      var object = ByteOutput { result.append(contentsOf: $0) }
      try object.append("{")
      try object.appendJSONMember("key", key)
      try object.append(",")
      try object.appendJSONMember("value", value)
      try object.append("}")
      try object.flush()
    }
    result.append(UInt8(ascii: "\n"))
    return result
  }
}
