import Foundation
import KVMap
import Testing

@Suite("incr, cas, append, backup")
struct UpdateVerbsTests {
  let directory: Directory

  init() throws { directory = try Directory() }

  @Test("incr adds and prints the sum, also in several processes at once")
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

  @Test("an application that has the store open sees what the shell puts, and the reverse")
  func besideAnApplication() throws {
    let store = try Store(path: directory.path("s.kvmap"))
    try store.put("of the application", forKey: "one")
    #expect(try directory.kvmap("get", "s.kvmap", "one").text == "of the application")
    #expect(try directory.kvmap("put", "s.kvmap", "two", "of the shell").status == 0)
    #expect(try store.get("two", as: String.self) == "of the shell")
    #expect(try store.increment("n") == 1)
    #expect(try directory.kvmap("incr", "s.kvmap", "n").text == "2\n")
    #expect(try store.increment("n") == 3)
    let snapshot = try store.snapshot()
    #expect(try directory.kvmap("delete", "s.kvmap", "one").status == 0)
    #expect(try directory.kvmap("compact", "s.kvmap").status == 0)
    #expect(try store.get("one") == nil)
    #expect(try snapshot.get("one") == Array("of the application".utf8))
    snapshot.end()
    #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
    try store.close()
    #expect(try directory.kvmap("get", "s.kvmap", "n").text == "3")
  }

  @Test("a store that an application holds exclusively can be read, and not written")
  func besideAnExclusiveApplication() throws {
    let store = try Store(path: directory.path("s.kvmap"), options: Store.Options(exclusive: true))
    try store.put("1", forKey: "one")
    #expect(try directory.kvmap("get", "s.kvmap", "one").text == "1")
    let run = try directory.kvmap("put", "s.kvmap", "two", "2", "--timeout", "50ms")
    #expect(run.status == 75)
    #expect(run.errors.contains("process \(ProcessInfo.processInfo.processIdentifier)"))
    try store.close()
  }

  @Test("cas sets a value only if it is as expected")
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

  @Test("backup makes an equal store, and replaces no file")
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
