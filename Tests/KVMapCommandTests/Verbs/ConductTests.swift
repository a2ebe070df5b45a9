import Foundation
import KVMap
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("Conduct")
struct ConductTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  @Test("64: a wrong command line, with the usage on standard error")
  func usage() throws {
    for arguments in [
      [], ["frobnicate"], ["get"], ["get", "s.kvmap"], ["get", "s.kvmap", "k", "--colour"],
      ["ge", "s.kvmap", "k"],
      ["get", "s.kvmap", "k", "--format", "xml"], ["get", "s.kvmap", "k", "--timeout", "soon"],
    ] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 64, "\(arguments)")
      #expect(run.output == [])
      #expect(run.errors.hasPrefix("kvmap: "))
      #expect(run.errors.contains("Usage: kvmap"))
    }
  }

  @Test(
    "65: a file that is no store, and stays as it was",
    arguments: ["hello", String(repeating: "x", count: 100_000)])
  func noStore(contents: String) throws {
    try directory.write(contents, to: "s.kvmap")
    for arguments in [
      ["get", "s.kvmap", "k"], ["put", "s.kvmap", "k", "v"], ["list", "s.kvmap"], ["stat", "s.kvmap"],
    ] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 65, "\(arguments)")
      #expect(run.output == [])
      #expect(run.errors.contains("s.kvmap"))
    }
    #expect(try directory.read("s.kvmap") == Array(contents.utf8))
  }

  @Test("73: a store that cannot be created")
  func cannotCreate() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    for arguments in [
      ["put", "none/s.kvmap", "k", "v"], ["batch", "none/s.kvmap"],
      ["get", "s.kvmap", "k", "-o", "none/out"],
    ] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 73, "\(arguments)")
      #expect(run.errors.contains("none"))
    }
    let run = try directory.kvmap("load", "none/s.kvmap", text: "{\"kvmap\":1}\n{\"count\":0}\n")
    #expect(run.status == 73)
    #expect(
      run.errors == "kvmap: load: none/s.kvmap: the store cannot be created: there is no directory none\n")
  }

  #if os(Linux)
    @Test("74: output that cannot be written")
    func fullDisk() throws {
      _ = try directory.kvmap("put", "s.kvmap", "k", "v")
      let errors = try directory.write([], to: "err")
      for arguments in [["get", "s.kvmap", "k"], ["dump", "s.kvmap"], ["count", "s.kvmap"], ["--help"]] {
        let process = Tool.makeProcess(arguments, in: directory)
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: "/dev/full"))
        process.standardError = try FileHandle(forWritingTo: errors)
        try Tool.start(process)
        process.waitUntilExit()
        #expect(process.terminationStatus == 74, "\(arguments)")
        #expect(
          String(decoding: try directory.read("err"), as: UTF8.self).contains("cannot write standard output"))
      }
    }
  #endif

  @Test("74: input that cannot be read")
  func unreadableInput() throws {
    let run = try directory.kvmap("put", "s.kvmap", "k", "--file", ".")
    #expect(run.status == 74)
    #expect(run.errors.hasPrefix("kvmap: put: cannot read '.': "))
    for arguments in [["put", "s.kvmap", "k", "--file", "none"], ["load", "s.kvmap", "none"]] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 74, "\(arguments)")
      #expect(run.errors == "kvmap: \(arguments[0]): cannot open 'none': No such file or directory\n")
    }
    #expect(try directory.names() == [])
  }

  @Test("75: another process holds the write lock, and the message names it")
  func busy() throws {
    let store = try Store(path: directory.path("s.kvmap"), options: Store.Options(exclusive: true))
    for (arguments, input) in [
      (["put", "s.kvmap", "k", "v"], ""), (["delete", "s.kvmap", "k"], ""),
      (["batch", "s.kvmap"], "{\"put\":\"a\",\"value\":\"b\"}\n"),
      (["load", "s.kvmap"], "{\"key\":\"a\",\"value\":\"b\"}\n"),
    ] {
      let run = try Tool.run(arguments + ["--timeout", "20ms"], input: Array(input.utf8), in: directory)
      #expect(run.status == 75, "\(arguments): \(run)")
      #expect(run.errors.contains("\(getpid())"), "\(run.errors)")
      #expect(run.errors.contains("--timeout"))
    }
    #expect(try directory.kvmap("count", "s.kvmap").text == "0\n")
    try store.close()
    #expect(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
  }

  @Test("a closed pipe ends it quietly", arguments: [["list", "s.kvmap", "--values"], ["dump", "s.kvmap"]])
  func closedPipe(arguments: [String]) throws {
    let value = String(repeating: "v", count: 60_000)
    let lines = (0..<20).map { "{\"put\":\"\($0)\",\"value\":\"\(value)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    let process = Tool.makeProcess(arguments, in: directory)
    let output = Pipe()
    let errors = try directory.write([], to: "err")
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: errors)
    try Tool.start(process)
    try output.fileHandleForReading.close()
    process.waitUntilExit()
    let run = Tool.result(of: process)
    #expect(run.signal == SIGPIPE)
    #expect(try directory.read("err") == [])
  }

  @Test("an interrupted load leaves no trace", arguments: [SIGINT, SIGTERM, SIGHUP], [false, true])
  func interrupted(signal: Int32, storeExists: Bool) throws {
    if storeExists { _ = try directory.kvmap("put", "s.kvmap", "a", "old") }
    let process = Tool.makeProcess(["load", "s.kvmap"], in: directory)
    let input = Pipe()
    process.standardInput = input
    try Tool.start(process)
    let lines = (0..<40).map {
      "{\"key\":\"\($0)\",\"value\":\"\(String(repeating: "v", count: 50_000))\"}\n"
    }
    // More than a pipe holds: once this is written, the load has begun. It waits for the rest.
    try input.fileHandleForWriting.write(contentsOf: Data(("{\"kvmap\":1}\n" + lines.joined()).utf8))
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    try input.fileHandleForWriting.close()
    #expect(Tool.result(of: process).signal == signal)
    if storeExists {
      #expect(try directory.kvmap("list", "--values", "s.kvmap").text == "a\told\n")
      #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
      #expect(try directory.kvmap("put", "s.kvmap", "b", "new").status == 0)
    }
    #expect(try directory.names() == (storeExists ? ["s.kvmap"] : []))
  }

  @Test("others can write while a load waits for its pipe")
  func silentPipe() throws {
    _ = try directory.kvmap("put", "s.kvmap", "a", "old")
    let process = Tool.makeProcess(["load", "s.kvmap"], in: directory)
    let input = Pipe()
    process.standardInput = input
    try Tool.start(process)
    let value = String(repeating: "v", count: 50_000)
    let lines = (0..<40).map { "{\"key\":\"\($0)\",\"value\":\"\(value)\"}\n" }
    // More than a pipe holds: once this is written, the load has begun. It waits for the rest.
    try input.fileHandleForWriting.write(contentsOf: Data(lines.joined().utf8))
    #expect(try directory.kvmap("put", "s.kvmap", "a", "new", "--timeout", "1s").status == 0)
    #expect(try directory.kvmap("count", "s.kvmap").text == "1\n")
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(Tool.result(of: process).status == 0)
    #expect(try directory.kvmap("count", "s.kvmap").text == "41\n")
    #expect(try directory.kvmap("get", "s.kvmap", "a").text.hasPrefix("new"))
  }

  @Test("closed standard streams do not let messages into the store")
  func closedStreams() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    let script = try directory.write(
      """
      "$1" get s.kvmap k >&-; echo $? > a
      "$1" put s.kvmap k w --if-absent <&- >&- 2>&-; echo $? > b
      echo '{"put":"k","value":"w","if":"absent"}' | "$1" batch --each s.kvmap 2>&-; echo $? > c
      """, to: "script.sh")
    let process = Tool.makeProcess([script.path, Tool.url.path], in: directory)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    try Tool.start(process)
    process.waitUntilExit()
    #expect(try directory.read("a") == Array("74\n".utf8))
    #expect(try directory.read("b") == Array("1\n".utf8))
    #expect(try directory.read("c") == Array("1\n".utf8))
    let bytes = Data(try directory.read("s.kvmap"))
    #expect(bytes.range(of: Data("condition not met".utf8)) == nil)
    #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
  }

  @Test(
    "reading creates no file",
    arguments: ["get", "exists", "list", "keys", "count", "stat", "verify", "dump", "delete", "clear"])
  func readingCreatesNothing(verb: String) throws {
    let key = ["get", "exists", "delete"].contains(verb) ? ["k"] : []
    let run = try Tool.run([verb, "s.kvmap"] + key, in: directory)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("kvmap: \(verb): s.kvmap: there is no store\n"))
    #expect(try directory.names() == [])
  }

  @Test("--durable is an option of every verb that changes a store")
  func durable() throws {
    for arguments in [
      ["put", "s.kvmap", "k", "v"], ["append", "s.kvmap", "k", "w"], ["cas", "s.kvmap", "k", "vw", "x"],
      ["incr", "s.kvmap", "n"], ["expire", "s.kvmap", "k", "2h"], ["persist", "s.kvmap", "k"],
      ["batch", "s.kvmap"],
      ["batch", "--each", "s.kvmap"], ["delete", "s.kvmap", "k"],
      ["delete", "s.kvmap", "--prefix", "n", "--yes"],
      ["clear", "s.kvmap", "--yes"],
    ] {
      let run = try Tool.run(arguments + ["--durable"], in: directory)
      #expect(run.status == 0, "\(arguments): \(run)")
    }
  }
}
