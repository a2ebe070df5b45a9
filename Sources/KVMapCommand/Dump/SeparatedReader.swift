/// Reads lines of two fields, a key and a value: CSV of RFC 4180, or fields with a tab between them.
///
/// Lines end with a newline, or with CR and newline. A field of CSV may stand in quotes; then it may contain commas,
/// newlines, and quotes, each written twice. There is no end mark: a truncated file can look whole.
struct SeparatedReader: DumpReader {
  enum Separator {
    case commas
    case tabs

    fileprivate var byte: UInt8 { self == .commas ? UInt8(ascii: ",") : UInt8(ascii: "\t") }
  }

  private var input: ByteInput
  private let separator: Separator
  private var hasHeader: Bool
  private var isFirst = true
  /// The number of the line that is being read, from 1.
  private var line: UInt64 = 1
  private var recordLine: UInt64 = 1

  /// - Parameter hasHeader: whether the first line names the columns.
  init(_ input: ByteInput, _ separator: Separator, hasHeader: Bool) {
    self.input = input
    self.separator = separator
    self.hasHeader = hasHeader
  }

  var place: String { "line \(recordLine)" }

  mutating func next(into record: inout DumpRecord) throws -> Bool {
    if isFirst {
      isFirst = false
      if try input.peek() == nil { throw DamagedInput(place: place, reason: "the input is empty") }
      try skipByteOrderMark()
      if hasHeader { try skipFault() }
    }
    if try input.peek() == nil { return false }
    recordLine = line
    record.expires = nil
    try readField(into: &record.key, atMost: DumpRecord.longestKey, what: "the key")
    guard try input.peek() == separator.byte else { throw fault("one field; a line holds a key and a value") }
    _ = try input.take()
    try readField(into: &record.value, atMost: Int.max, what: "the value")
    if try input.peek() == separator.byte {
      throw fault("more than two fields; a line holds a key and a value")
    }
    try takeLineEnd()
    return true
  }

  /// Skips the rest of the line.
  mutating func skipFault() throws {
    while try input.takeRun({ $0 != 0x0A }) != nil {}
    try takeLineEnd()
  }

  /// Programs for tables write it before UTF-8.
  private mutating func skipByteOrderMark() throws {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    guard try input.peek(3).elementsEqual(mark) else { return }
    for _ in mark { _ = try input.take() }
  }

  private func fault(_ reason: String) -> DamagedInput {
    DamagedInput(place: place, reason: reason, sparesRest: true)
  }

  private mutating func takeLineEnd() throws {
    if try input.take() != nil { line += 1 }
  }

  // MARK: Fields

  /// Replaces `output` by the next field. What ends it is not taken.
  private mutating func readField(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    output.removeAll(keepingCapacity: true)
    if separator == .commas, try input.peek() == UInt8(ascii: "\"") {
      try readQuoted(into: &output, atMost: limit, what: what)
    } else {
      try readPlain(into: &output, atMost: limit, what: what)
    }
  }

  private mutating func readPlain(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    let end = separator.byte
    while let run = try input.takeRun({ $0 != end && $0 != 0x0A }) {
      if separator == .commas, run.contains(UInt8(ascii: "\"")) {
        throw fault("a quote inside \(what); a field with quotes has to stand in quotes")
      }
      try append(run, to: &output, atMost: limit, what)
    }
    // CR and newline end a line together.
    if output.last == 0x0D, try input.peek() != end { output.removeLast() }
  }

  private mutating func readQuoted(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    let quote = UInt8(ascii: "\"")
    _ = try input.take()
    while true {
      while let run = try input.takeRun({ $0 != quote }) {
        line += UInt64(run.count { $0 == 0x0A })
        try append(run, to: &output, atMost: limit, what)
      }
      guard try input.take() != nil else {
        throw DamagedInput(place: place, reason: "\(what) has no closing quote; the input was cut off")
      }
      guard try input.peek() == quote else { break }
      _ = try input.take()
      try append([quote], to: &output, atMost: limit, what)
    }
    if try input.peek() == 0x0D { _ = try input.take() }
    guard let byte = try input.peek(), byte != separator.byte, byte != 0x0A else { return }
    throw fault("more text after the closing quote of \(what)")
  }

  private func append(
    _ bytes: ArraySlice<UInt8>, to output: inout [UInt8], atMost limit: Int, _ what: String
  ) throws(DamagedInput) {
    if bytes.count > limit - output.count { throw fault("\(what) is longer than \(limit) bytes") }
    output.append(contentsOf: bytes)
  }
}
