extension Store {
  /// The entries of a store whose keys begin with a prefix, with values of one type; see
  /// ``Store/view(_:of:)``.
  ///
  ///     let visits = store.view("visits/", of: Int.self)
  ///     try visits.put(7, forKey: "home")                              // the key "visits/home"
  ///     let home = try visits.get("home")                              // 7
  ///     try visits.update("home") { visits in visits = (visits ?? 0) + 1 }
  ///     for entry in visits {
  ///       let entry = try entry.get()
  ///       print(try entry.key(as: String.self), entry.value)           // home 8
  ///     }
  ///
  /// A view is a prefix and a type, and costs nothing to make. The same entries can be read and
  /// written through the store, with their whole keys. Each call costs and promises what the store's
  /// call does. A prefix that is not the beginning of another one, such as one that ends in a slash,
  /// keeps kinds of entries apart.
  public struct View<Value>: Sendable {
    /// The store that the entries are in.
    public let store: Store
    /// What the keys of the entries begin with.
    public let keyPrefix: [UInt8]
    private let encode: Encode
    fileprivate let decode: Decode

    /// Passes the bytes of a value to the closure it gets, or throws why it has none.
    package typealias Encode =
      @Sendable (Value, (RawSpan) throws(Store.Error) -> Void) throws(Store.Error) -> Void
    /// Makes a value of its bytes.
    package typealias Decode = @Sendable (RawSpan) throws(Store.Error) -> Value

    package init(
      _ store: Store, prefix: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      encode: @escaping Encode, decode: @escaping Decode
    ) {
      self.store = store
      keyPrefix = prefix.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } }
      self.encode = encode
      self.decode = decode
    }

    // MARK: Reading

    /// The value of `key`; nil if there is none. As ``Store/get(_:as:)``.
    public func get(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Value? {
      try withKey(key) { key throws(Store.Error) in try store.get(key, reading: decode) }
    }

    /// Whether there is a value for `key`. As ``Store/contains(_:)``.
    public func contains(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Bool {
      try withKey(key) { key throws(Store.Error) in try store.contains(key) }
    }

    /// How many entries there are. O(n), n being the entries of the whole store: all keys are looked
    /// at.
    ///
    /// - Throws: as ``Store/Cursor/nextKey()``.
    public var count: Int {
      get throws(Store.Error) {
        var cursor = entries.cursor
        var count = 0
        while try cursor.nextKey() != nil { count += 1 }
        return count
      }
    }

    // MARK: Writing

    /// Stores `value` for `key`. As `put` of the store.
    ///
    /// - Throws: as there; `invalidValue` if the value cannot be encoded.
    @discardableResult
    public func put(
      _ value: Value, forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
      durability: Store.Durability? = nil
    ) throws(Store.Error) -> Bool {
      try withKey(key) { key throws(Store.Error) in
        var isStored = false
        try withBytes(of: value, key) { bytes throws(Store.Error) in
          isStored = try store.put(
            bytes, forKey: key, if: condition, expires: expires, durability: durability)
        }
        return isStored
      }
    }

    /// Changes the value of `key` in one commit, which no other change comes between. Nil stands for
    /// absent, both ways.
    ///
    ///     try visits.update("home") { count in count = (count ?? 0) + 1 }
    ///
    /// The write lock is held while `body` runs: other writers wait, and calls of the store that
    /// write throw `reentrant` inside `body`.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - expires: when the new value expires; as the one that it replaces does if nil.
    ///   - durability: for this commit; the handle's if nil.
    ///   - body: changes the value; setting it to nil removes the key.
    /// - Returns: what `body` returned.
    /// - Throws: as `put` and `get`, and what `body` throws; nothing has changed then.
    @discardableResult
    public func update<R>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, expires: Store.Expiry? = nil,
      durability: Store.Durability? = nil, _ body: (inout Value?) throws -> R
    ) throws -> R {
      let key = withKey(key) { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } }
      return try store.transaction(durability: durability) { transaction in
        var value = try transaction.get(key, reading: decode)
        let result = try body(&value)
        if let value {
          try withBytes(of: value, unsafe key.span.bytes) { bytes throws(Store.Error) in
            try transaction.put(bytes, forKey: key, expires: try transaction.expiry(expires, ofKey: key))
          }
        } else {
          try transaction.remove(key)
        }
        return result
      }
    }

    /// Removes `key` and its value. As `remove` of the store.
    @discardableResult
    public func remove(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, durability: Store.Durability? = nil
    ) throws(Store.Error) -> Bool {
      try withKey(key) { key throws(Store.Error) in try store.remove(key, durability: durability) }
    }

    /// Removes all entries of the view, in commits of some hundred each. As
    /// ``Store/removeAll(durability:where:)``.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func removeAll(durability: Store.Durability? = nil) throws -> Int {
      try store.core.removeAll(withPrefix: keyPrefix, durability)
    }

    // MARK: Bytes

    /// The entries of the view with whole keys, and with values that have not been read yet.
    fileprivate var entries: Store.Entries { Store.Entries(store.core, prefix: keyPrefix) }

    /// Calls `body` with the whole key.
    func withKey<R, E: Swift.Error>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, _ body: (RawSpan) throws(E) -> R
    ) throws(E) -> R {
      try key.withBytes { key throws(E) in
        let count = keyPrefix.count + key.byteCount
        return try unsafe withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) {
          buffer throws(E) in
          unsafe buffer.copyBytes(from: keyPrefix)
          unsafe key.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[keyPrefix.count...]).copyMemory(from: $0)
          }
          return try body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer)))
        }
      }
    }

    /// Calls `body` with the bytes of `value`. If there are none, the error names the whole key.
    func withBytes(
      of value: Value, _ key: RawSpan, _ body: (RawSpan) throws(Store.Error) -> Void
    ) throws(Store.Error) {
      var isEncoded = false
      do {
        try encode(value) { bytes throws(Store.Error) in
          isEncoded = true
          try body(bytes)
        }
      } catch {
        throw isEncoded ? error : error.naming(store.name, key: key)
      }
    }
  }

  /// The entries whose keys begin with `prefix`, with values of a type that can be read and written.
  ///
  /// - Parameters:
  ///   - prefix: what the keys begin with; the view's keys are those without it.
  ///   - type: what the values are.
  public func view<Value: Store.ByteSource & Store.ByteDecodable>(
    _ prefix: borrowing some Store.ByteSource & ~Copyable & ~Escapable, of type: Value.Type
  ) -> Store.View<Value> {
    Store.View(
      self, prefix: prefix,
      encode: { value, body throws(Store.Error) in
        try value.withBytes { bytes throws(Store.Error) in try body(bytes) }
      },
      decode: { bytes throws(Store.Error) in try Value(copying: bytes) })
  }
}

