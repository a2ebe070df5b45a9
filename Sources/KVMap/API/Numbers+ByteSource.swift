// Numbers and truth values as keys and values: their text, which the shell can read and write too.

extension Store.ByteSource where Self: FixedWidthInteger {
  /// Calls `body` with the number in decimal digits, such as `-12`: no `+`, no leading zeros.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    // A digit for every three bits is more than enough; and one for the rest, and a sign.
    try unsafe withUnsafeTemporaryAllocation(byteCount: Self.bitWidth / 3 + 2, alignment: 1) {
      buffer throws(E) in
      var start = buffer.count
      var rest = magnitude
      repeat {
        let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
        start &-= 1
        unsafe buffer[start] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: digit)
        rest = quotient
      } while rest != 0
      if self < 0 {
        start &-= 1
        unsafe buffer[start] = UInt8(ascii: "-")
      }
      return try body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[start...])))
    }
  }
}

extension Store.ByteDecodable where Self: FixedWidthInteger {
  /// Reads the one text that a number is written as: decimal digits, with `-` for negative ones.
  ///
  /// - Throws: ``Store/Error`` with `notANumber` for all else, such as `+5`, `007`, blanks, an empty
  ///   value, and numbers that `Self` cannot hold.
  @inlinable
  public init(copying bytes: RawSpan) throws(Store.Error) {
    let number = unsafe bytes.withUnsafeBytes { unsafe Self(decimalDigits: $0) }
    guard let number else {
      throw .notANumber(
        bytes, "a whole number from \(Self.min) to \(Self.max) in decimal digits, without + and leading zeros"
      )
    }
    self = number
  }
}

extension FixedWidthInteger {
  /// The number that is written so in decimal digits; nil if there is none, or if it is not written as
  /// a number is by `withBytes`.
  @inlinable
  init?(decimalDigits text: UnsafeRawBufferPointer) {
    let zero = UInt8(ascii: "0")
    let isNegative = unsafe text.first == UInt8(ascii: "-")
    let start = isNegative ? 1 : 0
    if start == text.count { return nil }
    if unsafe text[start] == zero, text.count > 1 { return nil }
    var number: Self = 0
    for index in start..<text.count {
      let digit = unsafe text[index] &- zero
      guard digit < 10 else { return nil }
      let (product, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) =
        isNegative
        ? product.subtractingReportingOverflow(Self(digit)) : product.addingReportingOverflow(Self(digit))
      if overflow || carry { return nil }
      number = sum
    }
    self = number
  }
}

extension Int: Store.ByteSource, Store.ByteDecodable {}
extension Int8: Store.ByteSource, Store.ByteDecodable {}
extension Int16: Store.ByteSource, Store.ByteDecodable {}
extension Int32: Store.ByteSource, Store.ByteDecodable {}
extension Int64: Store.ByteSource, Store.ByteDecodable {}
extension UInt: Store.ByteSource, Store.ByteDecodable {}
extension UInt8: Store.ByteSource, Store.ByteDecodable {}
extension UInt16: Store.ByteSource, Store.ByteDecodable {}
extension UInt32: Store.ByteSource, Store.ByteDecodable {}
extension UInt64: Store.ByteSource, Store.ByteDecodable {}

// MARK: Floating point

extension Store.ByteSource where Self: BinaryFloatingPoint & CustomStringConvertible {
  /// Calls `body` with the shortest decimal text that gives the same number back, such as `0.1`,
  /// `5e-324`, `inf` or `nan`.
  ///
  /// As keys, 0.0 and -0.0 are different: the first is `0.0`, the second `-0.0`. Of a NaN neither sign
  /// nor payload is kept.
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try (isNaN ? "nan" : description).withBytes(body)
  }
}

extension Store.ByteDecodable where Self: BinaryFloatingPoint & LosslessStringConvertible {
  /// Reads decimal text, such as `3`, `-2.50` or `1e9`, or `inf`, `-inf` or `nan`, and takes the number
  /// nearest to it.
  ///
  /// - Throws: ``Store/Error`` with `notANumber` for all else, such as `+5`, blanks, hexadecimal digits,
  ///   an empty value, and numbers that are too large.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    let text = unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    guard let text, let number = Self(text), number.isMeant(by: text) else {
      throw .notANumber(bytes, "a decimal number that \(Self.self) can hold")
    }
    self = number
  }
}

extension BinaryFloatingPoint {
  /// Whether the text, which was read as this number, is one of those that are allowed.
  fileprivate func isMeant(by text: String) -> Bool {
    if !isFinite { return ["inf", "-inf", "nan"].contains(text) }
    return text.first != "+" && text.utf8.allSatisfy { "0123456789.eE+-".utf8.contains($0) }
  }
}

extension Double: Store.ByteSource, Store.ByteDecodable {}
extension Float: Store.ByteSource, Store.ByteDecodable {}

// MARK: Truth values

extension Bool: Store.ByteSource, Store.ByteDecodable {
  /// Calls `body` with `true` or `false`.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try description.withBytes(body)
  }

  /// Reads `true` or `false`; throws `invalidValue` for all else.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    switch try? String(copying: bytes) {
    case "true": self = true
    case "false": self = false
    default:
      throw Store.Error(
        .invalidValue, "the value (\(bytes.byteCount) bytes) is neither 'true' nor 'false'")
    }
  }
}

extension Store.Error {
  @usableFromInline
  static func notANumber(_ bytes: RawSpan, _ expected: String) -> Store.Error {
    Store.Error(.notANumber, "the value (\(bytes.byteCount) bytes) is not \(expected)")
  }
}
