import ArgumentParser

@main
enum Main {
  static func main() {
    prepareProcess()
    let arguments: [String]
    do throws(Failure) {
      arguments = try commandLineArguments()
    } catch {
      end(error)
    }
    if let command = plainCommand(arguments) { run(command) }
    do {
      try UsageHints.refuseUnknownVerb(arguments)
      var command = try RootCommand.parseAsRoot(arguments)
      if let command = command as? any StoreCommand { run(command) }
      // What is left is help and completions: they are thrown.
      try command.run()
    } catch {
      endAfterParsing(error, arguments)
    }
    exit(.done)
  }

  private static func run(_ command: any StoreCommand) -> Never {
    do {
      try StandardStreams.check(besides: command.store)
      var command = command
      try command.run()
    } catch let closed as ClosedPipe {
      closed.endProcess()
    } catch {
      var failure = Failure(reporting: error)
      if failure.status == .absent, command.common.quiet { failure.message = nil }
      end(failure, verb: type(of: command).verb)
    }
    exit(.done)
  }

  /// Ends after a command line that asked for help or the version, or that was wrong.
  private static func endAfterParsing(_ error: any Error, _ arguments: [String]) -> Never {
    let text = RootCommand.fullMessage(for: error)
    guard RootCommand.exitCode(for: error) == .success else {
      end(Failure(.usage, UsageHints.addHint(to: text, about: arguments)))
    }
    do {
      var output = standardOutput()
      try output.append(text)
      try output.append("\n")
      try output.flush()
    } catch let closed as ClosedPipe {
      closed.endProcess()
    } catch {
      end(Failure(reporting: error))
    }
    exit(.done)
  }

  private static func end(_ failure: Failure, verb: String? = nil) -> Never {
    if let message = failure.message { Messages.write(message, verb: verb) }
    exit(failure.status)
  }
}
