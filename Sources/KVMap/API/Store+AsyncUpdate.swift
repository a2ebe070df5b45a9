/// Changing values in tasks, as `Store+Async.swift` says for all writing in tasks.
extension Store {
  /// Adds to a number, without blocking the task's thread.
  ///
  /// - Returns: the sum.
  /// - Throws: as the `increment` that blocks; `CancellationError`.
  @discardableResult
  public func increment<Number: FixedWidthInteger & Store.ByteSource & Store.ByteDecodable & Sendable>(
    _ key: some Store.ByteSource, by amount: Number = Int(1), durability: Store.Durability? = nil
  ) async throws -> Number {
    let key = key.array
    return try await run { store in try store.increment(key, by: amount, durability: durability) }
  }

  /// Replaces a value if it is the expected one, without blocking the task's thread.
  ///
  /// - Returns: whether it was.
  /// - Throws: as the `compareAndSet` that blocks; `CancellationError`.
  @discardableResult
  public func compareAndSet<Value: Store.ByteSource>(
    _ key: some Store.ByteSource, expected: Value?, new: Value?, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) async throws -> Bool {
    let (key, expected, new) = (key.array, expected.map { $0.array }, new.map { $0.array })
    return try await run { store in
      try store.compareAndSet(key, expected: expected, new: new, expires: expires, durability: durability)
    }
  }

  /// Replaces a value and returns the one before, without blocking the task's thread.
  ///
  /// - Throws: as the `exchange` that blocks; `CancellationError`.
  @discardableResult
  public func exchange<Value: Store.ByteSource & Store.ByteDecodable & Sendable>(
    _ value: Value, forKey key: some Store.ByteSource, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) async throws -> Value? {
    let key = key.array
    return try await run { store in
      try store.exchange(value, forKey: key, expires: expires, durability: durability)
    }
  }

  /// Appends to a value, without blocking the task's thread.
  ///
  /// - Returns: how many bytes the value has now.
  /// - Throws: as the `append` that blocks; `CancellationError`.
  @discardableResult
  public func append(
    _ bytes: some Store.ByteSource, toKey key: some Store.ByteSource, durability: Store.Durability? = nil
  ) async throws -> Int {
    let (key, bytes) = (key.array, bytes.array)
    return try await run { store in try store.append(bytes, toKey: key, durability: durability) }
  }

  /// Changes a value in one commit, without blocking the task's thread. `body` runs on a thread of
  /// the store, so it must not wait for other tasks.
  ///
  /// - Returns: what `body` returned.
  /// - Throws: as the `update` that blocks; `CancellationError`.
  @discardableResult
  public func update(
    _ key: some Store.ByteSource, expires: Store.Expiry? = nil, durability: Store.Durability? = nil,
    _ body: @escaping @Sendable ([UInt8]?) throws -> [UInt8]?
  ) async throws -> [UInt8]? {
    try await update(key, as: [UInt8].self, expires: expires, durability: durability, body)
  }

  /// Changes a value of a type in one commit, without blocking the task's thread. `body` runs on a
  /// thread of the store, so it must not wait for other tasks.
  ///
  /// - Returns: what `body` returned.
  /// - Throws: as the `update` that blocks; `CancellationError`.
  @discardableResult
  public func update<Value: Store.ByteSource & Store.ByteDecodable & Sendable>(
    _ key: some Store.ByteSource, as type: Value.Type, expires: Store.Expiry? = nil,
    durability: Store.Durability? = nil, _ body: @escaping @Sendable (Value?) throws -> Value?
  ) async throws -> Value? {
    let key = key.array
    return try await run { store in
      try store.update(key, as: Value.self, expires: expires, durability: durability, body)
    }
  }

  /// Sets when a value expires, without blocking the task's thread.
  ///
  /// - Returns: whether there is one.
  /// - Throws: as the `setExpiry` that blocks; `CancellationError`.
  @discardableResult
  public func setExpiry(
    _ expiry: Store.Expiry, forKey key: some Store.ByteSource, durability: Store.Durability? = nil
  ) async throws -> Bool {
    let key = key.array
    return try await run { store in try store.setExpiry(expiry, forKey: key, durability: durability) }
  }

  /// Removes all entries, without blocking the task's thread.
  ///
  /// - Returns: how many there were.
  /// - Throws: as the `removeAll` that blocks; `CancellationError`.
  @discardableResult
  public func removeAll(durability: Store.Durability? = nil) async throws -> Int {
    try await runApart { try self.removeAll(durability: durability) }
  }
}

/// Changing values of a view in tasks.
extension Store.View {
  /// Stores `value` for `key`, without blocking the task's thread.
  ///
  /// - Returns: whether the condition was met and the value is stored.
  /// - Throws: as the `put` that blocks; `CancellationError`.
  @discardableResult
  public func put(
    _ value: Value, forKey key: some Store.ByteSource, if condition: Store.PutCondition = .always,
    expires: Store.Expiry = .never, durability: Store.Durability? = nil
  ) async throws -> Bool {
    let key = withKey(key) { $0.copy }
    var bytes: [UInt8] = []
    try unsafe withBytes(of: value, key.span.bytes) { bytes = $0.copy }
    return try await store.core.putByTask(key, bytes, condition, expires, durability)
  }

  /// Changes the value of `key` in one commit, without blocking the task's thread. `body` runs on a
  /// thread of the store, so it must not wait for other tasks.
  ///
  /// - Returns: what `body` returned.
  /// - Throws: as the `update` that blocks; `CancellationError`.
  @discardableResult
  public func update<R: Sendable>(
    _ key: some Store.ByteSource, expires: Store.Expiry? = nil, durability: Store.Durability? = nil,
    _ body: @escaping @Sendable (inout Value?) throws -> R
  ) async throws -> R {
    let key = key.array
    return try await store.run { [self] _ in
      try update(key, expires: expires, durability: durability, body)
    }
  }

  /// Removes `key` and its value, without blocking the task's thread.
  ///
  /// - Returns: whether it was there.
  /// - Throws: as the `remove` that blocks; `CancellationError`.
  @discardableResult
  public func remove(_ key: some Store.ByteSource, durability: Store.Durability? = nil) async throws -> Bool {
    try await store.core.removeByTask(withKey(key) { $0.copy }, durability)
  }

  /// Removes all entries of the view, without blocking the task's thread.
  ///
  /// - Returns: how many there were.
  /// - Throws: as the `removeAll` that blocks; `CancellationError`.
  @discardableResult
  public func removeAll(durability: Store.Durability? = nil) async throws -> Int {
    try await runApart { [self] in try removeAll(durability: durability) }
  }
}

extension RawSpan {
  /// The bytes, in an array that can be kept.
  var copy: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

extension Store.ByteSource {
  /// The bytes, in an array that can be kept.
  var array: [UInt8] { withBytes { $0.copy } }
}
