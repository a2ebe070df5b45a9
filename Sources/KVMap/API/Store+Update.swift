/// Reading and writing in one step: what is decided from a value still holds when it is stored,
/// whatever other threads and processes do. Each call that writes is one commit, and waits for the
/// write lock as a put does.
extension Store {
  /// Adds to a number, which is stored as decimal digits; an absent key counts as 0.
  ///
  ///     let visits = try store.increment("visits")
  ///     try store.increment("bytes", by: UInt64(500))
  ///
  /// The type of `amount` says which numbers are possible. The value keeps its time of expiry. O(1).
  ///
  /// - Returns: the sum.
  /// - Throws: as `put`; `notANumber` if the value is not a whole number of this type, or the sum
  ///   would not be.
  @discardableResult
  public func increment<Number: FixedWidthInteger & Store.ByteSource & Store.ByteDecodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, by amount: Number = Int(1),
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Number {
    try key.withBytes { key throws(Store.Error) in
      try core.update(key, durability) { old, set throws(Store.Error) in
        var number: Number = 0
        if let old { number = try core.read(old, of: key, Number.init(copying:)) }
        let (sum, overflow) = number.addingReportingOverflow(amount)
        if overflow {
          throw Store.Error(
            .notANumber, "the sum of \(number) and \(amount) does not fit into \(Number.self)"
          ).naming(name, key: key)
        }
        try sum.withBytes { sum throws(Store.Error) in try set(sum) }
        return sum
      }
    }
  }

  /// Stores `new` if the value is `expected`. Nil stands for absent: with `expected` nil the key
  /// must be absent, with `new` nil it is removed. O(length of the values).
  ///
  ///     let isMine = try store.compareAndSet("job", expected: "waiting", new: "running")
  ///
  /// To compare the version instead, see ``Store/PutCondition/version(_:)``.
  ///
  /// - Returns: whether the value was `expected` and is `new` now.
  /// - Throws: as `put`.
  @discardableResult
  public func compareAndSet<Value: Store.ByteSource>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, expected: Value?, new: Value?,
    expires: Store.Expiry = .never, durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool {
    try key.withBytes { key throws(Store.Error) in
      try Self.withBytes(expected) { expected throws(Store.Error) in
        try Self.withBytes(new) { new throws(Store.Error) in
          try core.update(key, durability, expires: expires) { old, set throws(Store.Error) in
            guard Self.areEqual(old, expected) else { return false }
            try set(new)
            return true
          }
        }
      }
    }
  }

  /// Calls `body` with the bytes of `value`; with nil for nil.
  private static func withBytes<R>(
    _ value: (some Store.ByteSource)?, _ body: (RawSpan?) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    guard let value else { return try body(nil) }
    return try value.withBytes { bytes throws(Store.Error) in try body(bytes) }
  }

  private static func areEqual(_ one: RawSpan?, _ other: RawSpan?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    return unsafe one.withUnsafeBytes { one in
      unsafe other.withUnsafeBytes { other in unsafe one.elementsEqual(other) }
    }
  }

  /// Stores `value` and returns the value that it replaces; nil if there was none. O(length of
  /// both).
  ///
  ///     let before = try store.exchange("closed", forKey: "state")   // String?
  ///
  /// - Throws: as `put`; as ``get(_:as:)`` if the value that is there cannot be read as `Value`:
  ///   nothing is stored then.
  @discardableResult
  public func exchange<Value: Store.ByteSource & Store.ByteDecodable>(
    _ value: Value, forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    expires: Store.Expiry = .never, durability: Store.Durability? = nil
  ) throws(Store.Error) -> Value? {
    try key.withBytes { key throws(Store.Error) in
      try value.withBytes { value throws(Store.Error) in
        try core.update(key, durability, expires: expires) { old, set throws(Store.Error) in
          var before: Value?
          if let old { before = try core.read(old, of: key, Value.init(copying:)) }
          try set(value)
          return before
        }
      }
    }
  }

