import KVMap
import Testing

@testable import KVMapCommand

@Suite("The lines of a batch")
struct BatchReaderTests {
  private func read(_ text: String) throws -> [BatchOperation] {
    var reader = BatchReader(makeInput(Array(text.utf8), pieceSize: 3))
    var operations: [BatchOperation] = []
    while let operation = try reader.next() { operations.append(operation) }
    return operations
  }

  @Test("are read as the help says")
  func operations() throws {
    let operations = try read(
      """
      {"put":"sky","value":"blue"}

      {"put":"job-17","value":"host-3","if":"absent","ttl_ms":900000}
      {"delete":"sea"}
        \t
      {"put":true,"key_b64":"/wA=","value_b64":"AAE="}
      {"key_b64":"/wE=","delete":true,"if":"present"}
      """)
    let job = BatchOperation.Kind.put(value: Array("host-3".utf8), timeToLive: .seconds(900))
    #expect(
      operations == [
        BatchOperation(
          kind: .put(value: Array("blue".utf8), timeToLive: nil), key: Array("sky".utf8), condition: .always,
          line: 1),
        BatchOperation(kind: job, key: Array("job-17".utf8), condition: .absent, line: 3),
        BatchOperation(kind: .delete, key: Array("sea".utf8), condition: .always, line: 4),
        BatchOperation(
          kind: .put(value: [0, 1], timeToLive: nil), key: [0xFF, 0], condition: .always, line: 6),
        BatchOperation(kind: .delete, key: [0xFF, 1], condition: .present, line: 7),
      ])
    #expect(try read("").isEmpty)
    #expect(try read("\n \n").isEmpty)
  }

  @Test(
    "are refused if they are not exactly that",
    arguments: [
      ("{\"value\":\"v\"}", "neither \"put\" nor \"delete\""),
      ("{\"put\":\"a\"}", "neither \"value\""),
      ("{\"put\":true,\"value\":\"v\"}", "no key"),
      ("{\"put\":\"a\",\"key_b64\":\"\",\"value\":\"v\"}", "two keys"),
      ("{\"put\":\"a\",\"delete\":\"a\",\"value\":\"v\"}", "one too many"),
      ("{\"put\":\"a\",\"value\":\"v\",\"value_b64\":\"\"}", "one too many"),
      ("{\"put\":\"a\",\"value\":\"v\",\"ttl\":5}", "unknown member"),
      ("{\"put\":\"a\",\"value\":\"v\",\"ttl_ms\":0}", "from 1 to"),
      ("{\"put\":\"a\",\"value\":\"v\",\"ttl_ms\":18446744073709551615}", "from 1 to"),
      ("{\"put\":\"a\",\"value\":\"v\",\"if\":\"maybe\"}", "absent"),
      ("{\"put\":false,\"value\":\"v\"}", "has to be a string"),
      ("{\"put\":tru,\"value\":\"v\"}", "a string or true"),
      ("{\"delete\":\"a\",\"value\":\"v\"}", "neither a value"),
      ("{\"delete\":\"a\",\"if\":\"absent\"}", "no sense"),
      ("{\"delete\":\"a\"} {\"delete\":\"b\"}", "more text"),
      ("[\"put\"]", "expected '{'"),
      ("{\"delete\":\"a\"", "cut off"),
    ])
  func faults(line: String, reason: String) throws {
    let text = "{\"delete\":\"first\"}\n" + line
    let fault = try #require(#expect(throws: DamagedInput.self) { try read(text) })
    #expect(fault.place == "line 2")
    #expect(fault.reason.contains(reason), "\(fault)")
  }
}
