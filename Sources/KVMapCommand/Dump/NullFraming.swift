/// Keys and values one after the other, each ended by a zero byte, as `-0` prints and reads them.
///
/// Within one, a zero byte is written as `c0 80`, and a byte `c0` as `c0 c0`. No text in UTF-8 contains `c0`,
/// so text stays as it is, for `xargs -0` and the like. What is escaped is not text: as an argument it
/// is refused, and so never mistaken for another key.
enum NullFraming {
  static let mark: UInt8 = 0xC0
  static let zero: UInt8 = 0x80

  static func append(_ bytes: [UInt8], to output: inout ByteOutput) throws {
    var start = 0
    for (index, byte) in bytes.enumerated() where byte == 0 || byte == mark {
      try output.append(bytes[start..<index])
      try output.append(mark)
      try output.append(byte == 0 ? zero : mark)
      start = index + 1
    }
    try output.append(bytes[start...])
    try output.append(0)
  }
}

/// Reads keys that `NullFraming` describes.
struct NullFramedReader {
  private var input: ByteInput
  private var number: UInt64 = 0

  /// A key of the greatest length in hexadecimal.
  private static let longest = 2 * DumpRecord.longestKey

  init(_ input: ByteInput) {
    self.input = input
  }

  /// The next key; nil at the end.
  ///
  /// - Throws: `DamagedInput`, or what the source of bytes throws.
  mutating func next() throws -> [UInt8]? {
    if try input.peek() == nil { return nil }
    number += 1
    var bytes: [UInt8] = []
    while true {
      while let run = try input.takeRun({ $0 != 0 && $0 != NullFraming.mark }) {
        if run.count > Self.longest - bytes.count { throw fault("it is longer than \(Self.longest) bytes") }
        bytes.append(contentsOf: run)
      }
      guard let byte = try input.take() else {
        throw fault("the input ends without a zero byte after it; it was cut off")
      }
      if byte == 0 { return bytes }
      bytes.append(try escaped())
    }
  }

  /// Says why the key that was read last is not one.
  func fault(_ reason: String) -> DamagedInput {
    DamagedInput(place: "key \(number)", reason: reason)
  }

  private mutating func escaped() throws -> UInt8 {
    switch try input.take() {
    case NullFraming.zero: return 0
    case NullFraming.mark: return NullFraming.mark
    default: throw fault("in a key, a byte c0 has to be written as c0 c0, and a zero byte as c0 80")
    }
  }
}
