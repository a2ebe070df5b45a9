import TestSupport
import Testing

@testable import KVMapCommand

@Suite("Dumps of random records")
struct RoundTripTests {
  @Test("come back unchanged", arguments: DumpFormat.allCases)
  func random(format: DumpFormat) throws {
    let seed = testSeed("RoundTripTests", usual: 20_261_121)
    var generator = SeededGenerator(seed: seed)
    for round in 0..<40 {
      let records = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        Self.record(for: format, using: &generator)
      }
      let bytes = try dump(records, format)
      let pieceSize = Int.random(in: 1...200, using: &generator)
      #expect(
        try readAll(bytes, format, pieceSize: pieceSize) == records, "seed \(seed), round \(round)")
    }
  }

  @Test("are recognized by their first byte", arguments: DumpFormat.allCases)
  func sniffing(format: DumpFormat) throws {
    var input = makeInput(try dump([], format))
    #expect(try DumpFormat(sniffing: &input) == format)
  }

  @Test("do not confuse the reader of another format", arguments: DumpFormat.allCases, DumpFormat.allCases)
  func wrongFormat(written: DumpFormat, read: DumpFormat) throws {
    let bytes = try dump([DumpRecord(key: [1], value: [2])], written)
    #expect((fault(bytes, read) == nil) == (written == read))
  }

  @Test("hold a value of several pieces", arguments: DumpFormat.allCases)
  func largeValue(format: DumpFormat) throws {
    var generator = SeededGenerator(seed: testSeed("RoundTripTests", usual: 7))
    let text = String(repeating: "0123456789\n", count: 20_000)
    let records = [
      DumpRecord(key: [1], value: generator.bytes(300_001)), DumpRecord(key: [2], value: Array(text.utf8)),
    ]
    #expect(try readAll(try dump(records, format), format) == records)
  }

  private static func record(for format: DumpFormat, using generator: inout SeededGenerator) -> DumpRecord {
    let least = format == .jsonl ? 0 : 1
    var record = DumpRecord()
    record.key = bytes(least, using: &generator)
    record.value = bytes(least, using: &generator)
    if format == .jsonl, Bool.random(using: &generator) {
      record.expires = UInt64.random(in: 0...UInt64.max, using: &generator)
    }
    return record
  }

  /// Text half of the time, else any bytes.
  private static func bytes(_ least: Int, using generator: inout SeededGenerator) -> [UInt8] {
    let length = Int.random(in: least...(Bool.random(using: &generator) ? 20 : 400), using: &generator)
    if Bool.random(using: &generator) { return generator.bytes(length) }
    let letters = Array("ab \"\\/\n\r\t\u{0}\u{1F}\u{7F}äß€🦆\u{2028}")
    let text = String((0..<length).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
    return Array(text.utf8)
  }
}
