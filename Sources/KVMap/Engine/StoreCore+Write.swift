/// Single changes: put, remove and sync.
extension StoreCore {
  /// Throws unless this handle may write, and store a key and a value of these lengths.
  func checkWritable(_ key: RawSpan, _ value: RawSpan) throws(StoreError) {
    if options.access == .readOnly {
      throw StoreError(.readOnly, "\(name): the store was opened for reading only")
    }
    if key.byteCount > Layout.largestKey {
      throw StoreError(
        .keyTooLong, "\(name): the key has \(key.byteCount) bytes; at most \(Layout.largestKey) are possible")
    }
    if value.byteCount > Layout.largestValue {
      throw StoreError(
        .valueTooLong,
        "\(name): the value has \(value.byteCount) bytes; at most \(Layout.largestValue) are possible")
    }
  }

  func request(
    _ condition: PutCondition, _ expires: Expiry, _ durability: Durability?
  ) -> Writer.PutRequest {
    Writer.PutRequest(
      condition: condition, expiry: expires.milliseconds(clock), isDurable: isDurable(durability))
  }

  func isDurable(_ durability: Durability?) -> Bool {
    (durability ?? options.durability) == .onCommit
  }

  func put(
    _ key: RawSpan, _ value: RawSpan, _ condition: PutCondition, _ expires: Expiry,
    _ durability: Durability?
  ) throws(StoreError) -> Bool {
    try checkWritable(key, value)
    let hash = KeyHash(key, seed: source.seed)
    let request = request(condition, expires, durability)
    return try commit(isDurable: request.isDurable) { (writer: inout Writer) throws(StoreError) in
      try writer.put(key, hash, value, request)
    }
  }

  func remove(_ key: RawSpan, _ durability: Durability?) throws(StoreError) -> Bool {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: source.seed)
    let isDurable = isDurable(durability)
    do throws(StoreError) {
      return try commit(isDurable: isDurable) { (writer: inout Writer) throws(StoreError) in
        try writer.remove(key, hash, isDurable: isDurable)
      }
    } catch {
      guard error.code == .diskFull else { throw error }
    }
    return try withWriteLock { turn throws(StoreError) in
      try removeOnFullDisk(turn, key, hash, isDurable: isDurable)
    }
  }

  /// Removes a key on a full disk. A checkpoint frees the index pages that were copied before it.
  /// Where the log has no room for one more record, a checkpoint takes the record's place.
  private func removeOnFullDisk(
    _ turn: borrowing WriteTurn, _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(StoreError) -> Bool {
    do throws(StoreError) {
      return try turn.writer.remove(key, hash, isDurable: isDurable)
    } catch {
      guard error.code == .diskFull else { throw error }
    }
    if !turn.writer.lacksLog {
      try checkpoint(turn, .wait)
      do throws(StoreError) {
        return try turn.writer.remove(key, hash, isDurable: isDurable)
      } catch {
        guard error.code == .diskFull, turn.writer.lacksLog else { throw error }
      }
    }
    do throws(StoreError) {
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
  ) throws(StoreError) -> Bool {
    let lock = try CheckpointLock(waitingFor: self)
    try rebuildDoubtfulPages(turn, lock)
    let wasLive = try turn.writer.removeBeforeCheckpoint(key, hash)
    if turn.writer.isHalfDone {
      try checkpoint(turn, lock)
      turn.writer.isHalfDone = false
    }
    return wasLive
  }

  /// Blocks until everything that was committed before is durable.
  func sync() throws(StoreError) {
    try checkOpen()
    guard backing.isShared, options.access == .readWrite else { return }
    try withWriteLock { turn throws(StoreError) in
      try turn.writer.log.sync(upTo: turn.writer.log.tail)
    }
  }

  /// Whether there are commits that are not durable.
  var needsSync: Bool {
    defer { withExtendedLifetime(self) {} }
    return shared[.durableSequence] < shared[.sequence]
  }
}
