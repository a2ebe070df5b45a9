/// A key, its value and what goes with them.
public struct Entry: Sendable, Equatable {
  /// The key's bytes.
  public let key: [UInt8]
  /// The value's bytes.
  public let value: [UInt8]
  /// The value's version, which rises with every put of the store.
  public let version: UInt64
  /// When the value expires.
  public let expiry: Expiry
}

/// A position in a store; see ``Store/makeCursor()``.
///
/// A cursor goes through the buckets in the order of their hash prefixes. It reads a bucket at
/// once, and each value again if anything was written since. If buckets split or merge meanwhile,
/// the new ones cover the same hashes, so a key that stays is met exactly once.
public struct Cursor {
  private let core: StoreCore
  private let snapshot: Snapshot?
  /// What is left of the current bucket.
  private var batch = CursorBatch()
  /// All lower hashes have been visited; nil at the end.
  private var position: UInt64? = 0

  init(core: StoreCore, snapshot: Snapshot? = nil) {
    self.core = core
    self.snapshot = snapshot
  }

  /// The next key and value; nil at the end.
  ///
  /// Waits for no writer. O(1) on average, plus a copy of key and value.
  ///
  /// - Throws: as ``Store/get(_:)``. After `damaged`, which concerns one record, or one index page
  ///   with all its keys, the next call goes on after it.
  public mutating func next() throws(StoreError) -> Entry? {
    while true {
      while let item = try batch.next() {
        if let entry = try entry(item) { return entry }
      }
      if try !readBucket(withValues: true) { return nil }
    }
  }

  /// The next key, without its value; nil at the end. As ``next()``, but faster. A key that was
  /// removed a moment ago may still be returned.
  public mutating func nextKey() throws(StoreError) -> [UInt8]? {
    while true {
      if let item = try batch.next() { return batch.key(item) }
      if try !readBucket(withValues: false) { return nil }
    }
  }

  /// The entry as it is now; nil if it is gone.
  private func entry(_ item: CursorBatch.Item) throws(StoreError) -> Entry? {
    if snapshot != nil || batch.isCurrent(core.shared), let entry = batch.entry(item) {
      try snapshot?.checkNotOver()
      try core.checkOpen()
      return (snapshot?.clock ?? core.clock).hasPassed(item.expiry) ? nil : entry
    }
    return try unsafe core.entry(batch.key(item).span.bytes, in: snapshot)
  }

  /// Goes on to the next bucket; false at the end.
  private mutating func readBucket(withValues: Bool) throws(StoreError) -> Bool {
    guard let from = position else { return false }
    var next: UInt64?
    try core.readBucket(from: from, next: &next, withValues: withValues, in: snapshot, into: &batch)
    position = next
    return true
  }
}

extension StoreCore {
  /// Reads the store as it is now, or as a snapshot has it.
  func read<R>(
    _ snapshot: Snapshot?, _ body: (IndexReader) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    if let snapshot { return try snapshot.read(body) }
    return try read { memory throws(StoreError) in try body(IndexReader(memory: memory)) }
  }

  /// Reads the slots of the bucket that covers hash `from`, without those of lower hashes, as far
  /// as possible. Returns why no further.
  func bucketSlots(
    from: UInt64, next: inout UInt64?, _ slots: inout [Slot], in snapshot: Snapshot?
  ) throws(StoreError) -> StoreError? {
    do {
      try read(snapshot) { index throws(StoreError) in
        slots.removeAll(keepingCapacity: true)
        try readSlots(from: from, next: &next, &slots, index)
      }
      return nil
    } catch {
      guard error.code == .damaged else { throw error }
      return error
    }
  }

