import ArgumentParser
import KVMap
import SystemPackage

/// The option of subcommands that ask before they remove much.
struct Confirmation: ParsableArguments {
  @Flag(help: "Do not ask before removing all, or all with a prefix.")
  var yes = false

  /// What it is if it is not given.
  static var usual: Confirmation {
    var option = Confirmation()
    option.yes = false
    return option
  }
}

extension StoreCommand {
  /// Returns if the user agrees.
  ///
  /// - Parameter deed: what is about to be done: "remove all 5 records of 'colours.kvmap'".
  func confirm(_ deed: String, _ confirmation: Confirmation) throws(Failure) {
    if confirmation.yes { return }
    guard Terminal.isTerminal(.standardInput), Terminal.isTerminal(.standardError) else {
      throw Failure(.usage, "there is no terminal to ask on; to \(deed), add --yes")
    }
    Messages.ask("\(deed)?", verb: Self.verb)
    guard ["y", "yes"].contains(readLine()?.lowercased()) else {
      throw Failure(.absent, "nothing was removed")
    }
  }
}
