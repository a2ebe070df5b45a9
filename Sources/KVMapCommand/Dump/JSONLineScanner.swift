/// Reads flat JSON objects, one a line, token by token.
///
/// Strict: RFC 8259 text in valid UTF-8, no empty lines, no nested values. Written by hand because a
/// general decoder has to hold the whole line, and JSONDecoder takes 25 times as long for a small record.
struct JSONLineScanner {
  private var input: ByteInput
  /// Whether a member of the current object was read, so that the next one needs a comma.
  private var afterMember = false
  private var scratch: [UInt8] = []
  /// The current line, from 1.
  private(set) var line: UInt64 = 1

  /// The longest name of a member; no format uses longer ones.
  private static let longestName = 64

  init(_ input: ByteInput) {
    self.input = input
  }

  var place: String { "line \(line)" }

  func fault(_ reason: String) -> DamagedInput {
    DamagedInput(place: place, reason: reason, sparesRest: true)
  }

  mutating func isAtEnd() throws -> Bool { try input.peek() == nil }

  /// Skips blanks; if the line has nothing else, takes its end too and returns true.
  mutating func skipEmptyLine() throws -> Bool {
    try skipBlanks()
    guard try input.peek() == UInt8(ascii: "\n") else { return false }
    try endLine()
    return true
  }

  mutating func beginObject() throws {
    try skipBlanks()
    try expect(UInt8(ascii: "{"))
    afterMember = false
  }

  /// The name of the next member, with the colon after it taken; nil at the end of the object.
  mutating func nextMember() throws -> String? {
    try skipBlanks()
    if try input.peek() == UInt8(ascii: "}") {
      _ = try input.take()
      return nil
    }
    if afterMember {
      try expect(UInt8(ascii: ","), orElse: "expected ',' or '}'")
      try skipBlanks()
    }
    afterMember = true
    var name: [UInt8] = []
    swap(&name, &scratch)
    defer { swap(&name, &scratch) }
    try text(into: &name, atMost: Self.longestName, what: "the name of a member")
    try skipBlanks()
    try expect(UInt8(ascii: ":"))
    try skipBlanks()
    return String(decoding: name, as: UTF8.self)
  }

  /// Takes the end of the line, or finds the end of the input.
  mutating func endLine() throws {
    try skipBlanks()
    switch try input.peek() {
    case UInt8(ascii: "\n"):
      _ = try input.take()
      line += 1
    case nil:
      break
    default:
      throw fault("more text after the end of the object")
    }
  }

  /// Skips the rest of the line.
  mutating func skipLine() throws {
    while try input.takeRun({ $0 != UInt8(ascii: "\n") }) != nil {}
    if try input.take() != nil { line += 1 }
  }

  // MARK: Values

  /// Replaces `output` by the bytes of a string, at most `limit` of them.
  mutating func text(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    output.removeAll(keepingCapacity: true)
    try string(into: &output, atMost: limit, what: what)
  }

  /// Replaces `output` by the bytes that a string of Base64 encodes, at most `limit` of them.
  mutating func base64(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    output.removeAll(keepingCapacity: true)
    var encoded: [UInt8] = []
    swap(&encoded, &scratch)
    defer {
      // A large value's memory is not kept for the small ones after it.
      if encoded.capacity > 1 << 20 { encoded = [] }
      swap(&encoded, &scratch)
    }
    let textLimit = limit / 3 >= Int.max / 4 ? Int.max : (limit / 3 + 1) * 4
    try text(into: &encoded, atMost: textLimit, what: what)
    var decoder = Base64Decoder()
    guard decoder.decode(encoded, into: &output), decoder.isComplete else {
      throw fault("\(what) is not sound Base64")
    }
    if output.count > limit { throw tooLong(what, limit) }
  }

  mutating func unsignedInteger(what: String) throws -> UInt64 {
    var number: UInt64 = 0
    var digits = 0
    while let byte = try input.peek(), UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte {
      if digits == 1, number == 0 { throw fault("\(what) begins with a zero") }
      let (tenfold, overflow1) = number.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = tenfold.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      if overflow1 || overflow2 { throw fault("\(what) is too large") }
      number = sum
      digits += 1
      _ = try input.take()
    }
    if digits == 0 { throw try unexpected("\(what) has to be a whole number, 0 or more") }
    return number
  }

