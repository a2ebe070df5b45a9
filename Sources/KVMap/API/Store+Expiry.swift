/// When values expire.
extension Store {
  /// When the value of `key` expires; nil if there is no value. O(1).
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``.
  public func expiry(
    ofKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) throws(Store.Error) -> Store.Expiry? {
    try key.withBytes { key throws(Store.Error) in try core.expiry(key) }
  }

  /// Sets when the value of `key` expires; with `.never` it does not.
  ///
  /// One commit, which waits as a put does. The value is written again, with a new version: O(its
  /// length). A time that has passed makes the key absent at once.
  ///
  /// - Returns: whether the key has a value.
  /// - Throws: as `put`.
  @discardableResult
  public func setExpiry(
    _ expiry: Store.Expiry, forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool {
    try key.withBytes { key throws(Store.Error) in try core.setExpiry(expiry, key, durability) }
  }
}

extension StoreCore {
  func expiry(_ key: RawSpan) throws(Store.Error) -> Store.Expiry? {
    let hash = KeyHash(key, seed: source.seed)
    return try read { memory throws(Store.Error) -> Store.Expiry? in
      guard let match = try find(key, hash, in: memory) else { return nil }
      try match.record(memory).verify()
      return match.record(memory).storedExpiry
    }
  }

  func setExpiry(
    _ expiry: Store.Expiry, _ key: RawSpan, _ durability: Store.Durability?
  ) throws(Store.Error) -> Bool {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: source.seed)
    let request = request(.always, expiry, durability)
    return try commit(isDurable: request.isDurable) { (writer: inout Writer) throws(Store.Error) in
      guard let match = try writer.current(hash, key) else { return false }
      // Nothing that the index points to is reused while this handle has the write lock.
      let memory = writer.memory
      let range = try match.record(memory).value()
      return try writer.put(key, hash, memory.bytes.span(range.lowerBound, count: range.count), request)
    }
  }
}
