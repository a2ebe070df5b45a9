/// Reads the text dump of gdbm (`gdbm_dump --format=ascii`).
///
/// Lines that begin with `#:` hold parameters, other lines that begin with `#` are comments. Key and value
/// follow in turn, each as `#:len=` with its length in bytes and then lines of Base64. A dump with a header
/// has to end with `#:count=` and `# End of data`; `gdbm_load` checks neither. Bare pairs, which have
/// no header, may end anywhere between two records.
///
/// `gdbm_dump` writes empty keys and values, `gdbm_load` refuses them; this reader takes them.
struct GDBMTextReader: DumpReader {
  private var input: ByteInput
  /// The number of the line begun last, from 1.
  private var line: UInt64 = 0
  private var recordLine: UInt64 = 0
  private var count: UInt64 = 0
  private var sawHeader = false
  private var sawCount = false
  private var sawEnd = false
  private var scratch: [UInt8] = []

  /// Longest line of parameters; gdbm writes a path in one.
  private static let longestLine = 65_536

  init(_ input: ByteInput) {
    self.input = input
  }

  var place: String { "line \(recordLine)" }

  mutating func next(into record: inout DumpRecord) throws -> Bool {
    record.expires = nil
    guard let keyLength = try readToLength() else {
      try checkEnd()
      return false
    }
    recordLine = line
    try readDatum(into: &record.key, length: keyLength, atMost: DumpRecord.longestKey, what: "the key")
    guard let valueLength = try readToLength() else {
      throw fault("the dump ends after a key; it was cut off")
    }
    try readDatum(into: &record.value, length: valueLength, atMost: Int.max, what: "the value")
    count += 1
    return true
  }

  /// Never called: after a fault keys cannot be distinguished from values.
  mutating func skipFault() throws {}

  private func fault(_ reason: String) -> DamagedInput {
    DamagedInput(place: "line \(max(line, 1))", reason: reason)
  }

  // MARK: Marks

  /// Reads up to the next `#:len=` line and returns its number; nil at the end of the input.
  private mutating func readToLength() throws -> UInt64? {
    while let byte = try input.peek() {
      line += 1
      switch byte {
      case UInt8(ascii: "#"):
        try readMark()
        if let length = try interpretMark() { return length }
      case 0x0A, 0x0D:
        try endLine()
      default:
        throw fault(sawEnd ? "more text after the end of the data" : "expected \"#:len=\"")
      }
    }
    return nil
  }

  /// Reads the line into `scratch`, without its end.
  private mutating func readMark() throws {
    scratch.removeAll(keepingCapacity: true)
    while let text = try input.takeRun({ $0 != 0x0A }) {
      if text.count > Self.longestLine - scratch.count {
        throw fault("the line is longer than \(Self.longestLine) bytes")
      }
      scratch.append(contentsOf: text)
    }
    _ = try input.take()
    if scratch.last == 0x0D { scratch.removeLast() }
  }

  /// - Returns: the number of a `#:len=` line.
  private mutating func interpretMark() throws -> UInt64? {
    if !scratch.starts(with: "#:".utf8) {
      guard scratch.elementsEqual("# End of data".utf8) else { return nil }
      guard sawCount else { throw fault("the end of the data without \"#:count=\" before it") }
      sawEnd = true
      return nil
    }
    if sawEnd { throw fault("more text after the end of the data") }
    if sawCount { throw fault("more data after \"#:count=\"") }
    var length: UInt64?
    for parameter in scratch.dropFirst(2).split(separator: UInt8(ascii: ",")) {
      let parts = parameter.split(
        separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      let text = parts.count == 2 ? parts[1] : []
      switch String(decoding: parts[0], as: UTF8.self) {
      case "len":
        length = try number(text, of: "#:len=")
      case "count":
        try checkCount(try number(text, of: "#:count="))
      case "version":
        guard text.starts(with: "1.".utf8) else {
          let version = String(decoding: text.prefix(16), as: UTF8.self)
          throw fault("the dump has version \(version), this program reads versions 1.0 and 1.1")
        }
        sawHeader = true
      default:
        // Name, owner, mode and variant of the gdbm file: a store keeps none of them.
        sawHeader = true
      }
    }
    return length
  }

  private func number(_ text: ArraySlice<UInt8>, of mark: String) throws -> UInt64 {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard text.allSatisfy({ digits ~= $0 }), let number = UInt64(String(decoding: text, as: UTF8.self)) else {
      throw fault("\"\(mark)\" without a sound number")
    }
    return number
  }

  private mutating func checkCount(_ expected: UInt64) throws {
    guard expected == count else {
      throw fault("the dump should hold \(expected) records, \(count) were found")
    }
    sawCount = true
  }

  private func checkEnd() throws {
    if sawEnd { return }
    if sawCount { throw fault("the dump ends without \"# End of data\"; it was cut off") }
    if sawHeader { throw fault("the dump ends without \"#:count=\"; it was cut off after \(count) records") }
    if count == 0 { throw fault("the input holds no record; it is no dump of gdbm") }
  }

  // MARK: Data

  private mutating func readDatum(
    into output: inout [UInt8], length: UInt64, atMost limit: Int, what: String
  ) throws {
    guard length <= UInt64(limit) else {
      throw fault("\(what) has a length of \(length) bytes; the most is \(limit)")
    }
    output.removeAll(keepingCapacity: true)
    var decoder = Base64Decoder()
    while let byte = try input.peek(), byte != UInt8(ascii: "#") {
      line += 1
      while let text = try input.takeRun({ $0 > 0x20 }) {
        guard decoder.decode(text, into: &output) else { throw fault("\(what) is not sound Base64") }
        guard output.count <= length else {
          throw fault("\(what) is longer than its length, \(length) bytes")
        }
      }
      try endLine()
    }
    guard decoder.isComplete, output.count == length else {
      throw fault("\(what) was cut off: \(output.count) of \(length) bytes")
    }
  }

  private mutating func endLine() throws {
    if try input.peek() == 0x0D { _ = try input.take() }
    guard let byte = try input.take() else { return }
    if byte != 0x0A { throw fault("expected the end of the line") }
  }
}
