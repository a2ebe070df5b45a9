import ArgumentParser
import KVMap
import MappedMemory
import SystemPackage

/// What every subcommand takes.
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

  /// The store to read; never creates it.
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

  /// The store to write, or nil if there is none yet.
  func openExisting() throws(StoreError) -> Store? {
    do {
      return try openForWriting(create: false)
    } catch {
      // Under some names there can be none.
      let canBe = ![.fileNameTooLong, .tooManySymbolicLinkLevels].contains(error.cause?.errno)
      if error.code == .notFound || !canBe { return nil }
      throw error
    }
  }

  /// Says something that is no failure, unless `--quiet`.
  func note(_ message: String) {
    if !common.quiet { Messages.write(message, verb: Self.verb, isFailure: false) }
  }
}
