import ArgumentParser
import KVMap
import MappedMemory
import SystemPackage

/// The options of every subcommand.
struct CommonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How long to wait for other processes: 500ms, 10s, 2m.", valueName: "duration"))
  var timeout = usualTimeout

  @Flag(
    name: [.short, .long],
    help: "No progress, no notes; status 1 without a message. Failures are still reported.")
  var quiet = false

  private static let usualTimeout = DurationArgument(.seconds(10))

  /// What they are if none is given.
  static var usual: CommonOptions {
    var options = CommonOptions()
    options.timeout = usualTimeout
    options.quiet = false
    return options
  }
}

/// A subcommand that works on a store.
protocol StoreCommand: ParsableCommand {
  var store: String { get }
  var common: CommonOptions { get }
}

extension StoreCommand {
  /// The subcommand's name, for messages.
  static var verb: String { configuration.commandName ?? "" }

  /// Opens the store for reading; never creates it.
  func openForReading() throws(Store.Error) -> Store {
    let options = Store.Options(access: .readOnly, timeout: common.timeout.duration)
    return try Store(store, options: options)
  }

  func openForWriting(create: Bool) throws(Store.Error) -> Store {
    let options = Store.Options(create: create, timeout: common.timeout.duration)
    return try Store(store, options: options)
  }

  /// Opens the store for writing; nil if there is none.
  func openExisting() throws(Store.Error) -> Store? {
    do {
      return try openForWriting(create: false)
    } catch {
      // No file can exist under some names.
      let canBe = ![.fileNameTooLong, .tooManySymbolicLinkLevels].contains(error.cause?.errno)
      if error.code == .notFound || !canBe { return nil }
      throw error
    }
  }

  /// Prints a message that is no failure, unless `--quiet` is given.
  func note(_ message: String) {
    if !common.quiet { Messages.write(message, verb: Self.verb, isFailure: false) }
  }
}
