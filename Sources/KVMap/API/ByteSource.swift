/// A type that can be a key or a value: one whose bytes lie in one piece.
///
/// `String` (as UTF-8), `Substring`, `[UInt8]` and its relatives, `RawSpan` and `Span<UInt8>`; with
/// the module `KVMapFoundation` also `Data`.
public protocol ByteSource: ~Copyable, ~Escapable {
  /// Calls `body` with the bytes; they are valid during the call.
  borrowing func withBytes<R: ~Copyable, E: Error>(
    _ body: (RawSpan) throws(E) -> R
  ) throws(E) -> R
}

extension RawSpan: ByteSource {
  /// Calls `body` with the span itself.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(self)
  }
}

extension Span: ByteSource where Element == UInt8 {
  /// Calls `body` with the bytes of the span.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(bytes)
  }
}

extension Array: ByteSource where Element == UInt8 {
  /// Calls `body` with the array's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension ArraySlice: ByteSource where Element == UInt8 {
  /// Calls `body` with the slice's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension ContiguousArray: ByteSource where Element == UInt8 {
  /// Calls `body` with the array's bytes.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(span.bytes)
  }
}

extension String: ByteSource {
  /// Calls `body` with the string's UTF-8.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(utf8.span.bytes)
  }
}

extension Substring: ByteSource {
  /// Calls `body` with the substring's UTF-8.
  @inlinable
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(utf8.span.bytes)
  }
}

/// A type that a value can be read as.
public protocol ByteDecodable {
  /// Makes a value of the bytes, which are valid only during the call.
  init(copying bytes: RawSpan) throws(StoreError)
}

extension Array: ByteDecodable where Element == UInt8 {
  /// Copies the bytes.
  public init(copying bytes: RawSpan) throws(StoreError) {
    self = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
  }
}

extension String: ByteDecodable {
  /// Reads the bytes as UTF-8; throws `invalidText` if they are not.
  public init(copying bytes: RawSpan) throws(StoreError) {
    let text = unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    guard let text else {
      throw StoreError(
        .invalidText, "the value (\(bytes.byteCount) bytes) is not UTF-8 text; get it as [UInt8] instead")
    }
    self = text
  }
}
