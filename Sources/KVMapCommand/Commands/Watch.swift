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

      With --exec nothing is printed. Instead /bin/sh runs a command for each change, one at a time and in order, with the \
      line of JSON on its standard input. Its environment has KVMAP_STORE, KVMAP_SEQUENCE, KVMAP_CHANGE (put, delete or \
      missing), and KVMAP_KEY if the key is text: valid UTF-8 without a zero byte. Keys are not yours: write "$KVMAP_KEY", \
      in quotes. If the command fails, watch ends with its status (128 and the number of a signal that ended it), or goes \
      on with --keep-going; if it then ends by --limit, its status is that of the last command that failed. A command that \
      is slower than the writers misses what was reused meanwhile. An interrupt is passed on to the command, which runs in a \
      process group of its own, and watch ends when it has ended; a second one kills it.

      EXAMPLES
        kvmap watch orders.kvmap
        kvmap watch orders.kvmap --prefix order: --values > orders.jsonl
        kvmap watch orders.kvmap --since 4711 --limit 1
        kvmap watch orders.kvmap --prefix order: --exec ./notify
        kvmap watch orders.kvmap --values --keep-going --exec ./copy-elsewhere
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

  @Option(
    help: ArgumentHelp(
      "Run a shell command for each change instead of printing it.", valueName: "command"))
  var exec: String?

  @Flag(help: "Go on after a command of --exec that fails.")
  var keepGoing = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let limit, limit < 0 { throw ValidationError("--limit has to be 0 or more") }
    _ = try keyBytes(prefix, encoding, name: "--prefix")
    if exec == nil, keepGoing { throw ValidationError("--keep-going needs --exec") }
    if exec != nil, format == .text { throw ValidationError("A command of --exec gets JSON, not text") }
    // No argument of a process has a zero byte, but an option may be empty.
    if exec == "" { throw ValidationError("--exec has to be a command") }
  }

  func run() throws {
    if exec == nil { endAtInterrupt() } else { RunningCommand.endAtSignals() }
    // For writing, so that commits of others wake this process.
    let store = try openForWriting(create: false)
    let prefix = try keyBytes(prefix, encoding, name: "--prefix")
    let changes = store.changes(since: since, withPrefix: prefix, values: values, durable: durable)
    var reader = changes.makeReader()
    var receiver = makeReceiver()
    var left = limit ?? .max
    while left > 0 {
      var change = try reader.next()
      if change == nil {
        try receiver.flush()
        change = try reader.next(within: .seconds(60))
      }
      guard let change else { continue }
      left -= 1
      if change.kind == .gap {
        note("changes \(change.sequences.lowerBound) to \(change.sequence) are missing")
      }
      try receiver.take(change)
    }
    try receiver.flush()
    try store.close()
    try receiver.finish()
  }

  private func makeReceiver() -> any ChangeReceiver {
    if let exec { return ChangeRunner(ShellCommand(text: exec), self) }
    let onTerminal = Terminal.isTerminal(.standardOutput)
    if (format ?? (onTerminal ? .text : .jsonl)) == .jsonl { return ChangeLines(standardOutput()) }
    return ChangeText(standardOutput(), escapes: onTerminal)
  }
}