  private func readSlots(
    from: UInt64, next: inout UInt64?, _ slots: inout [Slot], _ index: IndexReader
  ) throws(StoreError) {
    let memory = index.memory
    let tag = shared[.epoch].tag
    let pointer = try index.bucketForWalk(from, next: &next)
    // A bucket that was merged since the last step begins below what is still to come.
    let beginsBelow = memory.header(pointer.page).prefix < from
    var page = pointer.page
    var chain = ChainGuard()
    while true {
      let bucket = memory.bucket(page)
      for (_, _, slot) in bucket.slots {
        if slot.isPending { continue }
        if beginsBelow, try hash(slot, memory) < from { continue }
        slots.append(slot)
      }
      page = memory.header(page).overflow
      if page.number == 0 { return }
      try chain.pass(page)
      try index.checkOverflow(page, workingTag: tag)
    }
  }

  private func hash(_ slot: Slot, _ memory: StoreMemory) throws(StoreError) -> UInt64 {
    try Record(memory, at: slot.position).keyHash.bits
  }

  /// What is stored for `key`; nil if it is absent or has expired.
  func entry(_ key: RawSpan, in snapshot: Snapshot? = nil) throws(StoreError) -> Entry? {
    let hash = KeyHash(key, seed: source.seed)
    return try read(snapshot) { index throws(StoreError) -> Entry? in
      let memory = index.memory
      guard let match = try find(key, hash, index, snapshot?.clock ?? clock) else { return nil }
      let value = try match.record(memory).value()
      return Entry(
        key: match.record(memory).keyBytes,
        value: memory.bytes.array(value.lowerBound, count: value.count),
        version: match.record(memory).version,
        expiry: match.record(memory).expiry.map { .at(millisecondsSince1970: $0) } ?? .never)
    }
  }

  /// Verifies the record and passes its key and value to `body`, where they lie; nil if it has
  /// expired.
  private func withRecord<R>(
    _ slot: Slot, _ clock: Clock, _ memory: StoreMemory,
    _ body: (FoundBytes, FoundBytes) -> R
  ) throws(StoreError) -> R? {
    let record = try Record(memory, at: slot.position)
    let value = try record.value()
    if clock.hasPassed(record.expiry) { return nil }
    return body(
      FoundBytes(bytes: memory.bytes, range: record.keyRange), FoundBytes(bytes: memory.bytes, range: value))
  }

  func forEach(_ body: (RawSpan, RawSpan) throws -> Void) throws {
    try pinning { Result { try forEach(in: nil, body) } }.get()
  }

  /// Runs `body`. Nothing that it may read is reused before it ends.
  func pinning<R>(_ body: () -> R) throws(StoreError) -> R {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    let pin = backing.isShared ? try pins.pinCurrent() : nil
    defer { if let pin { try? pins.unpin(pin) } }
    return body()
  }

  /// Calls `body` with each key and value. The caller keeps what is read from being reused.
  func forEach(in snapshot: Snapshot?, _ body: (RawSpan, RawSpan) throws -> Void) throws {
    let clock = snapshot?.clock ?? clock
    var next: UInt64? = 0
    var slots: [Slot] = []
    while let from = next {
      let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot)
      for number in slots.indices {
        if number + Self.recordsAhead < slots.count { prefetchRecord(slots[number + Self.recordsAhead]) }
        let slot = slots[number]
        try snapshot?.checkNotOver()
        let found = try readFrozen { memory throws(StoreError) in
          try withRecord(slot, clock, memory) { key, value in (key, value) }
        }
        guard let (key, value) = found else { continue }
        try body(key.span, value.span)
        try checkNothingReadWasLost()
      }
      if let damage { throw damage }
    }
  }

  /// A walk prefetches so many records ahead: about as many as the processor loads at once.
  static let recordsAhead = 16

  /// Prefetches the beginning of a record: all of it, if it is a small one.
  @inline(__always)
  func prefetchRecord(_ slot: Slot) {
    let start = Int(slot.position.offset)
    let bytes = source.memory.bytes
    for line in 0..<3 { bytes.prefetch(start + line * 64) }
  }
}
