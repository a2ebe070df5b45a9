import Testing

@Suite("batch")
struct BatchTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  private func values() throws -> [String] {
    try directory.kvmap("list", "--values", "s.kvmap").lines.sorted()
  }

  @Test("carries out all operations, in their order")
  func all() throws {
    let run = try directory.kvmap(
      "batch", "s.kvmap",
      text: """
        {"put":"a","value":"1"}
        {"put":"b","value":"2"}
        {"delete":"a"}
        {"delete":"never there"}
        {"put":"b","value":"3","if":"present"}
        {"put":true,"key_b64":"/wA=","value_b64":"AAE="}
        """)
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(run.errors == "")
    #expect(try directory.kvmap("count", "s.kvmap").text == "2\n")
    #expect(try directory.kvmap("get", "s.kvmap", "b").text == "3")
    #expect(try directory.kvmap("get", "s.kvmap", "--key-hex", "ff00").output == [0, 1])
  }

  @Test("changes nothing if a line is malformed, and names the line")
  func malformed() throws {
    let text = "{\"put\":\"a\",\"value\":\"1\"}\n{\"put\":\"b\"}\n"
    let run = try directory.kvmap("batch", "s.kvmap", text: text)
    #expect(run.status == 65)
    #expect(run.errors == "kvmap: batch: line 2: neither \"value\" nor \"value_b64\"; nothing was changed\n")
    #expect(try directory.names() == [])
  }

  @Test("changes nothing if a condition is not met, and names the line")
  func unmet() throws {
    _ = try directory.kvmap("put", "s.kvmap", "a", "old")
    let text = "{\"put\":\"b\",\"value\":\"1\"}\n{\"put\":\"a\",\"value\":\"1\",\"if\":\"absent\"}\n"
    let run = try directory.kvmap("batch", "s.kvmap", text: text)
    #expect(run.status == 1)
    #expect(
      run.errors
        == "kvmap: batch: line 2: condition not met: the key 'a' is there already; nothing was changed\n")
    #expect(try values() == ["a\told"])
    #expect(
      try directory.kvmap("batch", "s.kvmap", text: "{\"delete\":\"x\",\"if\":\"present\"}").status == 1)
  }

  @Test("with --each keeps what comes before a malformed line, and says how much")
  func eachMalformed() throws {
    let text =
      "{\"put\":\"a\",\"value\":\"1\"}\n{\"put\":\"b\",\"value\":\"2\"}\nnonsense\n{\"put\":\"c\",\"value\":\"3\"}\n"
    let run = try directory.kvmap("batch", "--each", "s.kvmap", text: text)
    #expect(run.status == 65)
    #expect(
      run.errors
        == "kvmap: batch: line 3: expected '{'; what stands before it was carried out and stays: 2 operations\n"
    )
    #expect(try values() == ["a\t1", "b\t2"])
  }

  @Test("with --each leaves out operations whose condition is not met")
  func eachUnmet() throws {
    let text =
      "{\"put\":\"a\",\"value\":\"1\"}\n{\"put\":\"a\",\"value\":\"2\",\"if\":\"absent\"}\n{\"put\":\"b\",\"value\":\"3\"}\n"
    let run = try directory.kvmap("batch", "--each", "--durable", "s.kvmap", text: text)
    #expect(run.status == 1)
    #expect(
      run.errors == """
        kvmap: batch: line 2: condition not met: the key 'a' is there already
        kvmap: batch: 1 condition not met; carried out: 2 operations

        """)
    #expect(try values() == ["a\t1", "b\t3"])
    #expect(try directory.kvmap("batch", "-q", "--each", "s.kvmap", text: text).errors == "")
  }

  @Test("without operations makes an empty store, unless told not to")
  func creation() throws {
    #expect(try directory.kvmap("batch", "--no-create", "s.kvmap", text: "").status == 2)
    #expect(try directory.names() == [])
    #expect(try directory.kvmap("batch", "s.kvmap", text: "").status == 0)
    #expect(try directory.kvmap("count", "s.kvmap").text == "0\n")
  }

  @Test("lets keys expire")
  func timeToLive() throws {
    _ = try directory.kvmap("batch", "s.kvmap", text: "{\"put\":\"a\",\"value\":\"1\",\"ttl_ms\":3600000}")
    #expect(try directory.kvmap("dump", "s.kvmap").text.contains("\"expires\":"))
  }
}
