extension Store {
  /// A type that can be a key or a value: one that can show its bytes in one piece.
  ///
  /// `String` (as UTF-8), `Substring`, `[UInt8]` and its relatives, `RawSpan` and `Span<UInt8>`; whole
  /// numbers, `Double`, `Float` and `Bool` as text; with the module `KVMapFoundation` also `Data`,
  /// `UUID` and `Date`. A type with a raw value needs nothing but its conformance:
  ///
  ///     enum State: String, Store.ByteSource, Store.ByteDecodable {
  ///       case waiting, running, done
  ///     }
  ///
  /// See <doc:TypedValues> for an example with several fields.
  public protocol ByteSource: ~Copyable, ~Escapable, SendableMetatype {
    /// Calls `body` with the bytes; they are valid during the call.
    borrowing func withBytes<R: ~Copyable, E: Swift.Error>(
      _ body: (RawSpan) throws(E) -> R
    ) throws(E) -> R
  }
}

extension RawSpan: Store.ByteSource {
  /// Calls `body` with the span itself.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(self)
  }
}

extension Span: Store.ByteSource where Element == UInt8 {
  /// Calls `body` with the bytes of the span.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(bytes)
  }
}

extension Array: Store.ByteSource where Element == UInt8 {
  /// Calls `body` with the array's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension ArraySlice: Store.ByteSource where Element == UInt8 {
  /// Calls `body` with the slice's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension ContiguousArray: Store.ByteSource where Element == UInt8 {
  /// Calls `body` with the array's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension String: Store.ByteSource {
  /// Calls `body` with the string's UTF-8.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(utf8.span.bytes)
  }
}

extension Substring: Store.ByteSource {
  /// Calls `body` with the substring's UTF-8.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(utf8.span.bytes)
  }
}

extension Store {
  /// A type that a value can be read as: those that can be written, without the slices and spans.
  public protocol ByteDecodable: SendableMetatype {
    /// Makes a value of the bytes, which are valid only during the call.
    ///
    /// Where the bytes are not those of a value of this type, it throws an error with a code such as
    /// `invalidValue`. The caller adds the name of the store and the key to the message.
    init(copying bytes: RawSpan) throws(Store.Error)
  }
}

extension Array: Store.ByteDecodable where Element == UInt8 {
  /// Copies the bytes.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    self = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
  }
}

extension String: Store.ByteDecodable {
  /// Reads the bytes as UTF-8; throws `invalidText` if they are not.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    let text = unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    guard let text else {
      throw Store.Error(
        .invalidText, "the value (\(bytes.byteCount) bytes) is not UTF-8 text; get it as [UInt8] instead")
    }
    self = text
  }
}

extension StoreCore {
  /// Makes a value of the bytes that were found for `key`; nil if there were none. Errors get the
  /// name of the store and the key.
  func read<Value>(
    _ bytes: [UInt8]?, of key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    _ read: (RawSpan) throws(Store.Error) -> Value
  ) throws(Store.Error) -> Value? {
    guard let bytes else { return nil }
    return try unsafe self.read(bytes.span.bytes, of: key, read)
  }

  /// The same for bytes that are there.
  func read<Value>(
    _ bytes: RawSpan, of key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    _ read: (RawSpan) throws(Store.Error) -> Value
  ) throws(Store.Error) -> Value {
    do {
      return try read(bytes)
    } catch {
      throw key.withBytes { key in error.naming(name, key: key) }
    }
  }
}
