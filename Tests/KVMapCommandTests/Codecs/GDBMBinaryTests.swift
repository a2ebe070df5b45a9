import Testing

@testable import KVMapCommand

@Suite("The binary dump of gdbm")
struct GDBMBinaryTests {
  private static let header = Array(
    "!\r\n! GDBM FLAT FILE DUMP -- THIS IS NOT A TEXT FILE\r\n! GDBM version 1.23. 04/02/2022\r\n!\r\n".utf8)
  private static let records = [
    DumpRecord(key: Array("a".utf8), value: Array("hello".utf8)),
    DumpRecord(key: [0x00, 0x00, 0x00, 0x00, 0xFF], value: [0x21]),
  ]

  /// The records, with lengths as `length` writes them.
  private static func body(_ length: (UInt8) -> [UInt8]) -> [UInt8] {
    records.flatMap { length(UInt8($0.key.count)) + $0.key + length(UInt8($0.value.count)) + $0.value }
  }

  private static let zerosAfter = body { [0, 0, 0, $0, 0, 0, 0, 0] }
  private static let zerosBefore = body { [0, 0, 0, 0, 0, 0, 0, $0] }
  private static let bare = body { [0, 0, 0, $0] }

  @Test("is written as gdbm_dump does on 64-bit machines")
  func format() throws {
    let expected = Array(
      "!\r\n! GDBM FLAT FILE DUMP -- THIS IS NOT A TEXT FILE\r\n! kvmap test\r\n!\r\n".utf8)
    #expect(try dump(Self.records, .gdbmBinary) == expected + Self.zerosAfter)
  }

  @Test(
    "is read with the lengths of each kind of machine, in pieces of any size",
    arguments: [zerosAfter, zerosBefore, bare])
  func lengths(body: [UInt8]) throws {
    for size in 1...80 {
      #expect(try readAll(Self.header + body, .gdbmBinary, pieceSize: size) == Self.records)
    }
  }

  @Test("is refused wherever it is cut off, but between records, where nothing shows it")
  func truncation() throws {
    let whole = Self.header + Self.zerosAfter
    let firstEnd = Self.header.count + 8 + 1 + 8 + 5
    for length in 0..<whole.count {
      let isBetween = length == Self.header.count || length == firstEnd
      #expect((fault(Array(whole[..<length]), .gdbmBinary) == nil) == isBetween, "cut to \(length) bytes")
    }
  }

  @Test("does not crash the reader, whichever byte is changed")
  func mutation() throws {
    for body in [Self.zerosAfter, Self.zerosBefore, Self.bare] {
      let whole = Self.header + body
      for index in whole.indices {
        for byte: UInt8 in [0x00, 0x01, 0x0A, 0x21, 0x7F, 0x80, 0xFF] {
          var changed = whole
          changed[index] = byte
          #expect(fault(changed, .gdbmBinary)?.place != "nowhere")
        }
      }
    }
  }

  @Test("names the byte of a fault")
  func faults() throws {
    let start = Self.header.count
    func found(_ body: [UInt8]) throws -> DamagedInput {
      try #require(fault(Self.header + body, .gdbmBinary))
    }

    let longKey = try found([0, 1, 0, 1, 0, 0, 0, 0, 0x61])
    #expect(longKey.place == "byte \(start)")
    #expect(longKey.reason.contains("the most is 65536"))

    let negative = try found([0, 0, 0, 1, 0, 0, 0, 0, 0x61, 0x80, 0, 0, 0, 0, 0, 0, 0])
    #expect(negative.place == "byte \(start + 9)")
    #expect(negative.reason.contains("2147483648"))

    let missing = try found([0, 0, 0, 1, 0, 0, 0, 0, 0x61, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 1, 2])
    #expect(missing.reason.contains("2 of 2147483647 bytes"))

    let mixed = try found([0, 0, 0, 1, 0, 0, 0, 0, 0x61, 0, 0, 0, 1, 0x62, 0, 0, 0, 0])
    #expect(mixed.place == "byte \(start + 9)")
    #expect(mixed.reason.contains("zero bytes"))

    #expect(fault("!\n! something else\n!\n!\n", .gdbmBinary)?.place == "byte 2")
    #expect(fault("!" + String(repeating: "x", count: 2000), .gdbmBinary)?.reason.contains("1024") == true)
  }
}
