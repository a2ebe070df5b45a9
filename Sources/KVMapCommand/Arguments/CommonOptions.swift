import ArgumentParser
import KVMap
import MappedMemory
import SystemPackage

/// The options of every subcommand.
struct CommonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How long to wait for other processes: 500ms, 10s, 2m.", valueName: "duration"))
  var timeout = DurationArgument(.seconds(10))

  @Flag(
    name: [.short, .long],
    help: "No progress, no notes; status 1 without a message. Failures are still reported.")
  var quiet = false
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
  func openForReading() throws(StoreError) -> Store {
    var options = StoreOptions()
    options.access = .readOnly
    options.timeout = common.timeout.duration
    return try Store(FilePath(store), options: options)
  }

  func openForWriting(create: Bool) throws(StoreError) -> Store {
    var options = StoreOptions()
    options.create = create
    options.timeout = common.timeout.duration
    return try Store(FilePath(store), options: options)
  }

  /// Opens the store for writing; nil if there is none.
  func openExisting() throws(StoreError) -> Store? {
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
