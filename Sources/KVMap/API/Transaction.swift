/// Several changes that become one commit; see ``Store/transaction(durability:_:)``.
///
/// Only for the thread and the closure it was passed to: it ends when the closure returns.
@safe
public struct Transaction: ~Copyable {
  private let open: UnsafeMutablePointer<OpenTransaction>

  init(_ open: UnsafeMutablePointer<OpenTransaction>) { unsafe self.open = open }

  /// The value of `key` with this transaction's changes; nil if there is none.
  ///
  /// - Throws: as ``Store/get(_:)``.
  public func get(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> [UInt8]? {
    try key.withBytes { key throws(StoreError) in try unsafe open.pointee.get(key) }
  }

  /// The value of `key` as `Value`, with this transaction's changes; nil if there is none.
  ///
  /// - Throws: as ``Store/get(_:as:)``.
  public func get<Value: ByteDecodable>(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, as type: Value.Type
  ) throws(StoreError) -> Value? {
    guard let bytes = try get(key) else { return nil }
    return try unsafe Value(copying: bytes.span.bytes)
  }

  /// Whether there is a value for `key`, with this transaction's changes.
  ///
  /// - Throws: as ``Store/get(_:)``.
  public func contains(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Bool {
    try get(key) != nil
  }

  /// Stores `value` for `key` when the transaction commits. O(1), plus a copy of the value.
  ///
  /// - Returns: whether the condition, which sees this transaction's changes, was met.
  /// - Throws: as ``Store/put(_:forKey:if:expires:durability:)``; if the error is caught, the
  ///   transaction goes on without the change.
  @discardableResult
  public func put(
    _ value: borrowing some ByteSource & ~Copyable & ~Escapable,
    forKey key: borrowing some ByteSource & ~Copyable & ~Escapable,
    if condition: PutCondition = .always, expires: Expiry = .never
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in
      try value.withBytes { value throws(StoreError) in
        try unsafe open.pointee.put(key, value, condition, expires)
      }
    }
  }

  /// Removes `key` when the transaction commits. O(1).
  ///
  /// - Returns: whether it was there, with this transaction's changes.
  /// - Throws: as ``Store/remove(_:durability:)``; if the error is caught, the transaction goes on
  ///   without the change.
  @discardableResult
  public func remove(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in try unsafe open.pointee.remove(key) }
  }
}
