import Foundation
import Testing

@Suite("salvage")
struct SalvageTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<20).map { "{\"put\":\"key \($0)\",\"value\":\"value of \($0)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    try #require(try directory.kvmap("put", "s.kvmap", "a\nb", "value of two lines").status == 0)
    try #require(try directory.kvmap("put", "s.kvmap", "last", "v").status == 0)
  }

  /// Changes a byte of a value.
  private func damage(_ value: String) throws {
    var bytes = try directory.read("s.kvmap")
    let range = try #require(Data(bytes).range(of: Data(value.utf8)))
    bytes[range.lowerBound] ^= 1
    try directory.write(bytes, to: "s.kvmap")
  }

  @Test("takes over everything of a sound store")
  func sound() throws {
    let before = try directory.read("s.kvmap")
    let run = try directory.kvmap("salvage", "s.kvmap", "new.kvmap")
    #expect(run.status == 0, "\(run)")
    #expect(run.lines.count == 2)
    #expect(run.lines.first?.hasPrefix("22 records taken over, ") == true)
    #expect(run.lines.last == "nothing lost")
    #expect(run.errors == "")
    #expect(try directory.kvmap("verify", "new.kvmap").text == "OK\n")
    let lists = try ["s.kvmap", "new.kvmap"].map { try directory.kvmap("dump", $0).lines.sorted() }
    #expect(lists[0] == lists[1])
    #expect(try directory.read("s.kvmap") == before)
    #expect(try directory.names() == ["new.kvmap", "s.kvmap"])
  }

  @Test("65: names what was lost, and writes the rest")
  func damaged() throws {
    try damage("value of 7")
    try damage("value of two lines")
    let before = try directory.read("s.kvmap")
    let run = try directory.kvmap("salvage", "s.kvmap", "new.kvmap")
    #expect(run.status == 65)
    #expect(run.errors == "")
    let lost = run.lines.filter { $0.hasPrefix("lost: ") }
    #expect(lost.count == 2, "\(run.text)")
    #expect(lost.contains { $0.hasPrefix("lost: perhaps 'key 7', record at 0x") })
    #expect(lost.contains { $0.hasPrefix("lost: perhaps 'a\\nb', record at 0x") })
    #expect(run.lines.last == "2 losses")
    #expect(try directory.kvmap("get", "new.kvmap", "key 7").status == 1)
    #expect(try directory.kvmap("get", "new.kvmap", "key 8").text == "value of 8")
    #expect(try directory.kvmap("count", "new.kvmap").text == "20\n")

    let json = try directory.kvmap("salvage", "--json", "s.kvmap", "other.kvmap")
    #expect(json.status == 65)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
    #expect(object["complete"] as? Bool == false)
    #expect(object["records"] as? Int == 20)
    let losses = try #require(object["losses"] as? [[String: Any]])
    #expect(Set(losses.compactMap { $0["key"] as? String }) == ["key 7", "a\nb"])
    #expect(losses.allSatisfy { $0["kind"] as? String == "value" && $0["key_is_certain"] as? Bool == false })
    #expect((object["faults"] as? [[String: String]])?.count == 2)
    #expect(try directory.read("s.kvmap") == before)
  }

  @Test("works if nothing else can open the store")
  func unopenable() throws {
    var bytes = try directory.read("s.kvmap")
    for superblock in [0, 65_536] { bytes[superblock + 100] ^= 1 }
    try directory.write(bytes, to: "s.kvmap")
    #expect(try directory.kvmap("list", "s.kvmap").status == 65)
    let verified = try directory.kvmap("verify", "s.kvmap")
    #expect(verified.status == 65)
    #expect(verified.lines.count { $0.hasPrefix("superblock at 0x") } == 2, "\(verified.text)")
    let run = try directory.kvmap("salvage", "s.kvmap", "new.kvmap")
    #expect(run.status == 0)
    #expect(run.lines.count { $0.hasPrefix("damaged: superblock at 0x") } == 2, "\(run.text)")
    #expect(try directory.kvmap("count", "new.kvmap").text == "22\n")
  }

  @Test("73: what cannot be created; a file that is there stays")
  func cannotCreate() throws {
    try directory.write("precious", to: "new.kvmap")
    let taken = try directory.kvmap("salvage", "s.kvmap", "new.kvmap")
    #expect(taken.status == 73)
    #expect(taken.output == [])
    #expect(
      taken.errors.hasPrefix(
        "kvmap: salvage: new.kvmap: the store cannot be created: there is a file already"))
    #expect(try directory.read("new.kvmap") == Array("precious".utf8))
    let nowhere = try directory.kvmap("salvage", "s.kvmap", "none/new.kvmap")
    #expect(nowhere.status == 73)
    #expect(nowhere.errors.contains("none/new.kvmap"))
    #expect(try directory.kvmap("count", "s.kvmap").text == "22\n")
  }

  @Test("makes no store of a file that is none")
  func noStore() throws {
    let missing = try directory.kvmap("salvage", "none.kvmap", "new.kvmap")
    #expect(missing.status == 2)
    #expect(missing.errors.hasPrefix("kvmap: salvage: none.kvmap: there is no store"))
    try directory.write("hello", to: "text")
    let text = try directory.kvmap("salvage", "text", "new.kvmap")
    #expect(text.status == 65)
    #expect(text.errors.contains("text: the file is not a KVMap store"))
    #expect(try directory.names() == ["s.kvmap", "text"])
  }
}
