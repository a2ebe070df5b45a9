import ArgumentParser
import KVMap

struct Exists: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "exists",
    abstract: "Tell by the exit status whether a key is present, or several are.",
    discussion: """
      Prints nothing: status 0 if all the keys are present, 1 if one is absent, 2 or more if that cannot be found out.

      EXAMPLES
        if kvmap exists colours.kvmap sky; then echo yes; fi
        kvmap exists cache.kvmap --key-hex 00ff07
        kvmap exists colours.kvmap sky sea || echo "not both"
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var keys: KeysArgument
  @OptionGroup var common: CommonOptions

  func validate() throws { try keys.requireSome() }

  func run() throws {
    let store = try openForReading()
    try keys.forEachBatch { batch in
      for key in batch where try !store.contains(key) { throw Failure(.absent) }
    }
  }
}
