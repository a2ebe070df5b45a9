/// Base64 of RFC 4648, section 4: the alphabet with `+` and `/`, padded.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// Appends the encoding of `bytes`, without line breaks, to `output`.
  static func encode(_ bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
    let alphabet = Self.alphabet
    var index = bytes.startIndex
    while bytes.endIndex - index >= 3 {
      let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
      output.append(alphabet[Int(group >> 18)])
      output.append(alphabet[Int(group >> 12 & 63)])
      output.append(alphabet[Int(group >> 6 & 63)])
      output.append(alphabet[Int(group & 63)])
      index += 3
    }
    let padding = UInt8(ascii: "=")
    switch bytes.endIndex - index {
    case 1:
      let group = UInt32(bytes[index]) << 16
      output.append(alphabet[Int(group >> 18)])
      output.append(alphabet[Int(group >> 12 & 63)])
      output.append(padding)
      output.append(padding)
    case 2:
      let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8
      output.append(alphabet[Int(group >> 18)])
      output.append(alphabet[Int(group >> 12 & 63)])
      output.append(alphabet[Int(group >> 6 & 63)])
      output.append(padding)
    default:
      break
    }
  }

  /// The bytes that `text` encodes; nil if it is not padded Base64.
  static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var decoder = Base64Decoder()
    var output: [UInt8] = []
    guard decoder.decode(text, into: &output), decoder.isComplete else { return nil }
    return output
  }
}

/// Decodes Base64 that arrives in pieces.
///
/// Strict: only the alphabet, no line breaks, padding only at the end, and zeros in the bits that padding
/// leaves unused. So each byte string has one encoding.
struct Base64Decoder {
  /// For each byte its six bits; 64 for padding, 255 for what is not in the alphabet.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 255, count: 256)
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    for (value, byte) in alphabet.utf8.enumerated() { values[Int(byte)] = UInt8(value) }
    return values
  }()

  private let values = Self.values
  private var group: UInt32 = 0
  /// Characters of the current group of four.
  private var count = 0
  private var padding = 0

  /// Whether the text so far is a whole number of groups.
  var isComplete: Bool { count == 0 }

  /// Appends what `text` decodes to; false if it is not Base64.
  mutating func decode(_ text: some Sequence<UInt8>, into output: inout [UInt8]) -> Bool {
    for byte in text {
      let value = values[Int(byte)]
      if value < 64 {
        // Nothing follows padding.
        if padding > 0 { return false }
        group = group << 6 | UInt32(value)
      } else if value == 64 {
        // Padding is the last character or the last two; after "xx==" and "xxx=" the text ends.
        if count < 2 { return false }
        padding += 1
        group <<= 6
      } else {
        return false
      }
      count += 1
      if count == 4, !endGroup(into: &output) { return false }
    }
    return true
  }

  private mutating func endGroup(into output: inout [UInt8]) -> Bool {
    let unusedBits: UInt32 = padding == 0 ? 0 : padding == 1 ? 0xFF : 0xFFFF
    if group & unusedBits != 0 { return false }
    output.append(UInt8(truncatingIfNeeded: group >> 16))
    if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
    if padding < 1 { output.append(UInt8(truncatingIfNeeded: group)) }
    group = 0
    count = 0
    return true
  }
}
