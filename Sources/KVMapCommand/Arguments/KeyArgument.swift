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

  /// What a text in the encoding is.
  var requirement: String {
    switch self {
    case .keyHex: "an even number of hexadecimal digits"
    case .keyBase64: "padded Base64"
    }
  }

  /// - Returns: nil if `text` is not valid in the encoding.
  func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    switch self {
    case .keyHex: Self.decodeHexadecimal(text)
    case .keyBase64: Base64.decode(text)
    }
  }

  private static func decodeHexadecimal(_ text: some Sequence<UInt8>) -> [UInt8]? {
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
  guard let encoding else { return try checked(Array(text.utf8), name) }
  guard let bytes = encoding.decode(text.utf8) else {
    throw ValidationError("\(name) has to be \(encoding.requirement)")
  }
  return try checked(bytes, name)
}

private func checked(_ key: [UInt8], _ name: String) throws -> [UInt8] {
  if let reason = DumpRecord.tooLong(key) { throw ValidationError("\(name) \(reason)") }
  return key
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
