/// Reading many keys at once.
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
      try keys[number].withBytes(body)
    }
  }

  /// - Parameter withKey: calls the closure that it gets with the bytes of a key.
  @usableFromInline
  func get(
    many count: Int,
    _ withKey: (_ number: Int, (RawSpan) throws(StoreError) -> Void) throws(StoreError) -> Void
  ) throws(StoreError) -> [[UInt8]?] {
    var values: [[UInt8]?] = []
    values.reserveCapacity(count)
    for first in stride(from: 0, to: count, by: StoreCore.mostAtOnce) {
      try core.get(first..<min(first + StoreCore.mostAtOnce, count), withKey, &values)
    }
    return values
  }
}
