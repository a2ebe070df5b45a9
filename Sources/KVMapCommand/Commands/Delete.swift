import ArgumentParser
import KVMap

struct Delete: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Remove keys and their values.",
    discussion: """
      Keys that are given as arguments are removed in one commit: all, or none if that fails. Those of standard input \
      (-0) are removed in commits of up to 1,000, and nothing of a key that was cut off. If a key is absent, the others \
      are removed and the status is 1. Other records can reuse the space.

      --prefix removes all keys that begin with it, in commits of some hundred, and asks before.

      EXAMPLES
        kvmap delete colours.kvmap sky
        kvmap delete colours.kvmap sea grass --durable
        kvmap delete -q locks.kvmap job-17 || echo "was not locked"
        kvmap delete cache.kvmap --key-base64 /wA=
        kvmap delete users.kvmap --prefix session: --yes
        kvmap keys users.kvmap -0 --pattern '*:old' | kvmap delete -0 users.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var keys: KeysArgument

  @Option(help: ArgumentHelp("Remove all keys that begin with this.", valueName: "prefix"))
  var prefix: String?

  @OptionGroup var confirmation: Confirmation
  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard prefix != nil else { return try keys.requireSome() }
    if !keys.key.isEmpty || keys.null { throw ValidationError("Keys and --prefix exclude each other") }
    _ = try prefixBytes()
  }

  func run() throws {
    let store = try openForWriting(create: false)
    if let prefix = try prefixBytes() {
      try removeAll(withPrefix: prefix, store)
    } else {
      try removeKeys(store)
    }
  }

  private func removeKeys(_ store: Store) throws {
    var absent = AbsentKeys()
    var done = 0
    let progress = Progress(self, unit: "keys")
    defer { progress.clear() }
    try keys.forEachBatch { batch in
      absent.append(contentsOf: try remove(batch, store))
      done += batch.count
      progress.update(done)
    }
    try store.close()
    progress.clear()
    try absent.report(self.store)
  }

  /// Removes the keys in one commit. Returns those that were not there.
  private func remove(_ keys: [[UInt8]], _ store: Store) throws -> [[UInt8]] {
    // A single removal succeeds on a full disk, where a transaction may not.
    if keys.count == 1 { return try store.remove(keys[0], durability: durable.durability) ? [] : keys }
    return try store.transaction(durability: durable.durability) { transaction in
      var absent: [[UInt8]] = []
      for key in keys where try !transaction.remove(key) { absent.append(key) }
      return absent
    }
  }

  private func removeAll(withPrefix prefix: [UInt8], _ store: Store) throws {
    let view = store.view(prefix, of: [UInt8].self)
    let count = try view.count
    try confirm(
      "remove \(counted(count, "key")) that begin with \(TerminalText.quote(prefix)) from '\(self.store)'",
      confirmation)
    let removed = try view.removeAll(durability: durable.durability)
    try store.close()
    note("removed \(counted(removed, "record"))")
  }

  private func prefixBytes() throws -> [UInt8]? {
    try prefix.map { try keyBytes($0, keys.encoding, name: "--prefix") }
  }
}
