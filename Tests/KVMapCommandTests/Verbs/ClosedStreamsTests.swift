import Foundation
import Testing

/// The tool started without one of its streams, or without any.
@Suite("Closed streams")
struct ClosedStreamsTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<50).map { "{\"put\":\"key \($0)\",\"value\":\"value of \($0)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
  }

  private func status(_ arguments: String, _ closing: String) throws -> Int32 {
    let process = Tool.makeProcess(
      ["-c", "exec '\(Tool.url.path)' \(arguments) \(closing)"], in: directory)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    try Tool.start(process)
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test(
    "harm neither the store nor its copies",
    arguments: ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
  func harmless(closing: String) throws {
    let hasOutput = !closing.hasPrefix(">&-") && !closing.contains(" >&-")
    let printed: Int32 = hasOutput ? 0 : 74
    // Each of these prints something to a closed stream, or opens a file that could get its
    // number.
    for (arguments, expected) in [
      ("get s.kvmap 'key 1'", printed), ("get s.kvmap 'no such key'", 1),
      ("get s.kvmap 'key 1' -o out", 0), ("list s.kvmap", printed), ("stat s.kvmap", printed),
      ("put s.kvmap 'key 1' other --if-absent", 1), ("put s.kvmap new value", 0),
      ("put new.kvmap key value", 0), ("backup s.kvmap backup.kvmap", 0),
      ("backup s.kvmap backup.kvmap", 73), ("salvage s.kvmap salvaged.kvmap", printed),
      ("verify s.kvmap", printed), ("compact s.kvmap", 0),
    ] {
      #expect(try status(arguments, closing) == expected, "\(arguments) \(closing)")
    }
    #expect(try directory.read("out") == Array("value of 1".utf8))
    for (name, count) in [("s.kvmap", 51), ("backup.kvmap", 51), ("salvaged.kvmap", 51), ("new.kvmap", 1)] {
      #expect(try directory.kvmap("verify", name).text == "OK\n", "\(name) \(closing)")
      #expect(try directory.kvmap("count", name).text == "\(count)\n", "\(name) \(closing)")
      let bytes = Data(try directory.read(name))
      #expect(bytes.range(of: Data("kvmap: ".utf8)) == nil, "a message is in \(name) \(closing)")
      #expect(bytes.range(of: Data("records  ".utf8)) == nil, "output is in \(name) \(closing)")
    }
    #expect(try directory.kvmap("get", "s.kvmap", "key 1").text == "value of 1")
    #expect(
      try directory.names() == ["backup.kvmap", "new.kvmap", "out", "s.kvmap", "salvaged.kvmap"])
  }

  @Test("do not let messages into the input that a load keeps", arguments: ["2>&-", ">&- 2>&-"])
  func load(closing: String) throws {
    let value = String(repeating: "v", count: 1_000)
    // Every second line gives a message, and there are more lines than are read at once.
    let lines = (0..<400).map {
      $0 % 2 == 0 ? "{\"key\":\"new \($0)\",\"value\":\"\(value)\"}\n" : "no record\n"
    }
    let text = "{\"kvmap\":1}\n" + lines.joined() + "{\"count\":200}\n"
    try directory.write(text, to: "dump")
    let process = Tool.makeProcess(
      ["-c", "cat dump | '\(Tool.url.path)' load --keep-going s.kvmap \(closing)"], in: directory)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    try Tool.start(process)
    process.waitUntilExit()
    #expect(process.terminationStatus == 65)
    #expect(try directory.kvmap("count", "s.kvmap").text == "250\n")
    #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
  }
}
