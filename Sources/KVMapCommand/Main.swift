import ArgumentParser

@main
enum Main {
  static func main() {
    prepareProcess()
    let command: any ParsableCommand
    do {
      try refuseInvalidArguments()
      command = try RootCommand.parseAsRoot()
    } catch {
      endAfterParsing(error)
    }
    do {
      var command = command
      if let storeCommand = command as? any StoreCommand {
        try StandardStreams.check(besides: storeCommand.store)
      }
      try command.run()
    } catch let closed as ClosedPipe {
      closed.endProcess()
    } catch {
      // Help and completions are "errors" of the parser too.
      guard let storeCommand = command as? any StoreCommand else { endAfterParsing(error) }
      end(after: error, in: storeCommand)
    }
    exit(.done)
  }

  /// Ends after a command line that asked for help or the version, or that was wrong.
  private static func endAfterParsing(_ error: any Error) -> Never {
    if let failure = error as? Failure {
      Messages.write(failure.message ?? "")
      exit(failure.status)
    }
    let text = RootCommand.fullMessage(for: error)
    guard RootCommand.exitCode(for: error) == .success else {
      let label = "Error: "
      Messages.write(text.hasPrefix(label) ? String(text.dropFirst(label.count)) : text)
      exit(.usage)
    }
    do {
      var output = standardOutput()
      try output.append(text)
      try output.append("\n")
      try output.flush()
    } catch let closed as ClosedPipe {
      closed.endProcess()
    } catch {
      let failure = Failure(reporting: error)
      Messages.write(failure.message ?? "")
      exit(failure.status)
    }
    exit(.done)
  }

  private static func end(after error: any Error, in command: any StoreCommand) -> Never {
    let failure = Failure(reporting: error)
    if let message = failure.message, failure.status != .absent || !command.common.quiet {
      Messages.write(message, verb: type(of: command).verb)
    }
    exit(failure.status)
  }
}