/// Going through the entries of a view, as through those of a store; see ``Store/Entries``. An entry
/// whose value cannot be read is an error in its place, and the loop goes on.
extension Store.View: Sequence {
  /// An entry of a view.
  public struct Entry {
    /// The key's bytes, without the view's prefix.
    public let key: [UInt8]
    /// The value.
    public let value: Value
    /// The value's version, which rises with every put of the store.
    public let version: UInt64
    /// When the value expires.
    public let expiry: Store.Expiry

    /// The key as a `String`, a number or another ``Store/ByteDecodable``. Throws as
    /// ``Store/get(_:as:)``.
    public func key<Key: Store.ByteDecodable>(as type: Key.Type) throws(Store.Error) -> Key {
      try unsafe Key(copying: key.span.bytes)
    }
  }

  /// A position at the beginning of the view's entries.
  public func makeIterator() -> Iterator { Iterator(view: self, entries: entries.makeIterator()) }

  /// A position in a view.
  public struct Iterator: IteratorProtocol {
    fileprivate let view: Store.View<Value>
    fileprivate var entries: Store.Entries.Iterator

    /// The next entry, or the error met in its place; nil at the end.
    public mutating func next() -> Result<Entry, Store.Error>? {
      guard let next = entries.next() else { return nil }
      do throws(Store.Error) {
        let entry = try next.get()
        let value: Value
        do {
          value = try entry.value(reading: view.decode)
        } catch {
          throw error.naming(view.store.name)
        }
        return .success(
          Entry(
            key: Array(entry.key.dropFirst(view.keyPrefix.count)), value: value, version: entry.version,
            expiry: entry.expiry))
      } catch {
        return .failure(error)
      }
    }
  }
}

extension Store.View.Entry: Sendable where Value: Sendable {}
