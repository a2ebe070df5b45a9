import Foundation
import Testing

@Suite("clear and delete --prefix")
struct ClearTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<300).map { "{\"put\":\"\($0 % 3 == 0 ? "a" : "b"):\($0)\",\"value\":\"v\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
  }

  /// Runs the tool with all streams on a terminal, and answers.
  private func run(_ arguments: String..., answer: String) throws -> (status: Int32, shown: String) {
    let terminal = try PseudoTerminal()
    terminal.type(answer)
    let process = Tool.makeProcess(arguments, environment: ["NO_COLOR": "1"], in: directory)
    process.standardInput = terminal.tool
    process.standardOutput = terminal.tool
    process.standardError = terminal.tool
    try Tool.start(process)
    process.waitUntilExit()
    return (process.terminationStatus, try terminal.contents())
  }

  private func count() throws -> String { try directory.kvmap("count", "s.kvmap").text }

  @Test("without a terminal they refuse, and --yes answers")
  func withoutTerminal() throws {
    let refused = try directory.kvmap("clear", "s.kvmap", text: "y\n")
    #expect(refused.status == 64)
    #expect(
      refused.errors
        == "kvmap: clear: there is no terminal to ask on; to remove all 300 records of 's.kvmap', add --yes\n"
    )
    let other = try directory.kvmap("delete", "s.kvmap", "--prefix", "a:")
    #expect(other.status == 64)
    #expect(
      other.errors
        == "kvmap: delete: there is no terminal to ask on; to remove 100 keys that begin with 'a:' from 's.kvmap', add --yes\n"
    )
    #expect(try count() == "300\n")

    let deleted = try directory.kvmap("delete", "s.kvmap", "--prefix", "a:", "--yes")
    #expect(deleted.status == 0)
    #expect(deleted.errors == "kvmap: delete: removed 100 records\n")
    #expect(try count() == "200\n")
    #expect(
      try directory.kvmap("delete", "s.kvmap", "--key-hex", "--prefix", "623a31", "--yes", "-q").errors == "")
    let cleared = try directory.kvmap("clear", "--yes", "--durable", "s.kvmap")
    #expect(cleared.status == 0)
    #expect(cleared.output == [])
    #expect(try count() == "0\n")
    #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
  }

  @Test("on a terminal they ask, and only yes is yes", arguments: ["n", "", "yess", "no"])
  func no(answer: String) throws {
    let run = try run("clear", "s.kvmap", answer: answer)
    #expect(run.status == 1)
    #expect(
      run.shown == """
        kvmap: clear: remove all 300 records of 's.kvmap'? [y/N] kvmap: clear: nothing was removed

        """)
    #expect(try count() == "300\n")
  }

  @Test("after yes they remove", arguments: ["y", "Y", "yes"])
  func yes(answer: String) throws {
    let some = try run("delete", "s.kvmap", "--prefix", "a:", answer: answer)
    #expect(some.status == 0)
    #expect(
      some.shown == """
        kvmap: delete: remove 100 keys that begin with 'a:' from 's.kvmap'? [y/N] kvmap: delete: removed 100 records

        """)
    #expect(try run("clear", "s.kvmap", answer: answer).status == 0)
    #expect(try count() == "0\n")
  }

  @Test("take no keys beside a prefix")
  func usage() throws {
    #expect(try directory.kvmap("delete", "s.kvmap", "k", "--prefix", "a").status == 64)
    #expect(try directory.kvmap("delete", "s.kvmap", "-0", "--prefix", "a").status == 64)
    #expect(try directory.kvmap("delete", "s.kvmap", "--key-hex", "--prefix", "a", "--yes").status == 64)
    #expect(try directory.kvmap("clear", "none.kvmap", "--yes").status == 2)
    #expect(try count() == "300\n")
  }
}
