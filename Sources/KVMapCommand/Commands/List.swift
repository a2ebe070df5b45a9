import ArgumentParser
import KVMap

struct List: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Print the keys, in no particular order.",
    discussion: """
      One key a line; with --values a tab and the value after it. On a terminal, control bytes and invisible characters \
      are escaped. Elsewhere bytes are printed as they are: then a newline in a key cannot be told from one after it.

      -0 loses nothing: each key, and with --values each value, ends with a zero byte. A zero byte within one is \
      written as the bytes c0 80, and a byte c0 as c0 c0. Text never contains c0 and stays as it is, for xargs -0 and \
      the like. 'get', 'exists' and 'delete' with -0 read it back.

      The keys have no order, so --prefix also reads the whole store: O(n) in the number of records.

      EXAMPLES
        kvmap list colours.kvmap
        kvmap list colours.kvmap --values --limit 10
        kvmap list users.kvmap --prefix session: -0 | kvmap delete -0 users.kvmap
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

  @Flag(
    name: [.customShort("0"), .customLong("null")], help: "End each key and value with a zero byte; lossless."
  )
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
    var rows = Rows(null: null)
    var printed = 0
    if limit == 0 { return }
    do {
      try store.forEach { key, value in
        let key = try [UInt8](copying: key)
        guard key.starts(with: prefix) else { return }
        try rows.append(values ? [key, [UInt8](copying: value)] : [key])
        printed += 1
        if printed == limit { throw Enough() }
      }
    } catch is Enough {}
    try rows.flush()
  }

  private func prefixBytes() throws -> [UInt8] {
    try keyBytes(prefix, encoding, name: "--prefix")
  }
}
