import ArgumentParser

/// How bytes are encoded on the command line.
enum KeyEncoding: EnumerableFlag {
  case keyHex
  case keyBase64

  static func help(for value: KeyEncoding) -> ArgumentHelp? {
    switch value {
    case .keyHex: "Take keys as hexadecimal digits."
    case .keyBase64: "Take keys as Base64."
    }
  }

  /// - Returns: nil if `text` is not valid in the encoding.
  func decode(_ text: String) -> [UInt8]? {
    switch self {
    case .keyHex: Self.decodeHexadecimal(text.utf8)
    case .keyBase64: Base64.decode(text.utf8)
    }
  }

  private static func decodeHexadecimal(_ text: String.UTF8View) -> [UInt8]? {
    var bytes: [UInt8] = []
    var half: UInt8?
    for byte in text {
      guard let digit = hexadecimalDigit(byte) else { return nil }
      if let high = half {
        bytes.append(high << 4 | digit)
        half = nil
      } else {
        half = digit
      }
    }
    return half == nil ? bytes : nil
  }
}

/// The bytes that `text` encodes.
func keyBytes(_ text: String, _ encoding: KeyEncoding?, name: String) throws -> [UInt8] {
  let bytes: [UInt8]
  switch encoding {
  case nil:
    bytes = Array(text.utf8)
  case let encoding?:
    guard let decoded = encoding.decode(text) else {
      let wanted = encoding == .keyHex ? "an even number of hexadecimal digits" : "padded Base64"
      throw ValidationError("\(name) has to be \(wanted)")
    }
    bytes = decoded
  }
  guard bytes.count <= DumpRecord.longestKey else {
    throw ValidationError("\(name) has \(bytes.count) bytes; the most is \(DumpRecord.longestKey)")
  }
  return bytes
}

/// A KEY and its encoding.
struct KeyArgument: ParsableArguments {
  @Argument(help: "The key; may be empty.")
  var key: String

  @Flag
  var encoding: KeyEncoding?

  func validate() throws {
    _ = try bytes()
  }

  func bytes() throws -> [UInt8] {
    try keyBytes(key, encoding, name: "KEY")
  }
}
