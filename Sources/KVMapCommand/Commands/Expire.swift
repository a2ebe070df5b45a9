import ArgumentParser
import KVMap

struct Expire: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "expire",
    abstract: "Let a key expire after some time.",
    discussion: """
      The time counts from now and replaces the one that was set before. An expired key is absent at once; compaction \
      frees its space later. If the key is absent, the status is 1.

      EXAMPLES
        kvmap expire cache.kvmap page-17 15m
        kvmap expire sessions.kvmap --key-hex 00ff07 12h
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Argument(help: ArgumentHelp("When: 90s, 15m, 12h, 7d.", valueName: "duration"))
  var after: DurationArgument

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws { try setExpiry(.after(after.duration), key, durable.durability) }
}

struct Persist: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "persist",
    abstract: "Let a key that would expire stay.",
    discussion: """
      If the key is absent or has expired, the status is 1.

      EXAMPLES
        kvmap persist cache.kvmap page-17
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument
  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws { try setExpiry(.never, key, durable.durability) }
}

extension StoreCommand {
  fileprivate func setExpiry(
    _ expiry: Store.Expiry, _ key: KeyArgument, _ durability: Store.Durability?
  ) throws {
    let key = try key.bytes()
    let store = try openForWriting(create: false)
    let wasPresent = try store.setExpiry(expiry, forKey: key, durability: durability)
    try store.close()
    if !wasPresent { throw Failure(.absent, "no key \(TerminalText.quote(key)) in '\(self.store)'") }
  }
}
