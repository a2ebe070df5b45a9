import Foundation
import Testing

@Suite("On a terminal")
struct TerminalTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = "{\"put\":\"k\\u001b\",\"value\":\"a\\n\\u001b[31mü\"}\n"
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines).status == 0)
  }

  /// What the terminal shows if all streams go there.
  private func show(_ arguments: String..., environment: [String: String] = [:]) throws -> String {
    let terminal = try PseudoTerminal()
    let process = Tool.makeProcess(arguments, environment: environment, in: directory)
    process.standardOutput = terminal.tool
    process.standardError = terminal.tool
    try Tool.start(process)
    process.waitUntilExit()
    return try terminal.contents()
  }

  @Test("control bytes of keys and values are escaped, and a newline follows a value")
  func escaping() throws {
    #expect(try show("get", "s.kvmap", "--key-hex", "6b1b") == #"a\n\x1b[31mü"# + "\n")
    #expect(try show("list", "s.kvmap", "--values") == #"k\x1b"# + "\t" + #"a\n\x1b[31mü"# + "\n")
    #expect(try show("get", "s.kvmap", "--key-hex", "6b1b", "--format", "raw") == "a\n\u{1B}[31mü")
    #expect(try show("list", "s.kvmap", "-0") == "k\u{1B}\0")
  }

  @Test("colour appears unless NO_COLOR or a dumb terminal forbid it")
  func colour() throws {
    #expect(try show("verify", "s.kvmap", environment: ["NO_COLOR": ""]) == "\u{1B}[32mOK\u{1B}[0m\n")
    #expect(try show("verify", "s.kvmap", environment: ["NO_COLOR": "1"]) == "OK\n")
    #expect(try show("verify", "s.kvmap", environment: ["TERM": "dumb"]) == "OK\n")
    let message = "no key 'x' in 's.kvmap'\n"
    #expect(
      try show("get", "s.kvmap", "x", environment: ["NO_COLOR": ""]) == "\u{1B}[1;31mkvmap: get:\u{1B}[0m "
        + message)
    #expect(try show("get", "s.kvmap", "x", environment: ["NO_COLOR": "1"]) == "kvmap: get: " + message)
  }
}
