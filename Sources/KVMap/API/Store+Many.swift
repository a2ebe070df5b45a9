/// Reading and changing many keys at once.
extension Store {
  /// The values of `keys`, in their order; nil where there is none.
  ///
  /// Each is read as by ``get(_:)``, but their cache misses overlap. The values need not be of one
  /// moment, if others write meanwhile; for that, read them from a ``snapshot()``.
  ///
  /// - Throws: as ``get(_:)``.
  @inlinable
  public func get<Key: ByteSource>(_ keys: some Sequence<Key>) throws(StoreError) -> [[UInt8]?] {
    let keys = Array(keys)
    return try get(many: keys.count) { number, body throws(StoreError) in
      try keys[number].withBytes { key throws(StoreError) in try body(key, RawSpan()) }
    }
  }

  @usableFromInline
  func get(many count: Int, _ withPair: WithPair) throws(StoreError) -> [[UInt8]?] {
    var values: [[UInt8]?] = []
    values.reserveCapacity(count)
    for first in stride(from: 0, to: count, by: StoreCore.mostAtOnce) {
      try core.get(first..<min(first + StoreCore.mostAtOnce, count), withPair, &values)
    }
    return values
  }

  /// Stores many values in one commit: all of them, or none if this throws. Of several for the same
  /// key the last counts.
  ///
  /// Faster than single calls of ``put(_:forKey:if:expires:durability:)``: the cache misses of the
  /// keys overlap, and there is one commit. Other writers wait until it is done, so take some
  /// thousands at a time.
  ///
  /// - Throws: as ``transaction(durability:_:)``.
  @inlinable
  public func put<Key: ByteSource, Value: ByteSource>(
    contentsOf pairs: some Sequence<(Key, Value)>, durability: Durability? = nil
  ) throws {
    let pairs = Array(pairs)
    try put(many: pairs.count, durability) { number, body throws(StoreError) in
      let (key, value) = pairs[number]
      try key.withBytes { key throws(StoreError) in
        try value.withBytes { value throws(StoreError) in try body(key, value) }
      }
    }
  }

  /// Stores the values of a dictionary in one commit. As ``put(contentsOf:durability:)``.
  @inlinable
  public func put<Key: ByteSource & Hashable, Value: ByteSource>(
    contentsOf dictionary: [Key: Value], durability: Durability? = nil
  ) throws {
    try put(contentsOf: dictionary.lazy.map { ($0.key, $0.value) }, durability: durability)
  }

  /// Removes many keys in one commit: all of them, or none if this throws.
  ///
  /// - Returns: how many were there.
  /// - Throws: as ``transaction(durability:_:)``.
  @inlinable
  @discardableResult
  public func remove<Key: ByteSource>(
    contentsOf keys: some Sequence<Key>, durability: Durability? = nil
  ) throws -> Int {
    let keys = Array(keys)
    return try remove(many: keys.count, durability) { number, body throws(StoreError) in
      try keys[number].withBytes { key throws(StoreError) in try body(key, RawSpan()) }
    }
  }

  /// Calls the closure that it gets with a key, and the value that goes with it.
  @usableFromInline
  typealias WithPair = (
    _ number: Int, (_ key: RawSpan, _ value: RawSpan) throws(StoreError) -> Void
  ) throws(StoreError) -> Void

  @usableFromInline
  func put(many count: Int, _ durability: Durability?, _ withPair: WithPair) throws {
    _ = try core.change(.put, count, durability, withPair)
  }

  @usableFromInline
  func remove(many count: Int, _ durability: Durability?, _ withPair: WithPair) throws -> Int {
    try core.change(.delete, count, durability, withPair)
  }
}
