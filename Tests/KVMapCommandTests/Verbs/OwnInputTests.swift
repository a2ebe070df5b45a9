import Foundation
import Testing

/// A verb never writes to the store that it reads, under none of the file's names.
@Suite("A verb's own input")
struct OwnInputTests {
  static let names = ["s.kvmap", "./s.kvmap", "hard", "symbolic"]

  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<50).map { "{\"put\":\"key \($0)\",\"value\":\"value of \($0)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    let files = FileManager.default
    try files.linkItem(atPath: directory.path("s.kvmap"), toPath: directory.path("hard"))
    try files.createSymbolicLink(atPath: directory.path("symbolic"), withDestinationPath: "s.kvmap")
  }

  private func expectRefused(
    _ what: String, _ message: String? = nil, _ run: () throws -> Run
  ) throws {
    let before = try directory.read("s.kvmap")
    let files = try directory.names()
    let run = try run()
    #expect(run.status == 64, "\(what): \(run)")
    #expect(run.output == [], "\(what)")
    if let message { #expect(run.errors == message, "\(what)") }
    #expect(try directory.read("s.kvmap") == before, "\(what): the store was changed")
    #expect(try directory.names() == files, "\(what): a file came or went")
  }

  @Test("is not its output", arguments: names)
  func output(name: String) throws {
    try expectRefused("get", "kvmap: get: '\(name)' is the store itself; write to another file\n") {
      try directory.kvmap("get", "s.kvmap", "key 1", "-o", name)
    }
    // The same with the names exchanged.
    try expectRefused("get", "kvmap: get: 's.kvmap' is the store itself; write to another file\n") {
      try directory.kvmap("get", name, "key 1", "-o", "s.kvmap")
    }
    try expectRefused("dump", "kvmap: dump: '\(name)' is the store itself; write to another file\n") {
      try directory.kvmap("dump", "s.kvmap", "-o", name)
    }
  }

  @Test("is not the store to be made", arguments: names, ["backup", "salvage"])
  func new(name: String, verb: String) throws {
    let message = "kvmap: \(verb): '\(name)' is the store itself; choose another name\n"
    try expectRefused(verb, message) { try directory.kvmap(verb, "s.kvmap", name) }
    if verb == "backup" {
      try expectRefused(verb, message) { try directory.kvmap(verb, "s.kvmap", name, "--reflink") }
    }
  }

  @Test("is not the dump to be loaded", arguments: names, ["auto", "jsonl", "gdbm", "gdbm-binary"])
  func dump(name: String, format: String) throws {
    try expectRefused("load", "kvmap: load: '\(name)' is the store itself; read another file\n") {
      try directory.kvmap("load", "--format", format, "--keep-going", "s.kvmap", name)
    }
  }

  /// Runs a line of the shell, with the tool as `kvmap`.
  private func shell(_ line: String) throws -> Run {
    let errors = try directory.write("", to: "../\(directory.url.lastPathComponent)-err")
    defer { try? FileManager.default.removeItem(at: errors) }
    let process = Tool.makeProcess(
      ["-c", "kvmap() { '\(Tool.url.path)' \"$@\"; }; \(line)"], in: directory)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.standardError = try FileHandle(forWritingTo: errors)
    try Tool.start(process)
    process.waitUntilExit()
    return Tool.result(of: process, errors: try Data(contentsOf: errors))
  }

  @Test("is not its standard output", arguments: names, [">>", "1<>"])
  func standardOutput(name: String, redirection: String) throws {
    for verb in ["get s.kvmap 'key 1'", "list s.kvmap", "dump s.kvmap", "stat s.kvmap", "verify s.kvmap"] {
      let message =
        "kvmap: \(verb.prefix { $0 != " " }): standard output goes into the store itself; send it to another file\n"
      try expectRefused(verb, message) { try shell("kvmap \(verb) \(redirection)\(name)") }
    }
  }

  @Test("is not where its messages go", arguments: names, ["2>>", "2<>"])
  func standardError(name: String, redirection: String) throws {
    // A message about it would go into the store too, so there is none.
    for line in ["get s.kvmap 'no such key'", "put s.kvmap 'key 1' new --if-absent"] {
      try expectRefused(line, "") { try shell("kvmap \(line) \(redirection)\(name)") }
      try expectRefused(line, "") { try shell("kvmap \(line) \(redirection)\(name) >&2") }
    }
  }

  @Test("is not the standard input that is to be written into it", arguments: names)
  func standardInput(name: String) throws {
    for verb in ["load", "batch", "batch --each"] {
      let message =
        "kvmap: \(verb.prefix { $0 != " " }): standard input is the store itself; read another file\n"
      try expectRefused(verb, message) { try shell("kvmap \(verb) s.kvmap <\(name)") }
    }
  }

  @Test("may be any other file, a store too")
  func others() throws {
    #expect(try directory.kvmap("get", "s.kvmap", "key 1", "-o", "out").status == 0)
    #expect(try directory.read("out") == Array("value of 1".utf8))
    #expect(try directory.kvmap("backup", "s.kvmap", "other.kvmap").status == 0)
    #expect(try directory.kvmap("salvage", "s.kvmap", "third.kvmap").status == 0)
    #expect(try shell("kvmap get s.kvmap 'key 1' >out 2>&1 <s.kvmap").status == 0)
    for name in ["s.kvmap", "other.kvmap", "third.kvmap"] {
      #expect(try directory.kvmap("verify", name).text == "OK\n")
      #expect(try directory.kvmap("count", name).text == "50\n")
    }
  }
}
