/// What to do where a key or a value is of a type that the store does not know. The compiler
/// chooses these only when nothing else fits.
extension Store {
  /// Explains what a key and a value can be.
  @available(
    *, unavailable,
    message:
      "a key or value must conform to Store.ByteSource; for Data, import KVMapFoundation; for Codable values, too, and add 'as: .json'"
  )
  @discardableResult
  public func put<Value, Key>(
    _ value: Value, forKey key: Key,
    if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool { fatalError() }

  /// Explains what a key can be.
  @available(
    *, unavailable, message: "a key must conform to Store.ByteSource; for Data, import KVMapFoundation"
  )
  public func get<Key>(_ key: Key) throws(Store.Error) -> [UInt8]? { fatalError() }

  /// Explains what a key can be, and what a value can be read as.
  @available(
    *, unavailable,
    message:
      "a key must conform to Store.ByteSource, and what is read to Store.ByteDecodable; for Data, import KVMapFoundation; for Codable values, too, and add 'from: .json'"
  )
  public func get<Value, Key>(_ key: Key, as type: Value.Type) throws(Store.Error) -> Value? { fatalError() }

  /// Explains what a key can be.
  @available(
    *, unavailable, message: "a key must conform to Store.ByteSource; for Data, import KVMapFoundation"
  )
  public func contains<Key>(_ key: Key) throws(Store.Error) -> Bool { fatalError() }

  /// Explains what a key can be.
  @available(
    *, unavailable, message: "a key must conform to Store.ByteSource; for Data, import KVMapFoundation"
  )
  @discardableResult
  public func remove<Key>(_ key: Key, durability: Store.Durability? = nil) throws(Store.Error) -> Bool {
    fatalError()
  }
}
