import ArgumentParser
import KVMap
import SystemPackage

struct List: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Print the keys, in no particular order.",
    discussion: """
      One key a line; with --values a tab and the value after it. On a terminal, control bytes are escaped. \
      Elsewhere bytes are printed as they are. Keys that may contain a newline or a tab need -0: then each key, and \
      with --values each value, ends with a zero byte.

      The keys have no order, so --prefix also reads the whole store: O(n) in the number of records.

      EXAMPLES
        kvmap list colours.kvmap
        kvmap list colours.kvmap --values --limit 10
        kvmap list users.kvmap --prefix session: -0 | xargs -0 -n 1 kvmap delete users.kvmap --
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Option(help: ArgumentHelp("Only keys that begin with this.", valueName: "prefix"))
  var prefix: String = ""

  @Flag
  var encoding: KeyEncoding?

  @Flag(help: "Print the values too.")
  var values = false

  @Option(help: ArgumentHelp("Stop after this many records.", valueName: "n"))
  var limit: Int?

  @Flag(name: [.customShort("0"), .customLong("null")], help: "End each key and value with a zero byte.")
  var null = false

  @OptionGroup var common: CommonOptions

  /// Ends the scan early.
  private struct Enough: Error {}

  func validate() throws {
    if let limit, limit < 0 { throw ValidationError("--limit has to be 0 or more") }
    _ = try prefixBytes()
  }

  func run() throws {
    let prefix = try prefixBytes()
    let store = try openForReading()
    let escapes = !null && Terminal.isTerminal(.standardOutput)
    var output = standardOutput()
    var printed = 0
    if limit == 0 { return }
    do {
      try store.forEach { key, value in
        let key = try [UInt8](copying: key)
        guard key.starts(with: prefix) else { return }
        try output.append(escapes ? TerminalText.escape(key) : key)
        if values {
          let value = try [UInt8](copying: value)
          try output.append(null ? 0 : UInt8(ascii: "\t"))
          try output.append(escapes ? TerminalText.escape(value) : value)
        }
        try output.append(null ? 0 : UInt8(ascii: "\n"))
        printed += 1
        if printed == limit { throw Enough() }
      }
    } catch is Enough {}
    try output.flush()
  }

  private func prefixBytes() throws -> [UInt8] {
    try keyBytes(prefix, encoding, name: "--prefix")
  }
}
