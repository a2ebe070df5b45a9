/// Reading and changing many keys at once.
extension Store {
  /// The values of `keys`, in their order; nil where there is none.
  ///
  /// Each is read as by ``get(_:)->[UInt8]?``, but their cache misses overlap. The values need not be of one
  /// moment, if others write meanwhile; for that, read them from a ``snapshot()``.
  ///
  /// An array literal of numbers is one key, as everywhere else: for several, write `[1, 2] as [Int]`.
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``.
  @_disfavoredOverload
  @inlinable
  public func get<Key: Store.ByteSource>(_ keys: some Sequence<Key>) throws(Store.Error) -> [[UInt8]?] {
    // Disfavoured, because an array of bytes, which is a key, also is a sequence of numbers.
    let keys = Array(keys)
    return try get(many: keys.count) { number, body throws(Store.Error) in
      try keys[number].withBytes { key throws(Store.Error) in try body(key, RawSpan()) }
    }
  }

  @usableFromInline
  func get(many count: Int, _ withPair: WithPair) throws(Store.Error) -> [[UInt8]?] {
    var values: [[UInt8]?] = []
    values.reserveCapacity(count)
    for first in stride(from: 0, to: count, by: StoreCore.mostAtOnce) {
      try core.get(first..<Swift.min(first + StoreCore.mostAtOnce, count), withPair, &values)
    }
    return values
  }

  /// Calls `body` with the value of each of `keys` where it lies in the file, in their order, and
  /// with the key's number, from 0. Keys without a value are left out.
  ///
  /// As ``withValue(forKey:_:)`` for each of them, but their cache misses overlap. The fastest way
  /// to read many values.
  ///
  /// - Throws: as ``withValue(forKey:_:)``.
  @inlinable
  public func withValues<Key: Store.ByteSource>(
    forKeys keys: some Sequence<Key>, _ body: (_ number: Int, _ value: RawSpan) throws -> Void
  ) throws {
    let keys = Array(keys)
    try withValues(many: keys.count, body) { number, body throws(Store.Error) in
      try keys[number].withBytes { key throws(Store.Error) in try body(key, RawSpan()) }
    }
  }

  @usableFromInline
  func withValues(
    many count: Int, _ body: (_ number: Int, _ value: RawSpan) throws -> Void, _ withPair: WithPair
  ) throws {
    for first in stride(from: 0, to: count, by: StoreCore.mostAtOnce) {
      try core.withValues(first..<Swift.min(first + StoreCore.mostAtOnce, count), withPair, body)
    }
  }

  /// Stores many values in one commit: all of them, or none if this throws. Of several for the same
  /// key the last counts.
  ///
  /// Faster than single calls of `put`: the cache misses of the keys overlap, and there is one commit.
  /// Other writers wait until it is done, so take some thousands at a time.
  ///
  /// - Throws: as `transaction`.
  @inlinable
  public func put<Key: Store.ByteSource, Value: Store.ByteSource>(
    contentsOf pairs: some Sequence<(Key, Value)>, durability: Store.Durability? = nil
  ) throws {
    let pairs = Array(pairs)
    try put(many: pairs.count, durability) { number, body throws(Store.Error) in
      let (key, value) = pairs[number]
      try key.withBytes { key throws(Store.Error) in
        try value.withBytes { value throws(Store.Error) in try body(key, value) }
      }
    }
  }

  /// Stores the values of a dictionary in one commit. As `put(contentsOf:)` of pairs.
  @inlinable
  public func put<Key: Store.ByteSource & Hashable, Value: Store.ByteSource>(
    contentsOf dictionary: [Key: Value], durability: Store.Durability? = nil
  ) throws {
    try put(contentsOf: dictionary.lazy.map { ($0.key, $0.value) }, durability: durability)
  }

  /// Removes many keys in one commit: all of them, or none if this throws.
  ///
  /// - Returns: how many were there.
  /// - Throws: as `transaction`.
  @inlinable
  @discardableResult
  public func remove<Key: Store.ByteSource>(
    contentsOf keys: some Sequence<Key>, durability: Store.Durability? = nil
  ) throws -> Int {
    let keys = Array(keys)
    return try remove(many: keys.count, durability) { number, body throws(Store.Error) in
      try keys[number].withBytes { key throws(Store.Error) in try body(key, RawSpan()) }
    }
  }

  /// Calls the closure that it gets with a key, and the value that goes with it.
  @usableFromInline
  typealias WithPair = (
    _ number: Int, (_ key: RawSpan, _ value: RawSpan) throws(Store.Error) -> Void
  ) throws(Store.Error) -> Void

  @usableFromInline
  func put(many count: Int, _ durability: Store.Durability?, _ withPair: WithPair) throws {
    _ = try core.change(.put, count, durability, withPair)
  }

  @usableFromInline
  func remove(many count: Int, _ durability: Store.Durability?, _ withPair: WithPair) throws -> Int {
    try core.change(.delete, count, durability, withPair)
  }
}
