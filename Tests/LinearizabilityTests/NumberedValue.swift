import TestSupport

/// Values that stand for numbers. Each number has bytes of its own, few or many, so that a
/// mixture of two values, or bytes of none, are noticed.
enum NumberedValue {
  /// The number of bytes that are no value.
  static let wrong = UInt32.max

  static func bytes(_ number: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number &* 37), count: count(number))
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: number >> UInt32(8 * index)) }
    bytes[bytes.count - 1] ^= 0x5a
    return bytes
  }

  static func number(_ bytes: [UInt8]?) -> UInt32 {
    guard let bytes else { return 0 }
    guard bytes.count > 4 else { return wrong }
    let number = bytes[..<4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return bytes == Self.bytes(number) ? number : wrong
  }

  /// Most are short. One in 64 is longer than a page, and one in 512 is a large value outside of
  /// the log.
  private static func count(_ number: UInt32) -> Int {
    let mixed = number &* 0x9e37_79b1
    return switch mixed >> 23 {
    case 0: 70_000
    case 1..<8: 6_000
    case 8..<128: 300
    default: 8 + Int(mixed >> 20 & 31)
    }
  }
}