  /// Takes `true` if it follows; another word that begins with t is a fault.
  mutating func takeTrue() throws -> Bool {
    guard try input.peek() == UInt8(ascii: "t") else { return false }
    for byte in "true".utf8 { try expect(byte, orElse: "expected a string or true") }
    return true
  }

  /// Skips a string, a number, true, false or null.
  mutating func skipScalar() throws {
    switch try input.peek() {
    case UInt8(ascii: "\""):
      var ignored: [UInt8] = []
      try text(into: &ignored, atMost: DumpRecord.longestKey, what: "a string of the header")
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      throw fault("nested values are not part of this format")
    default:
      while try input.takeRun({ $0 > 0x20 && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "}") }) != nil {}
    }
  }

  // MARK: Strings

  /// Appends the bytes of the string that follows; `output` has to be empty before.
  private mutating func string(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    guard try input.peek() == UInt8(ascii: "\"") else { throw try unexpected("\(what) has to be a string") }
    _ = try input.take()
    while true {
      while let run = try input.takeRun({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
      ) {
        if run.count > limit - output.count { throw tooLong(what, limit) }
        output.append(contentsOf: run)
      }
      switch try input.peek() {
      case UInt8(ascii: "\""):
        _ = try input.take()
        if String(validating: output, as: UTF8.self) == nil { throw fault("\(what) is not valid UTF-8") }
        return
      case UInt8(ascii: "\\"):
        _ = try input.take()
        try escape(into: &output)
        if output.count > limit { throw tooLong(what, limit) }
      case nil:
        throw try unexpected("\(what) has no end")
      default:
        throw fault("\(what) contains a control byte; it has to be escaped")
      }
    }
  }

  private mutating func escape(into output: inout [UInt8]) throws {
    switch try input.take() {
    case UInt8(ascii: "\""): output.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): output.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "/"): output.append(UInt8(ascii: "/"))
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"): output.append(contentsOf: Array(String(try escapedScalar()).utf8))
    default: throw try unexpected("unknown escape in a string")
    }
  }

  /// The scalar after `\u`; one beyond the 16-bit range is written as two surrogates.
  private mutating func escapedScalar() throws -> Unicode.Scalar {
    let first = try fourHexDigits()
    if let scalar = Unicode.Scalar(first) { return scalar }
    if UTF16.isLeadSurrogate(first), try input.peek() == UInt8(ascii: "\\") {
      _ = try input.take()
      try expect(UInt8(ascii: "u"), orElse: "half of a surrogate pair in a string")
      let second = try fourHexDigits()
      if UTF16.isTrailSurrogate(second) {
        return UTF16.decode(UTF16.EncodedScalar([first, second]))
      }
    }
    throw try unexpected("half of a surrogate pair in a string")
  }

  private mutating func fourHexDigits() throws -> UInt16 {
    var number: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = try input.peek(), let digit = hexadecimalDigit(byte) else {
        throw try unexpected("expected four hexadecimal digits after \\u")
      }
      _ = try input.take()
      number = number << 4 | UInt16(digit)
    }
    return number
  }

  // MARK: Small parts

  private mutating func skipBlanks() throws {
    while let byte = try input.peek(), byte == 0x20 || byte == 0x09 || byte == 0x0D { _ = try input.take() }
  }

  private mutating func expect(_ byte: UInt8, orElse reason: String? = nil) throws {
    guard try input.peek() == byte else {
      throw try unexpected(reason ?? "expected '\(Unicode.Scalar(byte))'")
    }
    _ = try input.take()
  }

  /// The fault at the next byte: the input's end is worse than a wrong byte, because nothing follows it.
  private mutating func unexpected(_ reason: String) throws -> DamagedInput {
    if try input.peek() == nil {
      return DamagedInput(place: place, reason: "the input ends in the middle of the line; it was cut off")
    }
    return fault(reason)
  }

  private func tooLong(_ what: String, _ limit: Int) -> DamagedInput {
    fault("\(what) is longer than \(limit) bytes")
  }
}

/// The value of a hexadecimal digit in ASCII, of either case; nil for other bytes.
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}
