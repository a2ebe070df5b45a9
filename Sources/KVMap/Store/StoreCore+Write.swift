extension StoreCore {
  private func checkWritable(_ key: RawSpan, _ value: RawSpan) throws(StoreError) {
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

  private func request(
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
    let hash = KeyHash(key, seed: memory.seed)
    let request = request(condition, expires, durability)
    return try withTurn { (writer: inout Writer) throws(StoreError) in
      try writer.put(key, hash, value, request)
    }
  }

  func remove(_ key: RawSpan, _ durability: Durability?) throws(StoreError) -> Bool {
    try checkWritable(key, RawSpan())
    let hash = KeyHash(key, seed: memory.seed)
    let isDurable = isDurable(durability)
    return try withTurn { (writer: inout Writer) throws(StoreError) in
      do throws(StoreError) {
        return try writer.remove(key, hash, isDurable: isDurable)
      } catch {
        // On a full disk a checkpoint frees the index pages that were copied before.
        guard error.code == .diskFull else { throw error }
      }
      try checkpoint()
      return try writer.remove(key, hash, isDurable: isDurable)
    }
  }

  /// What has been committed and is not durable.
  var needsSync: Bool {
    defer { withExtendedLifetime(self) {} }
    return memory.live[LivePage.durable] < memory.live[LivePage.tail]
      || memory.live[LivePage.durableSegment] != memory.live[LivePage.segment]
  }

  // MARK: Transactions

  func transaction<R>(
    _ durability: Durability?, _ body: (borrowing Transaction) throws -> R
  ) throws -> R {
    defer { withExtendedLifetime(self) {} }
    try checkWritable(RawSpan(), RawSpan())
    try takeTurn()
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
      try unsafe abandon(state)
      throw error
    }
    do throws(StoreError) {
      try unsafe writer.pointee.commit(state.pointee, isDurable: isDurable(durability))
      try checkNotLost()
    } catch {
      let error = lossOr(error)
      returnTurn(after: error)
      throw error.naming(name)
    }
    checkpointIfDue()
    returnTurn(after: nil)
    return result
  }

  private func abandon(_ state: UnsafeMutablePointer<Writer.Open>) throws(StoreError) {
    do {
      try unsafe writer.pointee.abort(state.pointee)
      returnTurn(after: nil)
    } catch {
      returnTurn(after: error)
      throw error.naming(name)
    }
  }

  func put(
    _ key: RawSpan, _ value: RawSpan, _ condition: PutCondition, _ expires: Expiry,
    in open: UnsafeMutablePointer<Writer.Open>
  ) throws(StoreError) -> Bool {
    try checkWritable(key, value)
    let hash = KeyHash(key, seed: memory.seed)
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
        key, KeyHash(key, seed: memory.seed), in: &open.pointee)
    } catch {
      throw error.naming(name)
    }
  }

  func get(
    _ key: RawSpan, in open: UnsafeMutablePointer<Writer.Open>
  ) throws(StoreError) -> [UInt8]? {
    do {
      guard
        let match = try unsafe writer.pointee.match(
          key, KeyHash(key, seed: memory.seed), open.pointee)
      else { return nil }
      let range = try value(match)
      let bytes = memory.bytes.array(range.lowerBound, count: range.count)
      try checkNotLost()
      return bytes
    } catch {
      throw error.naming(name)
    }
  }
}
