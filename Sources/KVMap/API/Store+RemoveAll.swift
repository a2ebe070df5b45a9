/// Removing everything, or all entries that a closure chooses.
extension Store {
  /// Removes all keys, and makes the file as small as `compact` can.
  ///
  /// Makes one commit for some hundred keys each: other writers go on in between, and after a crash
  /// some of the keys may be left, but never part of a commit. What others put meanwhile may be
  /// removed or not. O(n). Blocks as `remove` and `compact` do.
  ///
  /// - Parameter durability: of each commit; the handle's if nil.
  /// - Returns: how many keys were there.
  /// - Throws: as `remove` and `compact`; what was removed before stays removed. A damaged entry
  ///   ends the call.
  @discardableResult
  public func removeAll(durability: Store.Durability? = nil) throws -> Int {
    let count = try core.removeAll(withPrefix: [], durability)
    if core.options.access == .readWrite { try compact() }
    return count
  }

  /// Removes all entries that `shouldBeRemoved` chooses.
  ///
  ///     let limit = 1_700_000_000
  ///     try store.removeAll { entry in try entry.value(as: Int.self) < limit }
  ///
  /// The closure gets each entry once, without any lock, and may use the store, also write to it. An
  /// entry that was put again before its removal stays. Makes one commit for some hundred entries
  /// each, so after a crash some may be left. O(n). Gives back as much space as other writing does;
  /// see `compact`.
  ///
  /// - Parameters:
  ///   - durability: of each commit; the handle's if nil.
  ///   - shouldBeRemoved: chooses.
  /// - Returns: how many entries were removed.
  /// - Throws: as `transaction`, and what the closure throws; what was removed before
  ///   stays removed. A damaged entry ends the call.
  @discardableResult
  public func removeAll(
    durability: Store.Durability? = nil, where shouldBeRemoved: (Store.Entry) throws -> Bool
  ) throws -> Int {
    try core.checkWritable(RawSpan(), RawSpan())
    try core.checkNotInTransaction()
    var count = 0
    var chosen: [(key: [UInt8], version: UInt64)] = []
    var cursor = makeCursor()
    while let entry = try cursor.next() {
      guard try shouldBeRemoved(entry) else { continue }
      chosen.append((entry.key, entry.version))
      if chosen.count == StoreCore.keysInBatch { count += try core.removeUnchanged(&chosen, durability) }
    }
    return try count + core.removeUnchanged(&chosen, durability)
  }
}

extension StoreCore {
  /// How many keys are removed in one commit, so that other writers do not wait long.
  static let keysInBatch = 256

  /// Removes all keys that begin with `prefix`. Returns how many there were.
  func removeAll(withPrefix prefix: [UInt8], _ durability: Store.Durability?) throws -> Int {
    try checkWritable(RawSpan(), RawSpan())
    try checkNotInTransaction()
    var count = 0
    var keys: [[UInt8]] = []
    var cursor = Store.Cursor(core: self, prefix: prefix)
    while let key = try cursor.nextKey() {
      keys.append(key)
      if keys.count == Self.keysInBatch { count += try remove(&keys, durability) }
    }
    return try count + remove(&keys, durability)
  }

  /// Removes the keys in one commit, or, on a full disk, one by one, which succeeds there. Forgets
  /// them. Returns how many there were.
  private func remove(_ keys: inout [[UInt8]], _ durability: Store.Durability?) throws -> Int {
    defer { keys.removeAll(keepingCapacity: true) }
    if keys.isEmpty { return 0 }
    do {
      return try change(.delete, keys.count, durability) { number, body throws(Store.Error) in
        try keys[number].withBytes { key throws(Store.Error) in try body(key, RawSpan()) }
      }
    } catch let error as Store.Error where error.code == .diskFull {
      var count = 0
      for key in keys where try unsafe remove(key.span.bytes, durability) { count += 1 }
      return count
    }
  }

  /// Removes those keys in one commit whose values still have these versions, and forgets all.
  /// Returns how many were removed.
  fileprivate func removeUnchanged(
    _ chosen: inout [(key: [UInt8], version: UInt64)], _ durability: Store.Durability?
  ) throws -> Int {
    defer { chosen.removeAll(keepingCapacity: true) }
    if chosen.isEmpty { return 0 }
    var count = 0
    try unsafe transaction(durability) { open in
      for (key, version) in chosen {
        guard try unsafe open.pointee.version(key.span.bytes) == version else { continue }
        if try unsafe open.pointee.remove(key.span.bytes) { count += 1 }
      }
    }
    return count
  }
}
