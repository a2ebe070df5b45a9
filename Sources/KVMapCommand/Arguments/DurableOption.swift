import ArgumentParser
import KVMap

/// The option of every subcommand that changes a store.
struct DurableOption: ParsableArguments {
  @Flag(help: "Return only when the change is safe from loss of power.")
  var durable = false

  /// What it is if it is not given.
  static var usual: DurableOption {
    var option = DurableOption()
    option.durable = false
    return option
  }

  var durability: Store.Durability? { durable ? .onCommit : nil }
}
