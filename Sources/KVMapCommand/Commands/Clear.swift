import ArgumentParser
import KVMap

struct Clear: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "clear",
    abstract: "Remove all keys.",
    discussion: """
      Asks before; without a terminal to ask on it refuses, unless --yes is given. Then it removes all keys, in commits \
      of some hundred, and makes the file small. An interrupt leaves some of the keys. What others put meanwhile may \
      be removed or not.

      EXAMPLES
        kvmap clear cache.kvmap
        kvmap clear --yes cache.kvmap
        kvmap backup cache.kvmap before.kvmap && kvmap clear --yes cache.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var confirmation: Confirmation
  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws {
    let store = try openForWriting(create: false)
    try confirm("remove all \(counted(try store.count, "record")) of '\(self.store)'", confirmation)
    let removed = try store.removeAll(durability: durable.durability)
    try store.close()
    note("removed \(counted(removed, "record"))")
  }
}
