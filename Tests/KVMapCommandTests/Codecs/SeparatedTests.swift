import Testing

@testable import KVMapCommand

@Suite("CSV and TSV")
struct SeparatedTests {
  private func read(
    _ text: String, _ separator: SeparatedReader.Separator = .commas, header: Bool = false,
    pieceSize: Int = 65_536
  ) throws -> [[String]] {
    let input = makeInput(Array(text.utf8), pieceSize: pieceSize)
    var reader = SeparatedReader(input, separator, hasHeader: header)
    var records: [[String]] = []
    var record = DumpRecord()
    while try reader.next(into: &record) {
      records.append([record.key, record.value].map { String(decoding: $0, as: UTF8.self) })
    }
    return records
  }

  @Test("are read in pieces of any size", arguments: [1, 2, 3, 1000])
  func pieces(pieceSize: Int) throws {
    let csv = "\u{FEFF}key,value\r\na,1\r\n\"b,\"\"x\"\"\ny\",\r\n,\"\"\nlast, z "
    #expect(
      try read(csv, header: true, pieceSize: pieceSize)
        == [["a", "1"], ["b,\"x\"\ny", ""], ["", ""], ["last", " z "]])
    let tsv = "a\t\"1\"\nb,c\t\n"
    #expect(try read(tsv, .tabs, pieceSize: pieceSize) == [["a", "\"1\""], ["b,c", ""]])
  }

  @Test(
    "are refused with the line if it has not two fields, or its quotes are wrong",
    arguments: [
      ("", "line 1"), ("a", "line 1"), ("a,b\n\n", "line 2"), ("a,b,c\n", "line 1"),
      ("\"x\ny\",b\nc\n", "line 3"),
      ("a,\"b", "line 1"), ("a,b\"c\"\n", "line 1"), ("\"a\"b,c\n", "line 1"),
      (String(repeating: "k", count: 65_537) + ",v\n", "line 1"),
    ])
  func faults(text: String, place: String) {
    let fault = #expect(throws: DamagedInput.self) { try read(text) }
    #expect(fault?.place == place)
  }
}
