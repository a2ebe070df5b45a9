import KVMap

/// Reads operations, one JSON object a line:
///
///     {"put":"sky","value":"blue"}
///     {"put":"job-17","value":"host-3","if":"absent","ttl_ms":900000}
///     {"put":true,"key_b64":"/wA=","value_b64":"AAE="}
///     {"delete":"sea"}
///     {"delete":true,"key_b64":"/wE=","if":"present"}
///
/// `put` and `delete` hold the key. If the key is not text they hold true, and `key_b64` holds the key. Empty
/// lines are skipped.
struct BatchReader {
  private enum Verb {
    case put
    case delete
  }

  /// The members of a line read so far.
  private struct Parts {
    var verb: Verb?
    var keyIsElsewhere = false
    var keyText: [UInt8]?
    var keyBytes: [UInt8]?
    var value: [UInt8]?
    var timeToLive: UInt64?
    var condition: Store.PutCondition?
  }

  /// A thousand years, in milliseconds.
  private static let longestTimeToLive: UInt64 = 365_000 * 24 * 3600 * 1000

  private var scanner: JSONLineScanner

  init(_ input: ByteInput) {
    scanner = JSONLineScanner(input)
  }

  /// - Throws: `DamagedInput`, or what the source of bytes throws.
  mutating func next() throws -> BatchOperation? {
    while try !scanner.isAtEnd() {
      if try scanner.skipEmptyLine() { continue }
      if try scanner.isAtEnd() { return nil }
      let line = scanner.line
      try scanner.beginObject()
      var parts = Parts()
      while let name = try scanner.nextMember() { try readMember(name, into: &parts) }
      let operation = try assemble(parts, line: line)
      try scanner.endLine()
      return operation
    }
    return nil
  }

  // MARK: Members

  private mutating func readMember(_ name: String, into parts: inout Parts) throws {
    switch name {
    case "put" where parts.verb == nil:
      parts.verb = .put
      try readKey(into: &parts)
    case "delete" where parts.verb == nil:
      parts.verb = .delete
      try readKey(into: &parts)
    case "key_b64" where parts.keyBytes == nil:
      var key: [UInt8] = []
      try scanner.base64(into: &key, atMost: DumpRecord.longestKey, what: "the key")
      parts.keyBytes = key
    case "value" where parts.value == nil:
      var value: [UInt8] = []
      try scanner.text(into: &value, atMost: Int.max, what: "the value")
      parts.value = value
    case "value_b64" where parts.value == nil:
      var value: [UInt8] = []
      try scanner.base64(into: &value, atMost: Int.max, what: "the value")
      parts.value = value
    case "ttl_ms" where parts.timeToLive == nil:
      parts.timeToLive = try scanner.unsignedInteger(what: "\"ttl_ms\"")
    case "if" where parts.condition == nil:
      parts.condition = try readCondition()
    case "put", "delete", "key_b64", "value", "value_b64", "ttl_ms", "if":
      throw scanner.fault("\"\(name)\" is one too many; a line holds one operation")
    default:
      throw scanner.fault("unknown member; known are put, delete, key_b64, value, value_b64, ttl_ms and if")
    }
  }

  private mutating func readKey(into parts: inout Parts) throws {
    if try scanner.takeTrue() {
      parts.keyIsElsewhere = true
    } else {
      var key: [UInt8] = []
      try scanner.text(into: &key, atMost: DumpRecord.longestKey, what: "the key")
      parts.keyText = key
    }
  }

  private mutating func readCondition() throws -> Store.PutCondition {
    var text: [UInt8] = []
    try scanner.text(into: &text, atMost: 16, what: "\"if\"")
    switch String(decoding: text, as: UTF8.self) {
    case "absent": return .absent
    case "present": return .present
    default: throw scanner.fault("\"if\" has to be \"absent\" or \"present\"")
    }
  }

  private func assemble(_ parts: Parts, line: UInt64) throws -> BatchOperation {
    guard let verb = parts.verb else { throw scanner.fault("neither \"put\" nor \"delete\"") }
    if parts.keyIsElsewhere, parts.keyBytes == nil {
      throw scanner.fault("no key; true asks for \"key_b64\"")
    }
    if !parts.keyIsElsewhere, parts.keyBytes != nil {
      throw scanner.fault("two keys; with \"key_b64\", \"put\" or \"delete\" has to be true")
    }
    let key = parts.keyText ?? parts.keyBytes ?? []
    let condition = parts.condition ?? .always
    switch verb {
    case .put:
      guard let value = parts.value else { throw scanner.fault("neither \"value\" nor \"value_b64\"") }
      let timeToLive = try parts.timeToLive.map(duration)
      return BatchOperation(
        kind: .put(value: value, timeToLive: timeToLive), key: key, condition: condition, line: line)
    case .delete:
      if parts.value != nil || parts.timeToLive != nil {
        throw scanner.fault("\"delete\" takes neither a value nor \"ttl_ms\"")
      }
      if condition == .absent { throw scanner.fault("\"delete\" if absent makes no sense") }
      return BatchOperation(kind: .delete, key: key, condition: condition, line: line)
    }
  }

  private func duration(_ milliseconds: UInt64) throws -> Duration {
    guard 1...Self.longestTimeToLive ~= milliseconds else {
      throw scanner.fault("\"ttl_ms\" has to be from 1 to \(Self.longestTimeToLive)")
    }
    return .milliseconds(Int64(milliseconds))
  }
}
