/// The layout of a file of changes, an increment: a header, the changes in the order of the commits, and an
/// end. Numbers are stored with the low byte first, one part right after the other.
///
/// Every part has a checksum of the part before in its own, so that nothing can be missing or stand in
/// another order, and only a whole file has an end.
enum IncrementFormat {
  /// Like that of a store, but with "KVI".
  static let magic: UInt64 = 0x0a1a_0a0d_4956_4b89
  static let version: UInt64 = 1

  /// The bytes of the header before its checksum.
  static let headerBytes = 48
  /// The bytes of a change or of the end before key and value.
  static let fieldBytes = 32
  static let checksumBytes = 8

  /// What stands in the first byte of a part.
  enum Kind: UInt8 {
    case put = 1
    case remove = 2
    case end = 3
  }

  /// What an increment says of itself.
  struct Header: Equatable {
    /// The store whose changes it holds.
    var identifier: (UInt64, UInt64)
    /// It begins after the change with this number.
    var since: SequenceNumber
    /// It ends with the change with this number, or would if there was one.
    var upTo: SequenceNumber

    static func == (left: Self, right: Self) -> Bool {
      left.identifier == right.identifier && left.since == right.since && left.upTo == right.upTo
    }

    var encoded: [UInt8] {
      var bytes: [UInt8] = []
      for word in [magic, version, identifier.0, identifier.1, since.number, upTo.number] {
        bytes.appendWord(word)
      }
      return bytes
    }
  }

  /// The checksum of a part that comes after one with the checksum `previous`.
  static func checksum(_ part: ArraySlice<UInt8>, after previous: UInt64) -> UInt64 {
    var part = Array(part)
    let count = part.count
    return unsafe part.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      return unsafe Checksum.compute(
        MappedBytes(base: base, count: count), 0, count: count, seed: StoreSeed(low: 0, high: 0),
        place: previous)
    }
  }
}

extension [UInt8] {
  /// Appends a number, the low byte first.
  mutating func appendWord(_ word: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { append(UInt8(truncatingIfNeeded: word >> shift)) }
  }
}

extension ArraySlice<UInt8> {
  /// The number that begins at `offset` from the start, the low byte first.
  func word(at offset: Int) -> UInt64 {
    let start = startIndex + offset
    return (0..<8).reduce(0) { $0 | UInt64(self[start + $1]) << UInt64(8 * $1) }
  }
}
