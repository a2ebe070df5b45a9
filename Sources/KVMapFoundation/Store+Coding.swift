public import KVMap

/// Storing and reading `Codable` values, such as those of this type:
///
///     struct Session: Codable { var user: String; var visits: Int }
extension Store {
  /// Stores `value` for `key`, encoded as `coding` says.
  ///
  ///     let session = Session(user: "anna", visits: 1)
  ///     try store.put(session, forKey: "session/1", as: .json, expires: .after(.seconds(1_800)))
  ///
  /// - Returns: whether the condition was met and the value is stored.
  /// - Throws: as `put` without a coding; `invalidValue` if the value cannot be encoded. The message
  ///   names the key.
  @discardableResult
  public func put<Value: Encodable>(
    _ value: Value, forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    as coding: Store.Coding, if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool {
    try put(
      coding.bytes(of: value, key, name), forKey: key, if: condition, expires: expires,
      durability: durability)
  }

  /// Stores `value` for `key`, encoded as `coding` says, without blocking the task's thread.
  ///
  /// - Returns: whether the condition was met and the value is stored.
  /// - Throws: as the `put` that blocks; `CancellationError`.
  @discardableResult
  public func put<Value: Encodable>(
    _ value: Value, forKey key: some Store.ByteSource, as coding: Store.Coding,
    if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) async throws -> Bool {
    try await put(
      coding.bytes(of: value, key, name), forKey: key, if: condition, expires: expires,
      durability: durability)
  }

  /// The value of `key`, decoded as `coding` says; nil if there is none.
  ///
  ///     let session = try store.get("session/1", as: Session.self, from: .json)
  ///
  /// - Throws: as `get` without a coding; `invalidValue` if the value cannot be decoded. The message
  ///   names the key, the type, and what is missing or wrong.
  public func get<Value: Decodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type = Value.self,
    from coding: Store.Coding
  ) throws(Store.Error) -> Value? {
    try get(key) { bytes throws(Store.Error) in try coding.value(type, of: bytes) }
  }

  /// The entries whose keys begin with `prefix`, with `Codable` values.
  ///
  ///     let sessions = store.view("session/", of: Session.self)
  ///     try sessions.put(Session(user: "anna", visits: 1), forKey: "1")
  ///     try sessions.update("1") { session in session?.visits += 1 }
  ///
  /// A type that also is a `Store.ByteSource` and a `Store.ByteDecodable`, such as
  /// `Int` and `String`, is stored as those say unless a coding is given. The type's conformance to
  /// `Codable` must not be bound to an actor: in a module that is isolated to the main actor by default,
  /// write `nonisolated struct Session: Codable`.
  ///
  /// - Parameters:
  ///   - prefix: what the keys begin with; the view's keys are those without it.
  ///   - type: what the values are.
  ///   - coding: how they are stored.
  public func view<Value: Codable & SendableMetatype>(
    _ prefix: borrowing some Store.ByteSource & ~Copyable & ~Escapable, of type: Value.Type,
    as coding: Store.Coding = .json
  ) -> Store.View<Value> {
    Store.View(
      self, prefix: prefix,
      encode: { value, body throws(Store.Error) in
        try coding.bytes(of: value).withBytes { bytes throws(Store.Error) in try body(bytes) }
      },
      decode: { bytes throws(Store.Error) in try coding.value(of: bytes) })
  }
}

extension Store.Snapshot {
  /// The value of `key`, decoded as `coding` says; nil if there was none. As
  /// ``KVMap/Store/get(_:as:from:)``.
  public func get<Value: Decodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type = Value.self,
    from coding: Store.Coding
  ) throws(Store.Error) -> Value? {
    try get(key) { bytes throws(Store.Error) in try coding.value(type, of: bytes) }
  }
}

extension Store.Transaction {
  /// Stores `value` for `key`, encoded as `coding` says, when the transaction commits. As
  /// `put` of the store.
  @discardableResult
  public func put<Value: Encodable>(
    _ value: Value, forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    as coding: Store.Coding, if condition: Store.PutCondition = .always, expires: Store.Expiry = .never
  ) throws(Store.Error) -> Bool {
    try put(coding.bytes(of: value, key, name), forKey: key, if: condition, expires: expires)
  }

  /// The value of `key`, decoded as `coding` says, with this transaction's changes; nil if there is
  /// none. As ``KVMap/Store/get(_:as:from:)``.
  public func get<Value: Decodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type = Value.self,
    from coding: Store.Coding
  ) throws(Store.Error) -> Value? {
    try get(key) { bytes throws(Store.Error) in try coding.value(type, of: bytes) }
  }
}

extension Store.Entry {
  /// The value, decoded as `coding` says. Throws as ``KVMap/Store/get(_:as:from:)``.
  public func value<Value: Decodable>(
    as type: Value.Type = Value.self, from coding: Store.Coding
  ) throws(Store.Error) -> Value {
    try value { bytes throws(Store.Error) in try coding.value(type, of: bytes) }
  }
}

extension Store.Change {
  /// The value that was put, decoded as `coding` says; nil if there is none. Throws as
  /// ``KVMap/Store/get(_:as:from:)``.
  public func value<Value: Decodable>(
    as type: Value.Type = Value.self, from coding: Store.Coding
  ) throws(Store.Error) -> Value? {
    try value { bytes throws(Store.Error) in try coding.value(type, of: bytes) }
  }
}

extension Store.Coding {
  /// The bytes of `value`. If there are none, the error names the store and the key.
  fileprivate func bytes(
    of value: some Encodable, _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    _ store: String
  ) throws(Store.Error) -> any Store.ByteSource {
    do {
      return try bytes(of: value)
    } catch {
      throw key.withBytes { key in error.naming(store, key: key) }
    }
  }
}
