import Foundation
import Testing

@Suite("backup and restore")
struct BackupRestoreTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<200).map { "{\"put\":\"key \($0)\",\"value\":\"value of \($0)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    try #require(try directory.kvmap("expire", "s.kvmap", "key 1", "2h").status == 0)
  }

  private func dump(_ store: String) throws -> [String] { try directory.kvmap("dump", store).lines.sorted() }

  @Test("go through a file and through a pipe, and keep everything")
  func roundTrip() throws {
    let streamed = try directory.kvmap("backup", "s.kvmap", "-")
    #expect(streamed.status == 0)
    #expect(streamed.errors == "")
    try directory.write(streamed.output, to: "streamed.kvmap")
    #expect(try directory.kvmap("verify", "streamed.kvmap").text == "OK\n")
    #expect(try directory.kvmap("backup", "s.kvmap", "file.kvmap").status == 0)
    for (arguments, input) in [
      (["a.kvmap", "streamed.kvmap"], []), (["b.kvmap", "file.kvmap"], []),
      (["c.kvmap", "-"], streamed.output),
      (["d.kvmap"], streamed.output),
    ] {
      let run = try Tool.run(["restore"] + arguments, input: input, in: directory)
      #expect(run.status == 0, "\(run)")
      #expect(run.output == [])
      #expect(run.errors == "kvmap: restore: restored and verified 200 records\n")
      #expect(try dump(arguments[0]) == dump("s.kvmap"))
      #expect(try directory.kvmap("verify", arguments[0]).text == "OK\n")
    }
    let piped = try Tool.script(#""$0" backup s.kvmap - | "$0" restore -q e.kvmap"#, in: directory)
    #expect(piped.status == 0 && piped.errors == "")
    #expect(try dump("e.kvmap") == dump("s.kvmap"))
  }

  @Test("a backup that was cut off or is damaged: 65, and no trace")
  func faulty() throws {
    let whole = try directory.kvmap("backup", "s.kvmap", "-").output
    var changed = whole
    let range = try #require(Data(whole).range(of: Data("value of 77".utf8)))
    changed[range.lowerBound] ^= 1
    let lengths = [1, 100, 4096, 100_000, whole.count / 2, whole.count - 1]
    for bytes in lengths.map({ Array(whole[..<$0]) }) + [changed, Array("hello".utf8)] {
      let run = try directory.kvmap("restore", "new.kvmap", input: bytes)
      #expect(run.status == 65, "\(bytes.count): \(run)")
      #expect(run.errors.contains("standard input: "), "\(run.errors)")
      #expect(!run.errors.contains("/proc"), "\(run.errors)")
      try directory.write(bytes, to: "backup")
      #expect(try directory.kvmap("restore", "new.kvmap", "backup").status == 65)
      #expect(try directory.names() == ["backup", "s.kvmap"])
    }
    #expect(try directory.kvmap("restore", "new.kvmap").status == 2)
    #expect(try directory.kvmap("restore", "new.kvmap", "none").status == 2)
  }

  @Test("neither replaces a file")
  func taken() throws {
    try directory.write("mine", to: "taken")
    for arguments in [["backup", "s.kvmap", "taken"], ["restore", "taken", "s.kvmap"]] {
      #expect(try Tool.run(arguments, in: directory).status == 73)
      #expect(try directory.read("taken") == Array("mine".utf8))
    }
    #expect(try directory.kvmap("restore", "s.kvmap", "s.kvmap").status == 64)
    #expect(try directory.kvmap("backup", "s.kvmap", "-", "--reflink").status == 64)
  }

  @Test("a directory for temporary files that is not there is named, and nothing is left in one that is")
  func temporary() throws {
    let nowhere = ["TMPDIR": directory.path("none")]
    let backup = try directory.kvmap("backup", "s.kvmap", "-", environment: nowhere)
    #expect(backup.status == 73 && backup.output == [])
    #expect(backup.errors.contains("/none"))
    let restore = try directory.kvmap("restore", "new.kvmap", input: [1], environment: nowhere)
    #expect(restore.status == 74)
    #expect(restore.errors.contains("set TMPDIR"))
    let here = ["TMPDIR": directory.url.path]
    let whole = try directory.kvmap("backup", "s.kvmap", "-", environment: here)
    #expect(try directory.kvmap("restore", "new.kvmap", input: whole.output, environment: here).status == 0)
    #expect(try directory.names() == ["new.kvmap", "s.kvmap"])
  }

  @Test("what has changed since, and a store of the whole chain")
  func changes() throws {
    #expect(try directory.kvmap("backup", "s.kvmap", "base.kvmap").status == 0)
    #expect(try directory.kvmap("put", "s.kvmap", "key 2", "new").status == 0)
    #expect(try directory.kvmap("delete", "s.kvmap", "key 3").status == 0)
    let first = try directory.kvmap("backup", "s.kvmap", "first", "--since", "base.kvmap")
    #expect(first.status == 0 && first.output == [] && first.errors == "")
    #expect(try directory.kvmap("put", "s.kvmap", "key 3", "again").status == 0)
    let piped = try Tool.script(#""$0" backup s.kvmap - --since first > second"#, in: directory)
    #expect(piped.status == 0 && piped.errors == "")
    let run = try directory.kvmap("restore", "r.kvmap", "base.kvmap", "first", "second")
    #expect(run.status == 0 && run.output == [], "\(run)")
    #expect(run.errors == "kvmap: restore: restored 203 records, changes included, and verified the store\n")
    #expect(try dump("r.kvmap") == dump("s.kvmap"))
    #expect(try directory.kvmap("ttl", "r.kvmap", "key 1").status == 0)
    // A number, instead of a backup that has it.
    #expect(try directory.kvmap("backup", "s.kvmap", "from 0", "--since", "0").status == 0)

    let missing = try directory.kvmap("restore", "n.kvmap", "base.kvmap", "second")
    #expect(missing.status == 2)
    #expect(
      missing.errors.contains("second: it begins after change") && missing.errors.contains("is missing"))
    try directory.write([1, 2, 3], to: "no backup")
    for wrong in ["no backup", "n/a", "s.kvmap"] {
      #expect(try directory.kvmap("backup", "s.kvmap", "x", "--since", wrong).status != 0)
    }
    #expect(try directory.kvmap("restore", "n.kvmap", "base.kvmap", "no backup").status == 65)
    #expect(try directory.kvmap("restore", "n.kvmap", "base.kvmap", "n.kvmap").status != 0)
    #expect(try directory.kvmap("backup", "s.kvmap", "x", "--since", "first", "--reflink").status == 64)
    #expect(try directory.kvmap("backup", "s.kvmap", "first", "--since", "base.kvmap").status == 73)
    #expect(try Set(directory.names()).isDisjoint(with: ["x", "n.kvmap"]))
  }
}
