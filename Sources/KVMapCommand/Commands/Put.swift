import ArgumentParser
import KVMap

struct Put: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Set the value of a key.",
    discussion: """
      Without VALUE, or with -, the value is standard input, byte for byte. The store is created if it does not \
      exist; its directory has to. If a condition is not met, nothing changes and the status is 1.

      EXAMPLES
        kvmap put colours.kvmap sky blue
        kvmap put pictures.kvmap sunset --file sunset.jpg
        date | kvmap put log.kvmap last-run
        kvmap put locks.kvmap job-17 "$HOSTNAME" --if-absent --ttl 15m
        kvmap put numbers.kvmap -- temperature -4
      """)

  enum Condition: EnumerableFlag {
    case ifAbsent
    case ifPresent

    static func help(for value: Condition) -> ArgumentHelp? {
      switch value {
      case .ifAbsent: "Only if the key is absent."
      case .ifPresent: "Only if the key is present. Never creates the store."
      }
    }
  }

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Argument(help: "The value; - for standard input.")
  var value: String?

  @Option(help: ArgumentHelp("Read the value from a file.", valueName: "file"), completion: .file())
  var file: String?

  @Flag(help: "Fail if the store does not exist.")
  var noCreate = false

  @Flag
  var condition: Condition?

  @Option(
    help: ArgumentHelp("Let the key expire after this time: 90s, 15m, 12h, 7d.", valueName: "duration"))
  var ttl: DurationArgument?

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if value != nil, file != nil { throw ValidationError("A value and --file exclude each other") }
    if let ttl, ttl.duration <= .zero { throw ValidationError("--ttl has to be more than 0") }
  }

  func run() throws {
    let key = try key.bytes()
    // The value first: if it cannot be read, the store is neither opened nor created.
    let value = try readValue()
    guard let store = try open() else {
      throw Failure(
        .absent, "condition not met: no key \(TerminalText.quote(key)), for there is no store '\(store)'")
    }
    let wasPut = try store.put(
      value, forKey: key, if: Store.PutCondition(condition),
      expires: ttl.map { .after($0.duration) } ?? .never,
      durability: durable.durability)
    try store.close()
    if !wasPut {
      let state = condition == .ifAbsent ? "is there already" : "is absent"
      throw Failure(.absent, "condition not met: the key \(TerminalText.quote(key)) \(state)")
    }
  }

  private func readValue() throws -> [UInt8] {
    if let value, value != "-" { return Array(value.utf8) }
    return try InputFile(file).readAll()
  }

  /// Nil if a key should be present and there is no store.
  private func open() throws -> Store? {
    if condition == .ifPresent, !noCreate { return try openExisting() }
    return try openForWriting(create: !noCreate)
  }
}

extension Store.PutCondition {
  fileprivate init(_ condition: Put.Condition?) {
    switch condition {
    case nil: self = .always
    case .ifAbsent: self = .absent
    case .ifPresent: self = .present
    }
  }
}
