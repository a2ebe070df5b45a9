import ArgumentParser
import KVMap

struct TimeToLive: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "ttl",
    abstract: "Print how long a key has to live.",
    discussion: """
      Prints whole seconds, rounded up, or "never" for a key that does not expire. If the key is absent, the status \
      is 1.

      EXAMPLES
        kvmap ttl cache.kvmap page-17
        kvmap ttl --milliseconds cache.kvmap page-17
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var key: KeyArgument

  @Flag(help: "Print milliseconds.")
  var milliseconds = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let key = try key.bytes()
    guard let expiry = try openForReading().expiry(ofKey: key) else {
      throw Failure(.absent, "no key \(TerminalText.quote(key)) in '\(store)'")
    }
    var output = standardOutput()
    try output.append(text(expiry) + "\n")
    try output.flush()
  }

  private func text(_ expiry: Store.Expiry) -> String {
    guard let left = expiry.timeLeft else { return "never" }
    return "\(milliseconds ? left.wholeMilliseconds : left.wholeSeconds)"
  }
}
