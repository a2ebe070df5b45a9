import ArgumentParser
import Foundation
import Testing

@testable import KVMapCommand

@Suite("Help")
struct HelpTests {
  static let verbs = [
    "get", "put", "delete", "exists", "list", "keys", "count", "expire", "ttl", "persist", "incr", "cas",
    "append", "batch", "clear", "stat", "verify", "salvage", "compact", "backup", "restore", "dump", "load",
    "watch", "bench", "report",
  ]

  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  @Test("names all subcommands, all statuses, and says which version it is")
  func root() throws {
    let run = try directory.kvmap("--help")
    #expect(run.status == 0)
    #expect(run.errors == "")
    let subcommands = run.text.components(separatedBy: "SUBCOMMANDS:\n").last ?? ""
    for verb in Self.verbs {
      #expect(subcommands.contains("\n  \(verb) ") || subcommands.hasPrefix("  \(verb) "))
    }
    for status in [0, 1, 2, 64, 65, 73, 74, 75] { #expect(run.text.contains("\n  \(status) ")) }
    #expect(try directory.kvmap("--version").text == "\(Program.version)\n")
  }

  @Test("of each verb says what it does, shows examples, and goes to standard output", arguments: verbs)
  func verb(verb: String) throws {
    let run = try directory.kvmap(verb, "--help")
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.text.hasPrefix("OVERVIEW: "))
    #expect(run.text.contains("\nEXAMPLES\n"))
    #expect(run.text.contains("\nUSAGE: kvmap \(verb) "))
    #expect(run.text.contains("-q, --quiet"))
    #expect(run.text.contains("--timeout <duration>"))
    #expect(try directory.kvmap("help", verb).text == run.text)
  }

  @Test("shows examples that the command line accepts", arguments: verbs)
  func examples(verb: String) throws {
    let text = try directory.kvmap(verb, "--help").text
    let examples =
      text.components(separatedBy: "\nEXAMPLES\n").last?.components(separatedBy: "\n\n").first ?? ""
    var checked = 0
    for line in examples.split(separator: "\n") {
      // A line that is broken is not safe to paste.
      #expect(line.count < 80, "\(line)")
      for command in line.split(whereSeparator: { "|;&".contains($0) }) {
        guard let start = command.range(of: "kvmap \(verb) ") else { continue }
        let upToRedirection = command[start.lowerBound...].split(whereSeparator: { "<>)".contains($0) })[0]
        let words = upToRedirection.split(separator: " ").map { $0.trimmingCharacters(in: ["\"", "'"]) }
        #expect(throws: Never.self) { try RootCommand.parseAsRoot(Array(words.dropFirst())) }
        checked += 1
      }
    }
    #expect(checked > 0)
  }

  @Test("of exists is this")
  func wholeText() throws {
    #expect(
      try directory.kvmap("exists", "--help").text == """
        OVERVIEW: Tell by the exit status whether a key is present, or several are.

        Prints nothing: status 0 if all the keys are present, 1 if one is absent, 2 or more if that cannot be found out.

        EXAMPLES
          if kvmap exists colours.kvmap sky; then echo yes; fi
          kvmap exists cache.kvmap --key-hex 00ff07
          kvmap exists colours.kvmap sky sea || echo "not both"

        USAGE: kvmap exists <store> [<key> ...] [--null] [--key-hex] [--key-base64] [--timeout <duration>] [--quiet]

        ARGUMENTS:
          <store>                 The store.
          <key>                   The keys; one may be empty.

        OPTIONS:
          -0, --null              Read the keys from standard input, each ended by a zero byte, as 'kvmap list -0' prints them.
          --key-hex               Take keys as hexadecimal digits.
          --key-base64            Take keys as Base64.
          --timeout <duration>    How long to wait for other processes: 500ms, 10s, 2m. (default: 10s)
          -q, --quiet             No progress, no notes; status 1 without a message. Failures are still reported.
          --version               Show the version.
          -h, --help              Show help information.


        """)
  }

  @Test("completions are made for each shell", arguments: ["bash", "zsh", "fish"])
  func completions(shell: String) throws {
    let run = try directory.kvmap("completions", shell)
    #expect(run.status == 0)
    #expect(run.errors == "")
    for verb in Self.verbs + ["completions"] { #expect(run.text.contains(verb)) }
    #expect(run.output == (try directory.kvmap("--generate-completion-script", shell).output))
  }

  @Test("completions of another shell: 64, and those there are")
  func noCompletions() throws {
    let run = try directory.kvmap("completions", "tcsh")
    #expect(run.status == 64)
    #expect(run.errors.contains("'bash', 'zsh' or 'fish'"))
    #expect(try directory.kvmap("completions").status == 64)
    #expect(try directory.kvmap("completions", "--help").text.contains("\nEXAMPLES\n"))
  }
}
