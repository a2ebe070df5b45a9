import Testing

@testable import KVMapCommand

@Suite("Keys with zero bytes after them")
struct NullFramingTests {
  private func framed(_ keys: [[UInt8]]) throws -> [UInt8] {
    let collected = Collected()
    var output = ByteOutput { collected.bytes += $0 }
    for key in keys { try NullFraming.append(key, to: &output) }
    try output.flush()
    return collected.bytes
  }

  private func read(_ bytes: [UInt8], pieceSize: Int = 65_536) throws -> [[UInt8]] {
    var reader = NullFramedReader(makeInput(bytes, pieceSize: pieceSize))
    var keys: [[UInt8]] = []
    while let key = try reader.next() { keys.append(key) }
    return keys
  }

  @Test("are read as they were written, in pieces of any size", arguments: [1, 2, 3, 1000])
  func roundTrip(pieceSize: Int) throws {
    let some: [UInt8] = [0x00, 0x61, 0x80, 0xC0]
    var keys: [[UInt8]] = [[], Array("grün".utf8), Array(UInt8.min...UInt8.max)]
    for first in some { for second in some { for third in some { keys.append([first, second, third]) } } }
    #expect(try read(try framed(keys), pieceSize: pieceSize) == keys)
  }

  @Test("are as they are if they are text, and else no text")
  func text() throws {
    #expect(try framed([Array("grün".utf8), []]) == Array("grün".utf8) + [0, 0])
    for key: [UInt8] in [[0], [0xC0], [0x61, 0x00]] {
      #expect(String(validating: try framed([key]).dropLast(), as: UTF8.self) == nil)
    }
  }

  @Test("are refused if the end is missing, or an escape is none")
  func faults() {
    for (bytes, place) in [
      ([0x61], "key 1"), ([0x61, 0, 0xC0], "key 2"), ([0xC0, 0], "key 1"), ([0xC0, 0x61, 0], "key 1"),
    ]
      as [([UInt8], String)]
    {
      let fault = #expect(throws: DamagedInput.self) { try read(bytes) }
      #expect(fault?.place == place)
    }
    #expect(throws: DamagedInput.self) { try read(Array(repeating: 0x61, count: 131_073) + [0]) }
  }
}
