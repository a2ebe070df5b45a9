import ArgumentParser
import KVMap

struct Increment: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "incr",
    abstract: "Add to a number and print the sum.",
    discussion: """
      The value is a whole number in decimal digits; an absent key counts as 0. If several processes add at the \
      same time, no addition is lost. The store is created if it does not exist.

      EXAMPLES
        kvmap incr counters.kvmap visits
        kvmap incr counters.kvmap stock -- -3
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Argument(help: "What to add.")
  var amount: Int64 = 1

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws {
    let key = try key.bytes()
    let store = try openForWriting(create: true)
    let sum = try store.increment(key, by: amount, durability: durable.durability)
    try store.close()
    var output = standardOutput()
    try output.append("\(sum)\n")
    try output.flush()
  }
}

struct CompareAndSet: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "cas",
    abstract: "Set the value of a key if it has an expected one.",
    discussion: """
      If the key has another value or none, nothing changes and the status is 1. --delete removes the key \
      instead of setting it.

      EXAMPLES
        kvmap cas jobs.kvmap job-17 waiting running
        kvmap cas jobs.kvmap job-17 done --delete
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Argument(help: "What the value has to be.")
  var expected: String

  @Argument(help: "What to set it to.")
  var value: String?

  @Flag(help: "Remove the key.")
  var delete = false

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if (value == nil) != delete { throw ValidationError("Give either a new value or --delete") }
  }

  func run() throws {
    let key = try key.bytes()
    let store = try openForWriting(create: false)
    let isDone = try store.compareAndSet(
      key, expected: Array(expected.utf8), new: value.map { Array($0.utf8) },
      durability: durable.durability)
    let state = try isDone || store.contains(key) ? "has another value" : "is absent"
    try store.close()
    if !isDone { throw Failure(.absent, "condition not met: the key \(TerminalText.quote(key)) \(state)") }
  }
}

struct Append: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "append",
    abstract: "Append bytes to the value of a key.",
    discussion: """
      An absent key counts as empty. Without VALUE, or with -, the bytes come from standard input. The store is \
      created if it does not exist.

      EXAMPLES
        kvmap append log.kvmap today "$(date) started"
        uptime | kvmap append log.kvmap load
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Argument(help: "What to add; - for standard input.")
  var value: String?

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws {
    let key = try key.bytes()
    let bytes = if let value, value != "-" { Array(value.utf8) } else { try InputFile(nil).readAll() }
    let store = try openForWriting(create: true)
    try store.append(bytes, toKey: key, durability: durable.durability)
    try store.close()
  }
}
