import ArgumentParser

struct Completions: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "completions",
    abstract: "Print a script that lets a shell complete subcommands, options and file names.",
    discussion: """
      EXAMPLES
        kvmap completions bash > ~/.local/share/bash-completion/completions/kvmap
        kvmap completions zsh > "${fpath[1]}/_kvmap"
        kvmap completions fish > ~/.config/fish/completions/kvmap.fish
      """)

  enum Shell: String, CaseIterable, ExpressibleByArgument {
    case bash
    case zsh
    case fish

    fileprivate var kind: CompletionShell {
      switch self {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    }
  }

  @Argument(help: "The shell.")
  var shell: Shell

  func run() throws {
    throw CleanExit.message(RootCommand.completionScript(for: shell.kind))
  }
}
