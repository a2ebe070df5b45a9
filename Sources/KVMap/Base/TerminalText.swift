/// Text that a terminal can show: bytes of keys and values in messages.
package enum TerminalText {
  package enum Exceptions {
    /// A backslash is doubled, so that the output determines the bytes.
    case none
    /// Newlines stay and backslashes are not doubled: for text that is a message already.
    case newlines
  }

  /// Replaces control bytes, invisible characters and invalid UTF-8 by `\n`, `\r`, `\t` or `\x1b`.
  package static func escape(_ bytes: [UInt8], keeping exceptions: Exceptions = .none) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    var parser = Unicode.UTF8.ForwardParser()
    var remaining = bytes.makeIterator()
    var position = 0
    while true {
      switch parser.parseScalar(from: &remaining) {
      case .valid(let encoded):
        append(Unicode.UTF8.decode(encoded), Array(encoded), exceptions, to: &output)
        position += encoded.count
      case .error(let length):
        for byte in bytes[position..<position + length] { appendNumber(byte, to: &output) }
        position += length
      case .emptyInput:
        return output
      }
    }
  }

  /// A key for a message, in quotes, shortened if it is long.
  package static func quote(_ key: [UInt8]) -> String {
    let longest = 64
    let text = String(decoding: escape(Array(key.prefix(longest))), as: UTF8.self)
    return key.count > longest ? "'\(text)…'" : "'\(text)'"
  }

  private static func append(
    _ scalar: Unicode.Scalar, _ encoded: [UInt8], _ exceptions: Exceptions, to output: inout [UInt8]
  ) {
    switch scalar {
    case "\n" where exceptions == .newlines: output.append(0x0A)
    case "\n": output.append(contentsOf: "\\n".utf8)
    case "\r": output.append(contentsOf: "\\r".utf8)
    case "\t": output.append(contentsOf: "\\t".utf8)
    case "\\" where exceptions == .none: output.append(contentsOf: "\\\\".utf8)
    case _ where isHidden(scalar): for byte in encoded { appendNumber(byte, to: &output) }
    default: output.append(contentsOf: encoded)
    }
  }

  /// Whether a terminal shows nothing in its place, or lets it change the order or the lines of others: two
  /// keys could look the same, or a name like another.
  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar < " " || scalar == "\u{7F}" }
    let properties = scalar.properties
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: return true
    default: return properties.isDefaultIgnorableCodePoint
    }
  }

  private static func appendNumber(_ byte: UInt8, to output: inout [UInt8]) {
    output.append(contentsOf: "\\x".utf8)
    output.append(contentsOf: hexadecimal([byte]))
  }

  package static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}
