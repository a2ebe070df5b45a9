import Foundation
import Testing

@Suite("expire, ttl and persist")
struct ExpiryVerbsTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
  }

  private func timeToLive(_ options: String...) throws -> Int {
    let run = try Tool.run(["ttl"] + options + ["s.kvmap", "k"], input: [], environment: [:], in: directory)
    #expect(run.status == 0)
    return try #require(Int(run.text.trimmingCharacters(in: .newlines)))
  }

  @Test("set, print and remove the expiry")
  func all() throws {
    #expect(try directory.kvmap("ttl", "s.kvmap", "k").text == "never\n")
    #expect(try directory.kvmap("expire", "s.kvmap", "k", "2h").status == 0)
    #expect((7_000...7_200).contains(try timeToLive()))
    #expect((7_000_000...7_200_000).contains(try timeToLive("--milliseconds")))
    // The later of the two counts.
    #expect(try directory.kvmap("expire", "s.kvmap", "k", "1000d").status == 0)
    #expect((86_399_000...86_400_000).contains(try timeToLive()))
    #expect(try directory.kvmap("get", "s.kvmap", "k").text == "v")
    #expect(try directory.kvmap("persist", "s.kvmap", "k").status == 0)
    #expect(try directory.kvmap("ttl", "s.kvmap", "k").text == "never\n")
  }

  @Test("an expired key is absent for each of them")
  func expired() throws {
    let past = "{\"kvmap\":1}\n{\"key\":\"k\",\"value\":\"v\",\"expires\":5}\n{\"count\":1}\n"
    #expect(try directory.kvmap("load", "old.kvmap", text: past).status == 0)
    for words in [["get"], ["ttl"], ["persist"], ["delete"], ["exists"]] {
      #expect(
        try Tool.run(words + ["old.kvmap", "k"], input: [], environment: [:], in: directory).status == 1,
        "\(words)")
    }
    #expect(try directory.kvmap("expire", "old.kvmap", "k", "5s").status == 1)
    #expect(try directory.kvmap("list", "old.kvmap").text == "")
    #expect(try directory.kvmap("put", "old.kvmap", "k", "new", "--if-present").status == 1)
    #expect(try directory.kvmap("put", "old.kvmap", "k", "new", "--if-absent").status == 0)
    #expect(try directory.kvmap("get", "old.kvmap", "k").text == "new")
    let absent = try directory.kvmap("ttl", "s.kvmap", "nobody")
    #expect(absent.status == 1)
    #expect(absent.errors == "kvmap: ttl: no key 'nobody' in 's.kvmap'\n")
  }

  /// Times that a floating-point number would round, and the last possible one.
  @Test(
    "times survive dump, load and salvage to the millisecond",
    arguments: ["4102444800001", "9007199254740993", "18446744073709551614", "18446744073709551615"])
  func exact(time: String) throws {
    let line = "{\"key\":\"k\",\"value\":\"v\",\"expires\":\(time)}"
    let dump = "{\"kvmap\":1}\n\(line)\n{\"count\":1}\n"
    #expect(try directory.kvmap("load", "a.kvmap", text: dump).status == 0)
    #expect(try directory.kvmap("dump", "a.kvmap").text == dump)
    #expect(try directory.kvmap("salvage", "a.kvmap", "b.kvmap").status == 0)
    #expect(try directory.kvmap("dump", "b.kvmap").text == dump)
    #expect(try directory.kvmap("compact", "b.kvmap").status == 0)
    #expect(try directory.kvmap("dump", "b.kvmap").text == dump)
    // The time left is a number, even if it is too long to count.
    let run = try directory.kvmap("ttl", "a.kvmap", "k")
    #expect(run.status == 0)
    #expect(Int(run.text.trimmingCharacters(in: .newlines)).map { $0 > 1_000_000 } == true)
  }
}
