/// A transaction while its body runs.
struct OpenTransaction: ~Copyable {
  let core: StoreCore
  fileprivate let turn: WriteTurn
  /// The group of commits that it belongs to.
  fileprivate let joined: CommitGroup?
  fileprivate let isDurable: Bool
  fileprivate var pending: PendingTransaction

  mutating func put(
    _ key: RawSpan, _ value: RawSpan, _ condition: Store.PutCondition, _ expires: Store.Expiry
  ) throws(Store.Error) -> Bool {
    try put(key, KeyHash(key, seed: core.source.seed), value, condition, expires)
  }

  mutating func put(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ condition: Store.PutCondition,
    _ expires: Store.Expiry
  ) throws(Store.Error) -> Bool {
    try core.checkWritable(key, value)
    var changed = pending
    defer { pending = changed }
    do {
      return try turn.writer.put(
        key, hash, value, core.request(condition, expires, nil), in: &changed)
    } catch {
      throw error.naming(core.name)
    }
  }

  mutating func remove(_ key: RawSpan) throws(Store.Error) -> Bool {
    try remove(key, KeyHash(key, seed: core.source.seed))
  }

  mutating func remove(_ key: RawSpan, _ hash: KeyHash) throws(Store.Error) -> Bool {
    try core.checkWritable(key, RawSpan())
    var changed = pending
    defer { pending = changed }
    do {
      return try turn.writer.remove(key, hash, in: &changed)
    } catch {
      throw error.naming(core.name)
    }
  }

  func get(_ key: RawSpan) throws(Store.Error) -> [UInt8]? {
    try read(key) { record throws(Store.Error) in try record.valueBytes() }
  }

  /// The version of the value of `key`; nil if there is none.
  func version(_ key: RawSpan) throws(Store.Error) -> UInt64? {
    try read(key) { record throws(Store.Error) in record.version }
  }

  func expiry(_ key: RawSpan) throws(Store.Error) -> Store.Expiry? {
    try read(key) { record throws(Store.Error) in
      try record.verify()
      return record.storedExpiry
    }
  }

  func entry(_ key: RawSpan) throws(Store.Error) -> Store.Entry? {
    try read(key) { record throws(Store.Error) in
      Store.Entry(
        key: record.keyBytes, value: try record.valueBytes(), version: record.version,
        expiry: record.storedExpiry)
    }
  }

  /// What `body` makes of the record of `key`, with the changes of this transaction; nil if there is none.
  @inline(__always)
  private func read<R>(
    _ key: RawSpan, _ body: (Record) throws(Store.Error) -> R
  ) throws(Store.Error) -> R? {
    do {
      let found = try turn.writer.match(key, KeyHash(key, seed: core.source.seed), pending)
      // A page that was lost reads as one without slots.
      try core.checkNotLost()
      guard let match = found else { return nil }
      let result = try body(match.record(turn.writer.memory))
      try core.checkNotLost()
      return result
    } catch {
      throw core.lossOr(error).naming(core.name)
    }
  }

  fileprivate consuming func commit() throws(Store.Error) {
    do throws(Store.Error) {
      try turn.writer.commit(pending, isDurable: isDurable)
      try core.checkNotLost()
    } catch {
      let error = core.lossOr(error)
      try core.endCommit(turn, joined, after: error)
      throw error.naming(core.name)
    }
    try core.endCommit(turn, joined, after: nil)
  }

  fileprivate consuming func abandon() throws(Store.Error) {
    do throws(Store.Error) {
      try turn.writer.abort(pending)
    } catch {
      try core.endCommit(turn, joined, after: error)
      throw error.naming(core.name)
    }
    if joined == nil {
      core.conclude(turn, after: nil)
    } else {
      try core.endCommit(turn, joined, after: nil)
    }
  }
}

extension StoreCore {
  /// Runs `body`, which changes the store through the transaction, and makes one commit of its
  /// changes; none if it throws.
  // Swift 6.3.1 crashes when it specialises this.
  @_semantics("optimize.sil.specialize.generic.never")
  func transaction<R>(
    _ durability: Store.Durability?, _ body: (UnsafeMutablePointer<OpenTransaction>) throws -> R
  ) throws -> R {
    defer { withExtendedLifetime(self) {} }
    try checkWritable(RawSpan(), RawSpan())
    let turn = try enterWaiting(joins: true)
    let isDurable = isDurable(durability)
    let joined = joinGroup(turn, isDurable)
    let pending = turn.writer.begin()
    var open = OpenTransaction(
      core: self, turn: turn, joined: joined, isDurable: isDurable, pending: pending)
    let result: R
    do {
      result = try unsafe withUnsafeMutablePointer(to: &open) { open in try unsafe body(open) }
    } catch {
      try open.abandon()
      throw error
    }
    try open.commit()
    return result
  }
}

extension Record {
  /// The value's bytes, verified.
  fileprivate func valueBytes() throws(Store.Error) -> [UInt8] {
    let range = try value()
    return memory.bytes.array(range.lowerBound, count: range.count)
  }
}
