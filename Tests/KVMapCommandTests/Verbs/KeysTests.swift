import Testing

@Suite("keys")
struct KeysTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let lines = (0..<100).map {
      "{\"put\":\"user:\($0)\",\"value\":\"\(String(repeating: "v", count: $0))\"}\n"
    }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    try #require(try directory.kvmap("put", "s.kvmap", "later", "v", "--ttl", "2h").status == 0)
    let past = "{\"key\":\"past\",\"value\":\"v\",\"expires\":5}\n"
    try #require(try directory.kvmap("load", "s.kvmap", text: past).status == 0)
  }

  private func keys(_ arguments: String...) throws -> [String] {
    let run = try Tool.run(["keys", "s.kvmap"] + arguments, in: directory)
    #expect(run.status == 0)
    #expect(run.errors == "")
    return run.lines
  }

  @Test("prints those that match")
  func pattern() throws {
    #expect(try keys().count == 101)
    #expect(try keys("--pattern", "user:1?").sorted() == (10..<20).map { "user:\($0)" })
    #expect(try keys("--pattern", "[a-l]*") == ["later"])
    #expect(try keys("--pattern", "none") == [])
    let run = try directory.kvmap("keys", "s.kvmap", "--pattern", "[")
    #expect(run.status == 64)
    #expect(run.errors.hasPrefix("kvmap: In --pattern, a [ has no ]"))
  }

  @Test("prints the largest values first, with their sizes")
  func largest() throws {
    #expect(try keys("--largest", "3") == ["99\tuser:99", "98\tuser:98", "97\tuser:97"])
    #expect(try keys("--largest", "2", "--pattern", "user:1?") == ["19\tuser:19", "18\tuser:18"])
    #expect(try keys("--largest", "0") == [])
    #expect(try keys("--largest", "1000").count == 101)
    #expect(try directory.kvmap("keys", "s.kvmap", "-0", "--largest", "1").text == "99\0user:99\0")
    #expect(try directory.kvmap("keys", "s.kvmap", "--largest=-1").status == 64)
  }

  @Test("prints what expires, and the time left")
  func expiring() throws {
    for options in [["--expiring"], ["--expiring", "--largest", "5"]] {
      let run = try Tool.run(["keys", "s.kvmap"] + options, in: directory)
      let fields = try #require(run.lines.first).split(separator: "\t")
      #expect(run.lines.count == 1)
      #expect(fields.last == "later")
      #expect((7_000...7_200).contains(try #require(Int(fields[fields.count - 2]))))
    }
    #expect(try keys("--expiring", "--pattern", "user:*") == [])
  }

  @Test("more keys than are kept at once")
  func many() throws {
    let lines = (0..<3000).map {
      "{\"put\":\"n\($0)\",\"value\":\"\(String(repeating: "v", count: 200 + $0 % 1500))\"}\n"
    }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    #expect(Set(try keys("--largest", "2")) == ["1699\tn1499", "1699\tn2999"])
  }
}
