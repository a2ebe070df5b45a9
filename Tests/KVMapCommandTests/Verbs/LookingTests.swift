import Foundation
import Testing

@Suite("delete, exists, count, list, stat and verify")
struct LookingTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = ["a:1", "a:2", "b\n1", "", "\u{1B}[31m"].enumerated().map { index, key in
      let text = key.replacingOccurrences(of: "\n", with: "\\n").replacingOccurrences(
        of: "\u{1B}", with: "\\u001b")
      return "{\"put\":\"\(text)\",\"value\":\"v\(index)\"}\n"
    }
    let run = try directory.kvmap("batch", "s.kvmap", text: lines.joined())
    try #require(run.status == 0)
  }

  @Test("delete removes a key once")
  func delete() throws {
    let run = try directory.kvmap("delete", "s.kvmap", "a:1")
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(run.errors == "")
    let again = try directory.kvmap("delete", "s.kvmap", "a:1")
    #expect(again.status == 1)
    #expect(again.errors == "kvmap: delete: no key 'a:1' in 's.kvmap'\n")
    #expect(try directory.kvmap("delete", "-q", "s.kvmap", "a:1").errors == "")
    #expect(try directory.kvmap("get", "s.kvmap", "a:1").status == 1)
    #expect(try directory.kvmap("get", "s.kvmap", "a:2").text == "v1")
    #expect(try directory.kvmap("delete", "s.kvmap", "--key-hex", "").status == 0)
    #expect(try directory.kvmap("count", "s.kvmap").text == "3\n")
  }

  @Test("exists answers only by its status")
  func exists() throws {
    for (key, status) in [("a:1", 0), ("", 0), ("a:", 1)] {
      let run = try directory.kvmap("exists", "s.kvmap", key)
      #expect(run.status == Int32(status))
      #expect(run.output == [])
      #expect(run.errors == "")
    }
  }

  @Test("count prints a number")
  func count() throws {
    let run = try directory.kvmap("count", "s.kvmap")
    #expect(run.status == 0)
    #expect(run.text == "5\n")
  }

  @Test("list prints bytes as they are, with zero bytes after them if wanted")
  func list() throws {
    let plain = try directory.kvmap("list", "s.kvmap")
    #expect(plain.status == 0)
    let lines = plain.text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.sorted() == ["", "", "1", "\u{1B}[31m", "a:1", "a:2", "b"].sorted())
    let zero = try directory.kvmap("list", "-0", "s.kvmap")
    #expect(zero.output.last == 0)
    let keys = zero.output.dropLast().split(separator: 0, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    #expect(keys.sorted() == ["", "\u{1B}[31m", "a:1", "a:2", "b\n1"].sorted())
  }

  @Test("list prints values, chooses by prefix and stops at a limit")
  func listOptions() throws {
    #expect(
      try directory.kvmap("list", "s.kvmap", "--prefix", "a:", "--values").lines.sorted() == [
        "a:1\tv0", "a:2\tv1",
      ])
    #expect(try directory.kvmap("list", "s.kvmap", "--prefix", "b", "--values", "-0").text == "b\n1\0v2\0")
    #expect(try directory.kvmap("list", "s.kvmap", "--key-hex", "--prefix", "1b").text == "\u{1B}[31m\n")
    #expect(try directory.kvmap("list", "s.kvmap", "--prefix", "zzz").status == 0)
    for limit in 0...5 {
      let run = try directory.kvmap("list", "s.kvmap", "-0", "--limit", "\(limit)")
      #expect(run.output.count { $0 == 0 } == limit)
    }
    #expect(try directory.kvmap("list", "s.kvmap", "--limit", "-1").status == 64)
    #expect(try directory.kvmap("list", "s.kvmap", "--limit=-1").status == 64)
  }

  @Test("stat prints a table, or one JSON object with the same figures")
  func stat() throws {
    let table = try directory.kvmap("stat", "s.kvmap")
    #expect(table.status == 0)
    #expect(table.lines.first == "healthy: < 1 % garbage, compaction keeps up")
    #expect(table.lines.dropFirst().first?.split(separator: " ") == ["records", "5"])
    #expect(table.text.contains("\nfill of bucket pages\n"))
    #expect(table.text.contains("90–100 %"))

    let json = try directory.kvmap("stat", "--json", "s.kvmap")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
    #expect(object["version"] as? Int == 1)
    #expect(object["healthy"] as? Bool == true)
    #expect(object["remarks"] as? [String] == ["< 1 % garbage, compaction keeps up"])
    let help = try directory.kvmap("stat", "--help").text
    for name in object.keys { #expect(help.contains("\"\(name)\"") || help.contains("\n  \(name)  ")) }
    #expect(object["records"] as? Int == 5)
    let size = try FileManager.default.attributesOfItem(atPath: directory.path("s.kvmap"))[.size] as? Int
    #expect(object["file_bytes"] as? Int == size)
    #expect((object["fill_histogram"] as? [Int])?.count == 10)
    #expect(object["writer"] is NSNull)
    for name in [
      "live_bytes", "allocated_bytes", "resident_pages", "index_pages", "segments", "garbage_bytes",
      "log_bytes_since_checkpoint", "checkpoint_epoch", "format_version",
    ] {
      #expect(object[name] is Int, "\(name)")
    }
  }

  @Test("verify prints OK for a sound store, and leaves it as it is")
  func verifySound() throws {
    let before = try directory.read("s.kvmap")
    let run = try directory.kvmap("verify", "s.kvmap")
    #expect(run.status == 0)
    #expect(run.text == "OK\n")
    #expect(run.errors == "")
    let json = try directory.kvmap("verify", "--json", "s.kvmap").text
    #expect(
      json
        == "{\"version\":1,\"sound\":true,\"records\":5,\"faults\":[],\"further_faults\":0,\"repairs\":[]}\n")
    #expect(try directory.read("s.kvmap") == before)
  }

  @Test("verify distinguishes damage from what the next opening repairs")
  func verifyTorn() throws {
    var bytes = try directory.read("s.kvmap")
    bytes[100] ^= 1
    _ = try directory.write(bytes, to: "s.kvmap")
    let line =
      "superblock at 0x0: its checksum does not match; the other one is used; will be repaired on opening for writing"
    var run = try directory.kvmap("verify", "s.kvmap")
    #expect(run.status == 0)
    #expect(run.text == line + "\nOK\n")
    let json = try directory.kvmap("verify", "--json", "s.kvmap").text
    #expect(json.hasPrefix("{\"version\":1,\"sound\":true,"))
    #expect(json.contains("\"repairs\":[{\"place\":\"superblock at 0x0\""))
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    run = try directory.kvmap("verify", "s.kvmap")
    #expect(run.text == "OK\n")
  }

  @Test("verify lists each fault and then their number")
  func verifyDamaged() throws {
    let needle = Array("needle in a haystack".utf8)
    _ = try directory.kvmap("put", "s.kvmap", "k", input: needle)
    // Damage to the last record would look like a write that a crash has torn.
    _ = try directory.kvmap("put", "s.kvmap", "last", "v")
    var bytes = try directory.read("s.kvmap")
    let range = try #require(Data(bytes).range(of: Data(needle)))
    bytes[range.lowerBound] ^= 1
    try directory.write(bytes, to: "s.kvmap")

    let run = try directory.kvmap("verify", "s.kvmap")
    #expect(run.status == 65)
    let faults = run.lines.dropLast()
    #expect(!faults.isEmpty)
    #expect(run.lines.last == (faults.count == 1 ? "1 fault" : "\(faults.count) faults"))
    #expect(run.errors == "")
    let json = try directory.kvmap("verify", "--json", "s.kvmap")
    #expect(json.status == 65)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
    #expect(object["sound"] as? Bool == false)
    #expect((object["faults"] as? [[String: String]])?.count == faults.count)
    #expect(try directory.read("s.kvmap") == bytes)
    #expect(try directory.kvmap("get", "s.kvmap", "k").status == 65)
  }
}
