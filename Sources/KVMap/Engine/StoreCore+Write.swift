/// Single changes: put, remove and sync.
extension StoreCore {
  /// Throws unless this handle may write, and store a key and a value of these lengths.
  func checkWritable(_ key: RawSpan, _ value: RawSpan) throws(Store.Error) {
    if options.access == .readOnly {
      throw Store.Error(.readOnly, "\(name): the store was opened for reading only")
    }
    if key.byteCount > Layout.largestKey {
      throw Store.Error(
        .keyTooLong, "\(name): the key has \(key.byteCount) bytes; at most \(Layout.largestKey) are possible")
    }
    if value.byteCount > Layout.largestValue {
      throw Store.Error(
        .valueTooLong,
        "\(name): the value has \(value.byteCount) bytes; at most \(Layout.largestValue) are possible")
    }
  }

  func request(
    _ condition: Store.PutCondition, _ expires: Store.Expiry, _ durability: Store.Durability?
  ) -> Writer.PutRequest {
    Writer.PutRequest(
      condition: condition, expiry: expires.milliseconds(clock), isDurable: isDurable(durability))
  }

  func isDurable(_ durability: Store.Durability?) -> Bool {
    (durability ?? options.durability) == .onCommit
  }

  func put(
    _ key: RawSpan, _ value: RawSpan, _ condition: Store.PutCondition, _ expires: Store.Expiry,
    _ durability: Store.Durability?
  ) throws(Store.Error) -> Bool {
    try checkWritable(key, value)
    let hash = KeyHash(key, seed: source.seed)
    let request = request(condition, expires, durability)
    return try commit(isDurable: request.isDurable) { (writer: inout Writer) throws(Store.Error) in
      try writer.put(key, hash, value, request)
    }
  }

  func remove(_ key: RawSpan, _ durability: Store.Durability?) throws(Store.Error) -> Bool {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: source.seed)
    let isDurable = isDurable(durability)
    do throws(Store.Error) {
      return try commit(isDurable: isDurable) { (writer: inout Writer) throws(Store.Error) in
        try writer.remove(key, hash, isDurable: isDurable)
      }
    } catch {
      guard error.code == .diskFull else { throw error }
    }
    return try withWriteLock { turn throws(Store.Error) in
      try removeOnFullDisk(turn, key, hash, isDurable: isDurable)
    }
  }

  /// Removes a key on a full disk. A checkpoint frees the index pages that were copied before it.
  /// Where the log has no room for one more record, a checkpoint takes the record's place.
  private func removeOnFullDisk(
    _ turn: borrowing WriteTurn, _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(Store.Error) -> Bool {
    do throws(Store.Error) {
      return try turn.writer.remove(key, hash, isDurable: isDurable)
    } catch {
      guard error.code == .diskFull else { throw error }
    }
    if !turn.writer.lacksLog {
      try checkpoint(turn, .wait)
      do throws(Store.Error) {
        return try turn.writer.remove(key, hash, isDurable: isDurable)
      } catch {
        guard error.code == .diskFull, turn.writer.lacksLog else { throw error }
      }
    }
    do throws(Store.Error) {
      return try removeWithCheckpoint(turn, key, hash)
    } catch {
      guard error.code == .diskFull, !turn.writer.isHalfDone else { throw error }
    }
    try checkpoint(turn, .wait)
    return try removeWithCheckpoint(turn, key, hash)
  }

  /// Removes a key without a record; the checkpoint takes its place. Takes lock C before it changes
  /// anything.
  private func removeWithCheckpoint(
    _ turn: borrowing WriteTurn, _ key: RawSpan, _ hash: KeyHash
  ) throws(Store.Error) -> Bool {
    let lock = try CheckpointLock(waitingFor: self)
    try rebuildDoubtfulPages(turn, lock)
    let wasLive = try turn.writer.removeBeforeCheckpoint(key, hash)
    if turn.writer.isHalfDone {
      try checkpoint(turn, lock)
      turn.writer.isHalfDone = false
    }
    return wasLive
  }

  /// Blocks until everything that was committed before is durable, or what has this number and lower
  /// ones.
  func sync(upTo sequence: UInt64 = .max) throws(Store.Error) {
    try checkOpen()
    guard backing.isShared, options.access == .readWrite else { return }
    try withWriteLock { turn throws(Store.Error) in
      if shared[.durableSequence].number > sequence { return }
      try turn.writer.log.sync(upTo: turn.writer.log.tail)
    }
  }

  /// Whether there are commits that are not durable.
  var needsSync: Bool {
    defer { withExtendedLifetime(self) {} }
    return shared[.durableSequence] < shared[.sequence]
  }
}
