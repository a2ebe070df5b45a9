import ArgumentParser
import KVMap

struct Exists: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "exists",
    abstract: "Tell by the exit status whether a key is present.",
    discussion: """
      Prints nothing: status 0 if the key is present, 1 if it is absent, 2 or more if that cannot be found out.

      EXAMPLES
        if kvmap exists colours.kvmap sky; then echo yes; fi
        kvmap exists cache.kvmap --key-hex 00ff07
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument
  @OptionGroup var common: CommonOptions

  func run() throws {
    guard try openForReading().contains(try key.bytes()) else { throw Failure(.absent) }
  }
}
