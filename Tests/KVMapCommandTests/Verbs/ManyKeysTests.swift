import Testing

@Suite("get, exists and delete of several keys")
struct ManyKeysTests {
  /// Keys with zero bytes, with the byte that escapes them, with newlines, and an empty one.
  static let keys: [[UInt8]] = [
    [], [0], [0x61, 0], [0, 0x61], [0xC0], [0xC0, 0x80], [0x0A], Array("sky".utf8), Array("grün".utf8),
    [0xFF],
  ]

  let directory: Directory

  init() throws {
    directory = try Directory()
    for (number, key) in Self.keys.enumerated() {
      let hexadecimal = key.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      try #require(try directory.kvmap("put", "s.kvmap", "--key-hex", hexadecimal, "\(number)").status == 0)
    }
  }

  @Test("get prints those that are there as JSON, and tells of the others")
  func get() throws {
    let run = try directory.kvmap("get", "s.kvmap", "sky", "none", "grün", "nothing", "")
    #expect(run.status == 1)
    #expect(
      run.text == """
        {"key":"sky","value":"7"}
        {"key":"grün","value":"8"}
        {"key":"","value":"0"}

        """)
    #expect(run.errors == "kvmap: get: no key 'none' in 's.kvmap', nor 1 other key\n")
    #expect(try directory.kvmap("get", "-q", "s.kvmap", "sky", "none").errors == "")
    let all = try directory.kvmap("get", "s.kvmap", "none", "sky", "--default", "x", "--format", "null")
    #expect(all.status == 0)
    #expect(all.text == "none\0x\0sky\u{0}7\0")
    #expect(try directory.kvmap("get", "s.kvmap", "sky", "grün", "-o", "out").output == [])
    #expect(try directory.read("out").count { $0 == 0x0A } == 2)
    for format in ["raw", "text", "hex", "base64"] {
      let refused = try directory.kvmap("get", "s.kvmap", "sky", "grün", "--format", format)
      #expect(refused.status == 64)
      #expect(
        refused.errors.hasPrefix("kvmap: Several keys can be printed with --format json and null only\n"))
    }
  }

  @Test("what list -0 prints is read back whole, whatever bytes keys have")
  func lossless() throws {
    let list = try directory.kvmap("list", "-0", "s.kvmap")
    let pairs = try directory.kvmap("list", "-0", "--values", "s.kvmap")
    #expect(try directory.kvmap("get", "-0", "s.kvmap", input: list.output).output == pairs.output)
    #expect(try directory.kvmap("exists", "-0", "s.kvmap", input: list.output).status == 0)
    let json = try directory.kvmap("get", "-0", "--format", "json", "s.kvmap", input: list.output)
    #expect(
      json.lines.sorted() == (try directory.kvmap("dump", "s.kvmap").lines.dropFirst().dropLast().sorted()))
    let run = try directory.kvmap("delete", "-0", "s.kvmap", input: list.output)
    #expect(run.status == 0, "\(run)")
    #expect(try directory.kvmap("count", "s.kvmap").text == "0\n")
  }

  // A key with a zero byte at its end looked like a key and an empty one, and the empty one was deleted.
  @Test("a key with a zero byte is refused as an argument of xargs, and deletes no other")
  func xargs() throws {
    let run = try Tool.script(
      #""$0" list -0 s.kvmap | xargs -0 -n 1 "$0" delete s.kvmap -- 2>err; "$0" list -0 s.kvmap"#,
      in: directory)
    let left = run.output.split(separator: 0, omittingEmptySubsequences: false).dropLast()
    // All keys are gone but those that are not text.
    #expect(
      Set(left.map(Array.init)) == [
        [0xC0, 0x80], [0x61, 0xC0, 0x80], [0xC0, 0x80, 0x61], [0xC0, 0xC0],
        [0xC0, 0xC0, 0x80], [0xFF],
      ])
  }

  @Test("a cut or wrong key from standard input: 65, and nothing is done")
  func faults() throws {
    for (input, reason) in [
      ([0x73, 0x6B, 0x79, 0, 0x67], "the input ends without a zero byte after it; it was cut off"),
      (
        [0x73, 0x6B, 0x79, 0, 0xC0, 0x61, 0],
        "in a key, a byte c0 has to be written as c0 c0, and a zero byte as c0 80"
      ),
    ] as [([UInt8], String)] {
      let run = try directory.kvmap("delete", "-0", "s.kvmap", input: input)
      #expect(run.status == 65)
      #expect(run.errors == "kvmap: delete: standard input, key 2: \(reason); keys done before it: 0\n")
    }
    #expect(try directory.kvmap("count", "s.kvmap").text == "10\n")
    let none = try directory.kvmap("get", "-0", "s.kvmap")
    #expect(none.status == 0 && none.output == [] && none.errors == "")
    let hexadecimal = try directory.kvmap("get", "-0", "--key-hex", "s.kvmap", text: "00\u{0}0\u{0}")
    #expect(hexadecimal.status == 65)
    #expect(hexadecimal.errors.contains("key 2: it has to be an even number of hexadecimal digits"))
  }

  @Test("exists: 1 if one is absent")
  func exists() throws {
    #expect(try directory.kvmap("exists", "s.kvmap", "sky", "grün").status == 0)
    let run = try directory.kvmap("exists", "s.kvmap", "sky", "none")
    #expect(run.status == 1 && run.output == [] && run.errors == "")
  }

  @Test("delete removes those that are there, and tells of the others")
  func delete() throws {
    let run = try directory.kvmap("delete", "s.kvmap", "sky", "none", "grün", "sky")
    #expect(run.status == 1)
    #expect(run.errors == "kvmap: delete: no key 'none' in 's.kvmap', nor 1 other key\n")
    #expect(try directory.kvmap("count", "s.kvmap").text == "8\n")
    #expect(try directory.kvmap("delete", "s.kvmap").status == 64)
  }

  @Test("more keys than are handled at once")
  func thousands() throws {
    let lines = (0..<2500).map { "{\"put\":\"n\($0)\",\"value\":\"\($0)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
    let list = (0..<2500).map { "n\($0)\0" }.joined()
    let pairs = (0..<2500).map { "n\($0)\0\($0)\0" }.joined()
    #expect(try directory.kvmap("get", "-0", "s.kvmap", text: list).text == pairs)
    let cut = try directory.kvmap("delete", "-0", "s.kvmap", text: String(list.dropLast()))
    #expect(cut.errors.hasSuffix("keys done before it: 2000\n"))
    #expect(try directory.kvmap("count", "s.kvmap").text == "510\n")
    let rest = try directory.kvmap("delete", "-0", "s.kvmap", text: list)
    #expect(rest.status == 1)
    #expect(rest.errors == "kvmap: delete: no key 'n0' in 's.kvmap', nor 1999 other keys\n")
    #expect(try directory.kvmap("count", "s.kvmap").text == "10\n")
  }
}
