import Foundation
import TestSupport
import Testing

@testable import KVMap

/// What salvage finds after damage in the log since the last checkpoint.
@Suite(.timeLimit(.minutes(2)))
struct DamagedLogTests {
  /// A store that was killed after durable puts of these values, one of whose records is damaged. The first
  /// values begin at multiples of 8.
  private func killedStore(_ scratch: Scratch, _ values: [[UInt8]], damaged: Int) throws {
    let store = try scratch.store()
    var places: [Int] = []
    for (number, value) in values.enumerated() {
      places.append(Int(store.core.shared[.tail].offset))
      try store.put(value, forKey: "number \(number)", durability: .onCommit)
    }
    try write(contents(scratch.path()), to: scratch.path("killed"))
    try flip(scratch.path("killed"), at: places[damaged] + RecordHeader.byteCount + 20)
  }

  private func salvage(_ scratch: Scratch) throws -> (report: Store.SalvageReport, found: [[UInt8]: [UInt8]])
  {
    let report = try Store.salvage(from: scratch.path("killed"), into: scratch.path("new"))
    return (report, try scratch.store("new").everything())
  }

  /// One random header in six has lengths that a record may have. The search computed a checksum for each of
  /// them, ran out of patience within the damaged value, and then left out all records that followed.
  @Test(arguments: [1, 6]) func aDamagedRecordCostsItsOwnValueAlone(damaged: Int) throws {
    var random = SeededGenerator(seed: testSeed("aDamagedRecordCostsItsOwnValueAlone"))
    let scratch = try Scratch()
    let values = (0..<14).map { _ in random.bytes(60_000) }
    try killedStore(scratch, values, damaged: damaged)
    let (report, found) = try salvage(scratch)
    for (number, value) in values.enumerated() where number != damaged {
      let isThere = found[bytes("number \(number)")] == value
      #expect(isThere, "number \(number)")
    }
    #expect(found.count == 13)
    #expect(report.losses.map(\.key) == [bytes("number \(damaged)")])
  }

  /// The last record of the log is followed by a segment that was never used.
  @Test func damageToTheLastRecordIsListed() throws {
    let scratch = try Scratch()
    try killedStore(scratch, (0..<4).map { patterned(600, $0) }, damaged: 3)
    let (report, found) = try salvage(scratch)
    #expect(found.count == 3)
    #expect(report.losses.compactMap(\.key) == [bytes("number 3")])
  }

  /// A value that consists of headers costs more than the search spends. Whether records follow is then
  /// unknown, and that is listed.
  @Test func aSearchThatIsGivenUpIsListed() throws {
    let scratch = try Scratch()
    // Above the numbers that are made of the present time.
    let number = UInt64(1) << 52
    var header: [UInt8] = []
    let words: [UInt64] = [UInt64(Layout.firstFreeOffset), number << 8 | 0x81, 70_000 << 17 | 65_536]
    for word in words { for shift in 0..<8 { header.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) } }
    let headers = Array(repeating: header, count: 2_500).flatMap(\.self)
    try killedStore(scratch, [patterned(100, 1), headers, patterned(100, 3), patterned(100, 4)], damaged: 1)
    let (report, found) = try salvage(scratch)
    #expect(found[bytes("number 0")] == patterned(100, 1))
    #expect(found[bytes("number 2")] != nil || report.losses.contains { $0.kind == .unknownKeys })
    #expect(!report.isComplete)
  }
}
