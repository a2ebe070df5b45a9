import Foundation
import Testing

@testable import KVMapCommand

@Suite("The JSON Lines dump")
struct JSONLinesTests {
  private static let records = [
    DumpRecord(key: Array("sky".utf8), value: Array("blue".utf8)),
    DumpRecord(key: [0xFF, 0x00], value: [0x00, 0x01], expires: 1_790_000_000_000),
    DumpRecord(key: [], value: []),
  ]

  @Test("is written as the help says")
  func format() throws {
    let text = String(decoding: try dump(Self.records, .jsonl), as: UTF8.self)
    #expect(
      text == """
        {"kvmap":1}
        {"key":"sky","value":"blue"}
        {"key_b64":"/wA=","value":"\\u0000\\u0001","expires":1790000000000}
        {"key":"","value":""}
        {"count":3}

        """)
    #expect(try readAll(text, .jsonl) == Self.records)
  }

  @Test("is JSON for other readers")
  func foreignDecoder() throws {
    let every = DumpRecord(key: Array(0...127), value: Array("\u{2028} ü 🦆 \u{10FFFF}".utf8))
    let lines = try dump([every], .jsonl).split(separator: 0x0A)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(lines[1])) as? [String: String])
    #expect(object["key"].map { Array($0.utf8) } == every.key)
    #expect(object["value"].map { Array($0.utf8) } == every.value)
  }

  @Test("is refused wherever it is cut off")
  func truncation() throws {
    let whole = try dump(Self.records, .jsonl)
    // Without the last newline nothing is lost.
    for length in 0..<whole.count - 1 {
      #expect(fault(Array(whole[..<length]), .jsonl) != nil, "cut to \(length) bytes")
    }
    #expect(fault(Array(whole.dropLast()), .jsonl) == nil)
  }

  @Test("does not crash the reader, whichever byte is changed")
  func mutation() throws {
    let whole = try dump(Self.records, .jsonl)
    for index in whole.indices {
      for byte: UInt8 in [0x00, 0x0A, 0x22, 0x2C, 0x30, 0x5C, 0x7B, 0x7D, 0xC3, 0xFF] {
        var changed = whole
        changed[index] = byte
        #expect(fault(changed, .jsonl)?.place != "nowhere")
      }
    }
  }

  @Test("reads the same in pieces of any size")
  func pieces() throws {
    let whole = try dump(Self.records, .jsonl)
    for size in 1...whole.count { #expect(try readAll(whole, .jsonl, pieceSize: size) == Self.records) }
  }

  @Test("accepts blanks, CR LF, any order of members, all escapes, and newer members of the header")
  func liberties() throws {
    let text = """
      { "kvmap" : 1 , "by":"x", "n":-1.5e3, "b":true, "z":null }\r
      \t{ "value_b64" : "AAE=" , "expires" : 5 , "key" : "\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83E\\udd86" } \r
      {"count":1}
      """
    let key = Array("\"\\/\u{8}\u{C}\n\r\tä🦆".utf8)
    #expect(try readAll(text, .jsonl) == [DumpRecord(key: key, value: [0, 1], expires: 5)])
  }

  @Test("may be records alone")
  func bare() throws {
    let records = try readAll("{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"value\":\"d\"}", .jsonl)
    #expect(records.map(\.value) == [Array("b".utf8), Array("d".utf8)])
  }

  @Test(
    "names the line of a fault",
    arguments: [
      ("{\"kvmap\":1}\n\n{\"count\":0}\n", "line 2", "expected '{'"),
      ("{\"kvmap\":1}\n{\"kvmap\":1}\n{\"count\":0}\n", "line 2", "header inside"),
      ("{\"kvmap\":2}\n{\"count\":0}\n", "line 1", "version 2"),
      ("{\"kvmap\":1,\"x\":{}}\n{\"count\":0}\n", "line 1", "nested"),
      ("{\"kvmap\":1}\n{\"count\":1}\n", "line 2", "should hold 1 records, 0 were found"),
      ("{\"kvmap\":1}\n{\"count\":0}\n{\"count\":0}\n", "line 3", "more lines"),
      ("{\"kvmap\":1}\n{\"count\":0,\"x\":1}\n", "line 2", "beside"),
      ("{\"kvmap\":1}\n{\"key\":\"a\",\"value\":\"b\"}\n", "line 3", "cut off after 1 records"),
      ("{\"key\":\"a\"}\n", "line 1", "neither \"value\""),
      ("{\"value\":\"a\"}\n", "line 1", "neither \"key\""),
      ("{\"key\":\"a\",\"key_b64\":\"\",\"value\":\"b\"}\n", "line 1", "two keys"),
      ("{\"key\":\"a\",\"value\":\"b\",\"colour\":1}\n", "line 1", "unknown member"),
      ("{\"key\":\"a\",\"value\":\"b\"} x\n", "line 1", "more text"),
      ("{\"key\":\"a\" \"value\":\"b\"}\n", "line 1", "expected ','"),
      ("{\"key\":1,\"value\":\"b\"}\n", "line 1", "the key has to be a string"),
      ("{\"key\":\"a\",\"value\":\"b\tc\"}\n", "line 1", "control byte"),
      ("{\"key\":\"\\ud800\",\"value\":\"b\"}\n", "line 1", "surrogate"),
      ("{\"key\":\"\\udc00\",\"value\":\"b\"}\n", "line 1", "surrogate"),
      ("{\"key\":\"\\x41\",\"value\":\"b\"}\n", "line 1", "unknown escape"),
      ("{\"key\":\"\\u00g0\",\"value\":\"b\"}\n", "line 1", "hexadecimal"),
      ("{\"key_b64\":\"/w\",\"value\":\"b\"}\n", "line 1", "Base64"),
      ("{\"key\":\"a\",\"value\":\"b\",\"expires\":-1}\n", "line 1", "whole number"),
      ("{\"key\":\"a\",\"value\":\"b\",\"expires\":01}\n", "line 1", "begins with a zero"),
      ("{\"key\":\"a\",\"value\":\"b\",\"expires\":18446744073709551616}\n", "line 1", "too large"),
      ("", "line 1", "empty"),
    ])
  func faults(text: String, place: String, reason: String) throws {
    let found = try #require(fault(text, .jsonl))
    #expect(found.place == place)
    #expect(found.reason.contains(reason), "\(found)")
  }

  @Test("refuses text that is not UTF-8")
  func invalidText() {
    let line = Array("{\"key\":\"".utf8) + [0xC3, 0x28] + Array("\",\"value\":\"\"}\n".utf8)
    #expect(fault(line, .jsonl)?.reason.contains("UTF-8") == true)
  }

  @Test("holds keys of up to 64 KiB, in text and in Base64", arguments: [65_536, 65_537])
  func longKeys(length: Int) throws {
    for byte: UInt8 in [0x61, 0xFF] {
      let record = DumpRecord(key: Array(repeating: byte, count: length))
      let found = fault(try dump([record], .jsonl), .jsonl)
      #expect((found == nil) == (length == 65_536))
      #expect(found.map(\.place) ?? "line 2" == "line 2")
    }
  }

  @Test("can be read on after a damaged line")
  func readOn() throws {
    let text =
      "{\"kvmap\":1}\n{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\"val\n{\"key\":\"c\",\"value\":\"3\"}\n{\"count\":2}\n"
    var reader = JSONLinesReader(makeInput(Array(text.utf8)))
    var record = DumpRecord()
    #expect(try reader.next(into: &record))
    let fault = #expect(throws: DamagedInput.self) { try reader.next(into: &record) }
    #expect(fault?.sparesRest == true)
    try reader.skipFault()
    #expect(try reader.next(into: &record))
    #expect(record.key == Array("c".utf8))
    #expect(reader.place == "line 4")
    #expect(try !reader.next(into: &record))
  }
}
