/// Reads the JSON Lines dump:
///
///     {"kvmap":1}
///     {"key":"colour","value":"blue"}
///     {"key_b64":"/wA=","value_b64":"AAE=","expires":1790000000000}
///     {"count":2}
///
/// `key` and `value` are text, `key_b64` and `value_b64` any bytes in Base64; `expires` is in milliseconds
/// since 1970. A dump that begins with the header must end with the trailer, and the trailer's count must be
/// right, so that any truncation is detected. Records without a header load as well, so that other
/// tools can write them.
struct JSONLinesReader: DumpReader {
  private enum Line {
    case header
    case record
    case trailer(count: UInt64)
  }

  private var scanner: JSONLineScanner
  private var recordLine: UInt64 = 0
  private var count: UInt64 = 0
  private var sawHeader = false
  private var isFirst = true

  /// The newest version of the format that this reader knows.
  private static let version = 1

  init(_ input: ByteInput) {
    scanner = JSONLineScanner(input)
  }

  var place: String { "line \(recordLine)" }

  mutating func next(into record: inout DumpRecord) throws -> Bool {
    while true {
      if try scanner.isAtEnd() {
        try endWithoutTrailer()
        return false
      }
      recordLine = scanner.line
      let wasFirst = isFirst
      isFirst = false
      switch try readLine(into: &record) {
      case .header:
        guard wasFirst else { throw scanner.fault("a header inside the dump") }
        try scanner.endLine()
        sawHeader = true
      case .record:
        try scanner.endLine()
        count += 1
        return true
      case .trailer(let expected):
        try scanner.endLine()
        try finish(expected: expected)
        return false
      }
    }
  }

  mutating func skipFault() throws {
    try scanner.skipLine()
  }

  private func endWithoutTrailer() throws {
    if isFirst { throw fatal("the input is empty; a dump holds at least a header and a trailer") }
    if sawHeader {
      throw fatal("the dump ends without its last line {\"count\":…}; it was cut off after \(count) records")
    }
  }

  private mutating func finish(expected: UInt64) throws {
    guard expected == count else {
      throw DamagedInput(
        place: place, reason: "the dump should hold \(expected) records, \(count) were found")
    }
    guard try scanner.isAtEnd() else { throw fatal("more lines after the last line of the dump") }
  }

  private func fatal(_ reason: String) -> DamagedInput {
    DamagedInput(place: scanner.place, reason: reason)
  }

  // MARK: Lines

  private mutating func readLine(into record: inout DumpRecord) throws -> Line {
    var sawKey = false
    var sawValue = false
    record.expires = nil
    try scanner.beginObject()
    while let name = try scanner.nextMember() {
      switch name {
      case "key" where !sawKey:
        try scanner.text(into: &record.key, atMost: DumpRecord.longestKey, what: "the key")
        sawKey = true
      case "key_b64" where !sawKey:
        try scanner.base64(into: &record.key, atMost: DumpRecord.longestKey, what: "the key")
        sawKey = true
      case "value" where !sawValue:
        try scanner.text(into: &record.value, atMost: Int.max, what: "the value")
        sawValue = true
      case "value_b64" where !sawValue:
        try scanner.base64(into: &record.value, atMost: Int.max, what: "the value")
        sawValue = true
      case "expires" where record.expires == nil:
        record.expires = try scanner.unsignedInteger(what: "\"expires\"")
      case "key", "key_b64", "value", "value_b64", "expires":
        throw scanner.fault("the object has two keys, two values or two times of expiry")
      case "kvmap" where !sawKey && !sawValue && record.expires == nil:
        try readHeader()
        return .header
      case "count" where !sawKey && !sawValue && record.expires == nil:
        let count = try scanner.unsignedInteger(what: "\"count\"")
        guard try scanner.nextMember() == nil else { throw scanner.fault("unknown member beside \"count\"") }
        return .trailer(count: count)
      default:
        throw scanner.fault("unknown member; a record has key or key_b64, value or value_b64, and expires")
      }
    }
    guard sawKey else { throw scanner.fault("the object has neither \"key\" nor \"key_b64\"") }
    guard sawValue else { throw scanner.fault("the object has neither \"value\" nor \"value_b64\"") }
    return .record
  }

  /// Reads the header after the name of its first member. Further members are for later versions to add
  /// without breaking this one.
  private mutating func readHeader() throws {
    let version = try scanner.unsignedInteger(what: "the version of the dump")
    guard version == Self.version else {
      throw fatal("the dump has version \(version), this program reads version \(Self.version)")
    }
    while try scanner.nextMember() != nil { try scanner.skipScalar() }
  }
}
