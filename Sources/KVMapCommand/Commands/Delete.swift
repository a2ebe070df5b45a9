import ArgumentParser
import KVMap

struct Delete: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Remove a key and its value.",
    discussion: """
      If the key is absent, the status is 1. Other records can reuse the space.

      EXAMPLES
        kvmap delete colours.kvmap sky
        kvmap delete -q locks.kvmap job-17 || echo "was not locked"
        kvmap delete cache.kvmap --key-base64 /wA=
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument
  @OptionGroup var common: CommonOptions

  func run() throws {
    let key = try key.bytes()
    let store = try openForWriting(create: false)
    let wasPresent = try store.remove(key)
    try store.close()
    if !wasPresent { throw Failure(.absent, "no key \(TerminalText.quote(key)) in '\(self.store)'") }
  }
}
