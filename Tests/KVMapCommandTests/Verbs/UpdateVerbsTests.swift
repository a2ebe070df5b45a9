import Foundation
import Testing

@Suite("incr, cas, append, backup")
struct UpdateVerbsTests {
  let directory: Directory

  init() throws { directory = try Directory() }

  @Test("incr adds and prints, from several processes at once")
  func increments() throws {
    #expect(try directory.kvmap("incr", "s.kvmap", "n").text == "1\n")
    #expect(try directory.kvmap("incr", "s.kvmap", "n", "--", "-5").text == "-4\n")
    let processes = try (0..<4).map { _ in
      let process = Tool.makeProcess(["incr", "s.kvmap", "n", "100", "--durable"], in: directory)
      try Tool.start(process)
      return process
    }
    for process in processes { process.waitUntilExit() }
    #expect(try directory.kvmap("get", "s.kvmap", "n").text == "396")
    _ = try directory.kvmap("put", "s.kvmap", "text", "x")
    let failed = try directory.kvmap("incr", "s.kvmap", "text")
    #expect(failed.status == 2)
    #expect(failed.errors.contains("not a whole number"))
  }

  @Test("cas sets what is as expected, and nothing else")
  func comparing() throws {
    _ = try directory.kvmap("put", "s.kvmap", "job", "waiting")
    #expect(try directory.kvmap("cas", "s.kvmap", "job", "waiting", "running").status == 0)
    #expect(try directory.kvmap("cas", "s.kvmap", "job", "waiting", "running").status == 1)
    #expect(try directory.kvmap("get", "s.kvmap", "job").text == "running")
    #expect(try directory.kvmap("cas", "s.kvmap", "job", "running", "--delete").status == 0)
    #expect(try directory.kvmap("exists", "s.kvmap", "job").status == 1)
    #expect(try directory.kvmap("cas", "s.kvmap", "job", "x").status == 64)
  }

  @Test("append adds bytes to a value")
  func appending() throws {
    #expect(try directory.kvmap("append", "s.kvmap", "log", "one ").status == 0)
    #expect(try directory.kvmap("append", "s.kvmap", "log", text: "two").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "log").text == "one two")
  }

  @Test("backup makes an equal store and replaces none")
  func backups() throws {
    let lines = (0..<300).map { "{\"put\":\"key \($0)\",\"value\":\"value of \($0)\"}\n" }
    _ = try directory.kvmap("batch", "s.kvmap", text: lines.joined())
    let run = try directory.kvmap("backup", "s.kvmap", "copy.kvmap")
    #expect(run.status == 0 && run.text == "" && run.errors == "")
    let dumps = try ["s.kvmap", "copy.kvmap"].map { try directory.kvmap("dump", $0).lines.sorted() }
    #expect(dumps[0] == dumps[1])
    #expect(try directory.kvmap("verify", "copy.kvmap").text == "OK\n")
    #expect(try directory.kvmap("backup", "s.kvmap", "copy.kvmap").status == 73)
    #expect(try directory.kvmap("backup", "none.kvmap", "other.kvmap").status == 2)
    #expect(try directory.names() == ["copy.kvmap", "s.kvmap"])
  }
}
