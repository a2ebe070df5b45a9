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

  @Test("characters that hide or reorder others are escaped, in messages too")
  func invisible() throws {
    try #require(try directory.kvmap("put", "s.kvmap", "a\u{202E}b", "x\u{200B}\u{FEFF}é").status == 0)
    #expect(try show("get", "s.kvmap", "a\u{202E}b") == #"x\xe2\x80\x8b\xef\xbb\xbfé"# + "\n")
    #expect(try show("list", "s.kvmap", "--prefix", "a") == #"a\xe2\x80\xaeb"# + "\n")
    #expect(try show("get", "s.kvmap", "\u{2066}").hasSuffix(#"no key '\xe2\x81\xa6' in 's.kvmap'"# + "\n"))
  }

  @Test("figures have units, and shares of what they are a part of")
  func units() throws {
    let value = [UInt8](repeating: 7, count: 300_000)
    try #require(try directory.kvmap("put", "s.kvmap", "large", input: value).status == 0)
    #expect(try show("keys", "s.kvmap", "--largest", "1") == "293 KiB\tlarge\n")
    #expect(try directory.kvmap("keys", "s.kvmap", "--largest", "1").text == "300000\tlarge\n")
    let shown = try show("stat", "s.kvmap")
    for line in ["live +293 KiB +[0-9]+ %", "fixed +192 KiB +[0-9]+ %", "records +2"] {
      #expect(shown.contains(try Regex("\n\(line)\n")), "\(line): \(shown)")
    }
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
