/// Several changes that become one commit; see ``Store/transaction(durability:_:)``.
///
/// Used by the thread it was made for, inside the closure it was passed to.
@safe
public struct Transaction: ~Copyable {
  private let open: UnsafeMutablePointer<OpenTransaction>

  init(_ open: UnsafeMutablePointer<OpenTransaction>) { unsafe self.open = open }

  /// The value of `key` with this transaction's changes; nil if there is none.
  public func get(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> [UInt8]? {
    try key.withBytes { key throws(StoreError) in try unsafe open.pointee.get(key) }
  }

  /// The value of `key` as `Value`, with this transaction's changes.
  public func get<Value: ByteDecodable>(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, as type: Value.Type
  ) throws(StoreError) -> Value? {
    guard let bytes = try get(key) else { return nil }
    return try unsafe Value(copying: bytes.span.bytes)
  }

  /// Whether there is a value for `key`, with this transaction's changes.
  public func contains(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Bool {
    try get(key) != nil
  }

  /// Stores `value` for `key` when the transaction commits.
  ///
  /// - Returns: whether the condition, which sees this transaction's changes, was met.
  /// - Throws: as ``Store/put(_:forKey:if:expires:durability:)``; the transaction
  ///   goes on without the change if the error is caught.
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

  /// Removes `key` when the transaction commits.
  ///
  /// - Returns: whether it was there.
  @discardableResult
  public func remove(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in try unsafe open.pointee.remove(key) }
  }
}
