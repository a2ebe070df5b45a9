import ArgumentParser
import KVMap

struct Count: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "count",
    abstract: "Print how many records there are.",
    discussion: """
      Takes the same time for a large store as for a small one.

      EXAMPLES
        kvmap count colours.kvmap
        test "$(kvmap count queue.kvmap)" -gt 0 && echo "work to do"
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    var output = standardOutput()
    try output.append("\(try openForReading().count)\n")
    try output.flush()
  }
}
