/// Reading and writing in one step: what is decided from a value still holds when it is stored,
/// whatever other threads and processes do. Each call that writes is one commit, and waits for the
/// write lock as a put does.
extension Store {
  /// Adds to a number, which is stored as decimal digits; an absent key counts as 0.
  ///
  /// The value keeps its time of expiry. O(1).
  ///
  /// - Returns: the sum.
  /// - Throws: as `put`; `notANumber` if the value is not a whole number of 64 bits, or the sum
  ///   would not be.
  @discardableResult
  public func increment(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, by amount: Int64 = 1,
    durability: Durability? = nil
  ) throws(StoreError) -> Int64 {
    try key.withBytes { key throws(StoreError) in
      try core.update(key, durability) { old throws(StoreError) in
        let number = try Self.number(old, core.name)
        let (sum, overflow) = number.addingReportingOverflow(amount)
        if overflow {
          throw StoreError(
            .notANumber, "\(core.name): the sum of \(number) and \(amount) does not fit into 64 bits")
        }
        return (.put(Array(String(sum).utf8)), sum)
      }
    }
  }

  private static func number(_ bytes: [UInt8]?, _ name: String) throws(StoreError) -> Int64 {
    guard let bytes else { return 0 }
    if let text = String(validating: bytes, as: UTF8.self), let number = Int64(text) { return number }
    throw StoreError(.notANumber, "\(name): the value is not a whole number in decimal digits")
  }

  /// Stores `new` if the value is `expected`. Nil stands for absent: with `expected` nil the key
  /// must be absent, with `new` nil it is removed. O(length of the values).
  ///
  /// To compare the version instead, see ``PutCondition/version(_:)``.
  ///
  /// - Returns: whether the value was `expected` and is `new` now.
  /// - Throws: as `put`.
  @discardableResult
  public func compareAndSet(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, expected: [UInt8]?, new: [UInt8]?,
    expires: Expiry = .never, durability: Durability? = nil
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in
      try core.update(key, durability, expires: expires) { old throws(StoreError) in
        guard old == expected else { return (.keep, false) }
        return (new.map { .put($0) } ?? .remove, true)
      }
    }
  }

  /// Stores `value` and returns the value that it replaces; nil if there was none. O(length of
  /// both).
  ///
  /// - Throws: as `put`.
  @discardableResult
  public func exchange(
    _ value: [UInt8], forKey key: borrowing some ByteSource & ~Copyable & ~Escapable,
    expires: Expiry = .never, durability: Durability? = nil
  ) throws(StoreError) -> [UInt8]? {
    try key.withBytes { key throws(StoreError) in
      try core.update(key, durability, expires: expires) { old throws(StoreError) in (.put(value), old) }
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
    _ bytes: [UInt8], toKey key: borrowing some ByteSource & ~Copyable & ~Escapable,
    durability: Durability? = nil
  ) throws(StoreError) -> Int {
    try key.withBytes { key throws(StoreError) in
      try core.update(key, durability) { old throws(StoreError) in
        let new = (old ?? []) + bytes
        return (.put(new), new.count)
      }
    }
  }

  /// Replaces the value of `key` by what `body` makes of it. Nil stands for absent, both ways. The
  /// new value does not expire.
  ///
  /// The write lock is held while `body` runs: other writers wait, and calls of the store that
  /// write throw `reentrant` inside `body`.
  ///
  /// - Returns: what `body` returned.
  /// - Throws: as `put`, and what `body` throws; nothing has changed then.
  @discardableResult
  public func update(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, durability: Durability? = nil,
    _ body: ([UInt8]?) throws -> [UInt8]?
  ) throws -> [UInt8]? {
    let key = key.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } }
    return try transaction(durability: durability) { transaction in
      let new = try body(try transaction.get(key))
      if let new { try transaction.put(new, forKey: key) } else { try transaction.remove(key) }
      return new
    }
  }

  /// The value of `key` with its version and time of expiry; nil if there is none.
  ///
  /// - Throws: as ``get(_:)``.
  public func entry(
    forKey key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Entry? {
    try key.withBytes { key throws(StoreError) in try core.entry(key) }
  }
}

extension StoreCore {
  /// What is to happen to a value.
  enum Change {
    case keep
    case put([UInt8])
    case remove
  }

  /// Makes one commit that depends on the present value. If `expires` is nil, the value keeps its
  /// time of expiry.
  func update<R>(
    _ key: RawSpan, _ durability: Durability?, expires: Expiry? = nil,
    _ body: ([UInt8]?) throws(StoreError) -> (Change, R)
  ) throws(StoreError) -> R {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: source.seed)
    var request = request(.always, expires ?? .never, durability)
    return try commit(isDurable: request.isDurable) { (writer: inout Writer) throws(StoreError) in
      let match = try writer.current(hash, key)
      var old: [UInt8]?
      if let match {
        // Nothing that the index points to is reused while this handle has the write lock.
        let memory = writer.memory
        let range = try match.record(memory).value()
        old = memory.bytes.array(range.lowerBound, count: range.count)
        try checkNotLost()
        if expires == nil { request.expiry = match.record(memory).expiry }
      }
      let (change, result) = try body(old)
      switch change {
      case .keep:
        if request.isDurable, writer.group == nil { try writer.log.sync(upTo: writer.log.tail) }
      case .put(let new):
        try checkWritable(key, unsafe new.span.bytes)
        _ = try unsafe writer.put(key, hash, new.span.bytes, request)
      case .remove:
        _ = try writer.remove(key, hash, isDurable: request.isDurable)
      }
      return result
    }
  }
}
