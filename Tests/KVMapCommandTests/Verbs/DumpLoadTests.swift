import Foundation
import Testing

@Suite("dump and load")
struct DumpLoadTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  /// A store of two records and its dump.
  private func makeStore(_ format: String = "jsonl") throws -> [UInt8] {
    let lines = "{\"put\":\"a\",\"value\":\"1\"}\n{\"put\":true,\"key_b64\":\"/w==\",\"value\":\"2\"}\n"
    try #require(try directory.kvmap("batch", "old.kvmap", text: lines).status == 0)
    let run = try directory.kvmap("dump", "--format", format, "old.kvmap")
    try #require(run.status == 0)
    #expect(run.errors == "")
    return run.output
  }

  @Test("carry a store over in every format", arguments: ["jsonl", "gdbm", "gdbm-binary"])
  func roundTrip(format: String) throws {
    let dump = try makeStore(format)
    let before = try directory.kvmap("dump", "old.kvmap").lines.sorted()

    let run = try directory.kvmap("load", "stream.kvmap", input: dump)
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(run.errors == "")
    try directory.write(dump, to: "dump")
    #expect(try directory.kvmap("load", "--format", format, "file.kvmap", "dump").status == 0)
    #expect(try directory.kvmap("load", "dash.kvmap", "-", input: dump).status == 0)
    for store in ["stream.kvmap", "file.kvmap", "dash.kvmap"] {
      #expect(try directory.kvmap("dump", store).lines.sorted() == before)
      #expect(try directory.kvmap("verify", store).text == "OK\n")
    }
    #expect(try directory.names() == ["dash.kvmap", "dump", "file.kvmap", "old.kvmap", "stream.kvmap"])
  }

  @Test("jsonl keeps empty keys, empty values, times of expiry and every byte")
  func lossless() throws {
    let dump = """
      {"kvmap":1}
      {"key":"","value":""}
      {"key":"e","value":"v","expires":4102444800000}
      {"key_b64":"/wA=","value_b64":"\(Data(UInt8.min...UInt8.max).base64EncodedString())"}
      {"count":3}

      """
    #expect(try directory.kvmap("load", "s.kvmap", text: dump).status == 0)
    let again = try directory.kvmap("dump", "s.kvmap")
    #expect(again.lines.first == "{\"kvmap\":1}")
    #expect(again.lines.last == "{\"count\":3}")
    #expect(again.lines.sorted() == dump.split(separator: "\n").map(String.init).sorted())
  }

  @Test("a dump cut off after any line leaves no trace", arguments: ["jsonl", "gdbm"])
  func truncated(format: String) throws {
    let whole = String(decoding: try makeStore(format), as: UTF8.self)
    let lines = whole.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    for count in 0..<lines.count {
      let run = try directory.kvmap("load", "new.kvmap", text: lines.prefix(count).map { $0 + "\n" }.joined())
      #expect(run.status == 65, "\(count) lines")
      #expect(run.errors.hasPrefix("kvmap: load: standard input"), "\(run.errors)")
      #expect(try directory.names() == ["old.kvmap"])
    }
  }

  @Test("a wrong count leaves an existing store as it was")
  func wrongCount() throws {
    let dump = String(decoding: try makeStore("gdbm"), as: UTF8.self)
    _ = try directory.kvmap("put", "s.kvmap", "a", "old")
    let wrong = dump.replacingOccurrences(of: "#:count=2", with: "#:count=3")
    try directory.write(wrong, to: "wrong")
    let run = try directory.kvmap("load", "s.kvmap", "wrong")
    #expect(run.status == 65)
    #expect(
      run.errors
        == "kvmap: load: 'wrong', line 15: the dump should hold 3 records, 2 were found; nothing was loaded\n"
    )
    #expect(try directory.kvmap("list", "--values", "s.kvmap").text == "a\told\n")
  }

  @Test("--keep-going loads what is sound, and fails nevertheless")
  func keepGoing() throws {
    let dump =
      "{\"kvmap\":1}\n{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\n{\"key\":\"c\",\"value\":\"3\"}\n"
    for _ in 1...2 {
      let run = try directory.kvmap("load", "--keep-going", "s.kvmap", text: dump)
      #expect(run.status == 65)
      let messages = run.errors.split(separator: "\n")
      #expect(messages.count == 3)
      #expect(messages.first?.hasPrefix("kvmap: load: standard input, line 3: ") == true)
      #expect(messages.last == "kvmap: load: standard input has 2 faults; loaded all the same: 2 records")
      #expect(try directory.kvmap("list", "s.kvmap").lines.sorted() == ["a", "c"])
    }
    let cut = "#:len=1\nYQ==\n#:len=1\nYg==\n#:len=1\nYw==\n#:len=9\nYQ==\n"
    #expect(try directory.kvmap("load", "--keep-going", "t.kvmap", text: cut).status == 65)
    #expect(try directory.kvmap("list", "--values", "t.kvmap").text == "a\tb\n")
  }

  @Test("a conflict replaces, skips or fails")
  func conflicts() throws {
    let dump = "{\"key\":\"n\",\"value\":\"new\"}\n{\"key\":\"a\",\"value\":\"new\"}\n"
    func load(_ store: String, _ arguments: String...) throws -> (Run, [String]) {
      _ = try directory.kvmap("put", store, "a", "old")
      let run = try Tool.run(["load", store] + arguments, input: Array(dump.utf8), in: directory)
      return (run, try directory.kvmap("list", "--values", store).lines.sorted())
    }
    let byDefault = try load("1.kvmap")
    #expect(byDefault.0.status == 0)
    #expect(byDefault.1 == ["a\tnew", "n\tnew"])
    let replaced = try load("2.kvmap", "--on-conflict", "replace")
    #expect(replaced.1 == ["a\tnew", "n\tnew"])
    let skipped = try load("3.kvmap", "--on-conflict", "skip")
    #expect(skipped.0.status == 0)
    #expect(skipped.1 == ["a\told", "n\tnew"])
    let failed = try load("4.kvmap", "--on-conflict", "fail")
    #expect(failed.0.status == 1)
    #expect(
      failed.0.errors
        == "kvmap: load: standard input, line 2: the key 'a' is in '4.kvmap' already; nothing was loaded\n")
    #expect(failed.1 == ["a\told"])
  }

  @Test("a key twice in one dump is a conflict in a new store too")
  func twice() throws {
    let dump = "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"a\",\"value\":\"2\"}\n"
    #expect(try directory.kvmap("load", "--on-conflict", "fail", "s.kvmap", text: dump).status == 1)
    #expect(try directory.names() == [])
    #expect(try directory.kvmap("load", "s.kvmap", text: dump).status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "a").text == "2")
  }

  @Test("text that is no dump is refused", arguments: ["", "hello\n", "\u{FEFF}{\"kvmap\":1}\n"])
  func noDump(text: String) throws {
    let run = try directory.kvmap("load", "s.kvmap", text: text)
    #expect(run.status == 65)
    #expect(try directory.names() == [])
  }

  @Test(
    "gdbm formats fail at what gdbm cannot hold, or leave it out and say so",
    arguments: ["gdbm", "gdbm-binary"])
  func unfit(format: String) throws {
    let lines = "{\"put\":\"e\",\"value\":\"\"}\n{\"put\":\"x\",\"value\":\"1\",\"ttl_ms\":9000000}\n"
    _ = try directory.kvmap("batch", "s.kvmap", text: lines)
    let run = try directory.kvmap("dump", "--format", format, "s.kvmap")
    #expect(run.status == 2)
    #expect(run.errors.contains("the key 'e'"))
    #expect(run.errors.contains("use --format jsonl, or leave such records out with --skip-unfit"))

    let skipping = try directory.kvmap("dump", "--format", format, "--skip-unfit", "s.kvmap")
    #expect(skipping.status == 0)
    #expect(
      skipping.errors == """
        kvmap: dump: left out 1 record that \(format) cannot hold
        kvmap: dump: \(format) holds no times of expiry: 1 record lost theirs; --format jsonl keeps them

        """)
    #expect(try directory.kvmap("load", "t.kvmap", input: skipping.output).status == 0)
    #expect(try directory.kvmap("list", "--values", "t.kvmap").text == "x\t1\n")
    #expect(try directory.kvmap("dump", "-q", "--format", format, "--skip-unfit", "s.kvmap").errors == "")
  }

  @Test("a text dump never tells gdbm_load to write to the store")
  func gdbmFileName() throws {
    #expect(try String(decoding: makeStore("gdbm"), as: UTF8.self).contains("\n#:file=old.gdbm\n"))
  }

  @Test("load does not replace a file that appears under the name meanwhile")
  func nameTaken() throws {
    let process = Tool.makeProcess(["load", "s.kvmap"], in: directory)
    let (input, errors) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardError = errors
    try Tool.start(process)
    // More than a pipe holds: once this is written, the tool has seen that there is no store.
    let record = "{\"key\":\"k\",\"value\":\"\(String(repeating: "v", count: 1 << 20))\"}\n"
    try input.fileHandleForWriting.write(contentsOf: Data(("{\"kvmap\":1}\n" + record).utf8))
    try directory.write("mine", to: "s.kvmap")
    try input.fileHandleForWriting.write(contentsOf: Data("{\"count\":1}\n".utf8))
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 73)
    let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(message.contains("there is a file already"))
    #expect(try directory.read("s.kvmap") == Array("mine".utf8))
    #expect(try directory.names() == ["s.kvmap"])
  }
}
