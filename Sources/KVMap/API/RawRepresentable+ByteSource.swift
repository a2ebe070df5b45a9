// Types with a raw value, such as enums: they are stored as their raw values.

extension Store.ByteSource where Self: RawRepresentable, RawValue: Store.ByteSource {
  /// Calls `body` with the bytes of the raw value.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try rawValue.withBytes(body)
  }
}

extension Store.ByteDecodable where Self: RawRepresentable, RawValue: Store.ByteDecodable {
  /// Reads the raw value.
  ///
  /// - Throws: what reading it throws; ``Store/Error`` with `invalidValue` if no value of this type has
  ///   it.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    let rawValue = try RawValue(copying: bytes)
    guard let value = Self(rawValue: rawValue) else {
      throw Store.Error(
        .invalidValue, "the value (\(bytes.byteCount) bytes) is not the raw value of a \(Self.self)")
    }
    self = value
  }
}
