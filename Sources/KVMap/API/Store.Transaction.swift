extension Store {
  /// Several changes that become one commit; see `Store.transaction`.
  ///
  /// Only for the thread and the closure it was passed to: it ends when the closure returns.
  @safe
  public struct Transaction: ~Copyable {
    private let open: UnsafeMutablePointer<OpenTransaction>

    init(_ open: UnsafeMutablePointer<OpenTransaction>) { unsafe self.open = open }

    /// The value of `key` with this transaction's changes; nil if there is none.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``.
    public func get(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> [UInt8]? {
      try key.withBytes { key throws(Store.Error) in try unsafe open.pointee.get(key) }
    }

    /// The value of `key` as a `String`, a number or another ``Store/ByteDecodable``, with this
    /// transaction's changes; nil if there is none.
    ///
    /// - Throws: as ``Store/get(_:as:)``.
    public func get<Value: Store.ByteDecodable>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type
    ) throws(Store.Error) -> Value? {
      try get(key, reading: Value.init(copying:))
    }

    /// The value of `key` as `read` makes it of the bytes; nil if there is none. Errors of `read`
    /// get the name of the store and the key.
    package func get<Value>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      reading read: (RawSpan) throws(Store.Error) -> Value
    ) throws(Store.Error) -> Value? {
      try unsafe open.pointee.core.read(try get(key), of: key, read)
    }

    /// What the store is called in messages: its path.
    package var name: String { unsafe open.pointee.core.name }

    /// Whether there is a value for `key`, with this transaction's changes.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``.
    public func contains(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Bool {
      try get(key) != nil
    }

    /// The value of `key` with its version and time of expiry, with this transaction's changes; nil if
    /// there is none.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``.
    public func entry(
      forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Store.Entry? {
      try key.withBytes { key throws(Store.Error) in try unsafe open.pointee.entry(key) }
    }

    /// When the value of `key` expires, with this transaction's changes; nil if there is no value.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``.
    public func expiry(
      ofKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Store.Expiry? {
      try key.withBytes { key throws(Store.Error) in try unsafe open.pointee.expiry(key) }
    }

    /// `given`, or if it is nil, when the present value expires.
    func expiry(_ given: Store.Expiry?, ofKey key: [UInt8]) throws(Store.Error) -> Store.Expiry {
      if let given { return given }
      return try expiry(ofKey: key) ?? .never
    }

    /// Stores `value` for `key` when the transaction commits. O(1), plus a copy of the value.
    ///
    /// - Returns: whether the condition, which sees this transaction's changes, was met.
    /// - Throws: as `put` of the store; if the error is caught, the
    ///   transaction goes on without the change.
    @discardableResult
    public func put(
      _ value: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      if condition: Store.PutCondition = .always, expires: Store.Expiry = .never
    ) throws(Store.Error) -> Bool {
      try key.withBytes { key throws(Store.Error) in
        try value.withBytes { value throws(Store.Error) in
          try unsafe open.pointee.put(key, value, condition, expires)
        }
      }
    }

    /// Removes `key` when the transaction commits. O(1).
    ///
    /// - Returns: whether it was there, with this transaction's changes.
    /// - Throws: as `remove` of the store; if the error is caught, the transaction goes on
    ///   without the change.
    @discardableResult
    public func remove(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Bool {
      try key.withBytes { key throws(Store.Error) in try unsafe open.pointee.remove(key) }
    }
  }
}
