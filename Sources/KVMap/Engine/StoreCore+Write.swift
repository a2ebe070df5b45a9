extension StoreCore {
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

  private func isDurable(_ durability: Durability?) -> Bool {
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
    return try withTurn { _ throws(StoreError) in
      try removeOnFullDisk(key, hash, isDurable: isDurable)
    }
  }

  /// On a full disk a checkpoint frees the index pages that were copied before it. And
  /// where the log has no room for one more record, a checkpoint takes its place.
  private func removeOnFullDisk(
    _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(StoreError) -> Bool {
    do throws(StoreError) {
      return try unsafe writer.pointee.remove(key, hash, isDurable: isDurable)
    } catch {
      guard error.code == .diskFull else { throw error }
    }
    if unsafe !writer.pointee.lacksLog {
      try checkpointAfterOthers()
      do throws(StoreError) {
        return try unsafe writer.pointee.remove(key, hash, isDurable: isDurable)
      } catch {
        guard error.code == .diskFull, unsafe writer.pointee.lacksLog else { throw error }
      }
    }
    do throws(StoreError) {
      return try removeWithCheckpoint(key, hash)
    } catch {
      guard error.code == .diskFull, unsafe !writer.pointee.isHalfDone else { throw error }
    }
    try checkpointAfterOthers()
    return try removeWithCheckpoint(key, hash)
  }

  /// Removes a key without a record; the checkpoint takes its place. That nobody else
  /// writes one is seen to before anything is done.
  private func removeWithCheckpoint(_ key: RawSpan, _ hash: KeyHash) throws(StoreError) -> Bool {
    try enterCheckpoint()
    let wasLive: Bool
    do throws(StoreError) {
      try makeDoubtfulPagesAnew()
      wasLive = try unsafe writer.pointee.removeBeforeCheckpoint(key, hash)
    } catch {
      leaveCheckpoint()
      throw error
    }
    guard unsafe writer.pointee.isHalfDone else {
      leaveCheckpoint()
      return wasLive
    }
    try checkpointEntered()
    unsafe writer.pointee.isHalfDone = false
    return wasLive
  }

  /// What has been committed and is not durable.
  var needsSync: Bool {
    defer { withExtendedLifetime(self) {} }
    return live[LivePage.durableSequence] < live[LivePage.sequence]
  }

  // MARK: Transactions

  // Swift 6.3.1 crashes when it specialises this.
  @_semantics("optimize.sil.specialize.generic.never")
  func transaction<R>(
    _ durability: Durability?, _ body: (borrowing Transaction) throws -> R
  ) throws -> R {
    defer { withExtendedLifetime(self) {} }
    try checkWritable(RawSpan(), RawSpan())
    try takeTurn(joins: true)
    let isDurable = isDurable(durability)
    let joined = joinGroup(isDurable)
    let state = UnsafeMutablePointer<Writer.Open>.allocate(capacity: 1)
    unsafe state.initialize(to: writer.pointee.begin())
    defer {
      unsafe state.deinitialize(count: 1)
      unsafe state.deallocate()
    }
    let result: R
    do {
      result = try unsafe body(Transaction(core: self, open: state))
    } catch {
      try unsafe abandon(state, joined)
      throw error
    }
    do throws(StoreError) {
      try unsafe writer.pointee.commit(state.pointee, isDurable: isDurable)
      try checkNotLost()
    } catch {
      try endCommit(joined, after: lossOr(error))
      throw lossOr(error).naming(name)
    }
    try endCommit(joined, after: nil)
    return result
  }

  private func abandon(
    _ state: UnsafeMutablePointer<Writer.Open>, _ joined: CommitGroup?
  ) throws(StoreError) {
    do throws(StoreError) {
      try unsafe writer.pointee.abort(state.pointee)
    } catch {
      try endCommit(joined, after: error)
      throw error.naming(name)
    }
    if joined == nil { returnTurn(after: nil) } else { try endCommit(joined, after: nil) }
  }

  func put(
    _ key: RawSpan, _ value: RawSpan, _ condition: PutCondition, _ expires: Expiry,
    in open: UnsafeMutablePointer<Writer.Open>
  ) throws(StoreError) -> Bool {
    try checkWritable(key, value)
    let hash = KeyHash(key, seed: source.seed)
    do {
      return try unsafe writer.pointee.put(
        key, hash, value, request(condition, expires, nil), in: &open.pointee)
    } catch {
      throw error.naming(name)
    }
  }

  func remove(
    _ key: RawSpan, in open: UnsafeMutablePointer<Writer.Open>
  ) throws(StoreError) -> Bool {
    try checkWritable(key, RawSpan())
    do {
      return try unsafe writer.pointee.remove(
        key, KeyHash(key, seed: source.seed), in: &open.pointee)
    } catch {
      throw error.naming(name)
    }
  }

  func get(
    _ key: RawSpan, in open: UnsafeMutablePointer<Writer.Open>
  ) throws(StoreError) -> [UInt8]? {
    do {
      let found = try unsafe writer.pointee.match(
        key, KeyHash(key, seed: source.seed), open.pointee)
      // A page that was lost reads as one without slots.
      try checkNotLost()
      guard let match = found else { return nil }
      let memory = unsafe writer.pointee.memory
      let range = try value(match, in: memory)
      let bytes = memory.bytes.array(range.lowerBound, count: range.count)
      try checkNotLost()
      return bytes
    } catch {
      throw lossOr(error).naming(name)
    }
  }
}