  /// Appends `bytes` to the value; an absent key counts as empty.
  ///
  /// The value is written again: O(its length). It keeps its time of expiry.
  ///
  /// - Returns: the value's length now, in bytes.
  /// - Throws: as `put`.
  @discardableResult
  public func append(
    _ bytes: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    toKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Int {
    try key.withBytes { key throws(Store.Error) in
      try bytes.withBytes { bytes throws(Store.Error) in
        try core.update(key, durability) { old, set throws(Store.Error) in
          guard let old else {
            try set(bytes)
            return bytes.byteCount
          }
          var new: [UInt8] = []
          new.reserveCapacity(old.byteCount + bytes.byteCount)
          unsafe old.withUnsafeBytes { unsafe new.append(contentsOf: $0) }
          unsafe bytes.withUnsafeBytes { unsafe new.append(contentsOf: $0) }
          try unsafe set(new.span.bytes)
          return new.count
        }
      }
    }
  }

  /// Replaces the value of `key` by what `body` makes of it. Nil stands for absent, both ways.
  ///
  /// The write lock is held while `body` runs: other writers wait, and calls of the store that
  /// write throw `reentrant` inside `body`.
  ///
  /// - Parameters:
  ///   - key: the key.
  ///   - expires: when the new value expires; as the one that it replaces does if nil.
  ///   - durability: for this commit; the handle's if nil.
  ///   - body: makes the new value of the present one.
  /// - Returns: what `body` returned.
  /// - Throws: as `put`, and what `body` throws; nothing has changed then.
  @discardableResult
  public func update(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, expires: Store.Expiry? = nil,
    durability: Store.Durability? = nil, _ body: ([UInt8]?) throws -> [UInt8]?
  ) throws -> [UInt8]? {
    try update(key, as: [UInt8].self, expires: expires, durability: durability, body)
  }

  /// Replaces the value of `key` by what `body` makes of it, as `update` without a type,
  /// with values of a type that can be read and written.
  ///
  ///     try store.update("highest", as: Int.self) { max($0 ?? 0, 300) }
  ///
  /// - Throws: as `put` and ``get(_:as:)``, and what `body` throws; nothing has changed then.
  @discardableResult
  public func update<Value: Store.ByteSource & Store.ByteDecodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type,
    expires: Store.Expiry? = nil, durability: Store.Durability? = nil,
    _ body: (Value?) throws -> Value?
  ) throws -> Value? {
    let key = key.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } }
    return try transaction(durability: durability) { transaction in
      let new = try body(try transaction.get(key, as: type))
      if let new {
        try transaction.put(new, forKey: key, expires: try transaction.expiry(expires, ofKey: key))
      } else {
        try transaction.remove(key)
      }
      return new
    }
  }

  /// The value of `key` with its version and time of expiry; nil if there is none.
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``.
  public func entry(
    forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) throws(Store.Error) -> Store.Entry? {
    try key.withBytes { key throws(Store.Error) in try core.entry(key) }
  }
}

extension StoreCore {
  /// Makes one commit that depends on the present value. If `expires` is nil, the value keeps its
  /// time of expiry.
  ///
  /// - Parameter body: gets the value where it lies, nil if there is none, and `set`, which it calls
  ///   at most once, with the new value, or with nil to remove the key.
  func update<R>(
    _ key: RawSpan, _ durability: Store.Durability?, expires: Store.Expiry? = nil,
    _ body: (
      _ old: RawSpan?, _ set: (RawSpan?) throws(Store.Error) -> Void
    ) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: source.seed)
    var request = request(.always, expires ?? .never, durability)
    return try commit(isDurable: request.isDurable) { (writer: inout Writer) throws(Store.Error) in
      let match = try writer.current(hash, key)
      // Nothing that the index points to is reused while this handle has the write lock.
      let memory = writer.memory
      var old: RawSpan?
      if let match {
        let range = try match.record(memory).value()
        old = memory.bytes.span(range.lowerBound, count: range.count)
        if expires == nil { request.expiry = match.record(memory).expiry }
      }
      var isSet = false
      let result = try body(old) { new throws(Store.Error) in
        // What `body` has decided from a page that was lost must not be stored.
        try checkNotLost()
        isSet = true
        if let new {
          try checkWritable(key, new)
          _ = try writer.put(key, hash, new, request)
        } else {
          _ = try writer.remove(key, hash, isDurable: request.isDurable)
        }
      }
      if !isSet, request.isDurable, writer.group == nil { try writer.log.sync(upTo: writer.log.tail) }
      return result
    }
  }
}
