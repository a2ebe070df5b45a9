import Foundation
import Testing

@Suite("load of tables and databases, dump to a file")
struct LoadTablesTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  @Test("CSV and TSV are recognised by the name or asked for")
  func tables() throws {
    try directory.write("key,value\r\n\"a,1\",\"x\"\"y\n\"\r\nb,\r\n", to: "t.csv")
    #expect(try directory.kvmap("load", "--header", "1.kvmap", "t.csv").status == 0)
    #expect(
      try directory.kvmap("dump", "1.kvmap").lines.dropFirst().dropLast().sorted()
        == [#"{"key":"a,1","value":"x\"y\n"}"#, #"{"key":"b","value":""}"#])
    try directory.write("a\t1\nb\t2,3\n", to: "t.tsv")
    #expect(try directory.kvmap("load", "2.kvmap", "t.tsv").status == 0)
    let list = try directory.kvmap("list", "--values", "2.kvmap")
    #expect(list.lines.sorted() == ["a\t1", "b\t2,3"])
    #expect(try directory.kvmap("load", "--format", "tsv", "3.kvmap", input: list.output).status == 0)
    #expect(try directory.kvmap("get", "3.kvmap", "b").text == "2,3")
  }

  @Test("a faulty line: 65 with its place, and nothing is loaded; --keep-going leaves it out")
  func faultyTable() throws {
    let csv = "a,1\nb\nc,3\nd,\"4\"x\ne,5"
    let run = try directory.kvmap("load", "--format", "csv", "s.kvmap", text: csv)
    #expect(run.status == 65)
    #expect(
      run.errors
        == "kvmap: load: standard input, line 2: one field; a line holds a key and a value; nothing was loaded\n"
    )
    #expect(try directory.names() == [])
    let kept = try directory.kvmap("load", "--keep-going", "--format", "csv", "s.kvmap", text: csv)
    #expect(kept.status == 65)
    #expect(kept.errors.hasSuffix("standard input has 2 faults; loaded all the same: 3 records\n"))
    #expect(try directory.kvmap("list", "s.kvmap").lines.sorted() == ["a", "c", "e"])
    #expect(try directory.kvmap("load", "--format", "csv", "t.kvmap").status == 65)
  }

  @Test(
    "a database of gdbm is recognised, whatever machine wrote it, and the pipe that loads it is named",
    arguments: [
      [0xCF, 0x9A, 0x57, 0x13], [0x13, 0x57, 0x9A, 0xCF], [0xCE, 0x9A, 0x57, 0x13], [0xD1, 0x9A, 0x57, 0x13],
    ])
  func gdbm(magic: [UInt8]) throws {
    try directory.write(magic + [UInt8](repeating: 0, count: 100), to: "it's.db")
    let run = try directory.kvmap("load", "s.kvmap", "it's.db")
    #expect(run.status == 65)
    #expect(
      run.errors == """
        kvmap: load: 'it's.db' is a file of gdbm, not a dump; to load it: gdbm_dump 'it'\\''s.db' | kvmap load 's.kvmap'

        """)
    let piped = try directory.kvmap("load", "s.kvmap", input: try directory.read("it's.db"))
    #expect(piped.errors.hasSuffix("to load it: gdbm_dump FILE | kvmap load 's.kvmap'\n"))
    #expect(try directory.names() == ["it's.db"])
  }

  @Test("a store is recognised, and the pipe that is named loads it")
  func store() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    let run = try directory.kvmap("load", "t.kvmap", "s.kvmap")
    #expect(run.status == 65)
    let pipe = try #require(run.errors.components(separatedBy: "to load it: ").last)
    #expect(try Tool.script("kvmap() { \"$0\" \"$@\"; }; \(pipe)", in: directory).status == 0)
    #expect(try directory.kvmap("get", "t.kvmap", "k").text == "v")
  }

  @Test("dump -o writes a file, whole or with an error")
  func dumpToFile() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    try directory.write(String(repeating: "older and longer\n", count: 100), to: "dump")
    let run = try directory.kvmap("dump", "s.kvmap", "-o", "dump")
    #expect(run.status == 0 && run.output == [] && run.errors == "")
    #expect(try directory.read("dump") == (try directory.kvmap("dump", "s.kvmap").output))
    #expect(try directory.kvmap("dump", "s.kvmap", "-o", "/dev/null").status == 0)
    #expect(try directory.kvmap("dump", "s.kvmap", "-o", "none/dump").status == 73)
    #expect(try directory.kvmap("dump", "none.kvmap", "-o", "dump").status == 2)
    #expect(try directory.read("dump") == (try directory.kvmap("dump", "s.kvmap").output))
    #if os(Linux)
      let full = try directory.kvmap("dump", "s.kvmap", "-o", "/dev/full")
      #expect(full.status == 74)
      #expect(full.errors.hasPrefix("kvmap: dump: cannot write '/dev/full': "))
    #endif
  }
}
