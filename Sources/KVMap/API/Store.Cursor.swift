extension Store.Entry {
  /// The key as a `String`, a number or another ``Store/ByteDecodable``. Throws as
  /// ``Store/get(_:as:)``.
  public func key<Key: Store.ByteDecodable>(as type: Key.Type) throws(Store.Error) -> Key {
    try unsafe Key(copying: key.span.bytes)
  }

  /// The value as a `String`, a number or another ``Store/ByteDecodable``. Throws as
  /// ``Store/get(_:as:)``; the message names the key.
  public func value<Value: Store.ByteDecodable>(as type: Value.Type) throws(Store.Error) -> Value {
    try value(reading: Value.init(copying:))
  }

  /// The value as `read` makes it of the bytes. Errors get the key.
  package func value<Value>(
    reading read: (RawSpan) throws(Store.Error) -> Value
  ) throws(Store.Error) -> Value {
    do {
      return try unsafe read(value.span.bytes)
    } catch {
      throw unsafe error.naming(key: key.span.bytes)
    }
  }
}

extension Store {
  /// A position in a store; see ``Store/makeCursor()``.
  ///
  /// A cursor goes through the buckets in the order of their hash prefixes. It reads a bucket at
  /// once, and each value again if anything was written since. If buckets split or merge meanwhile,
  /// the new ones cover the same hashes, so a key that stays is met exactly once.
  ///
  /// A copy goes on from the same place by itself. One cursor is for one thread at a time, and may be
  /// passed from one to another.
  public struct Cursor: Sendable {
    private let core: StoreCore
    private let snapshot: Store.Snapshot?
    /// Only keys that begin with this are returned.
    private let prefix: [UInt8]
    /// What is left of the current bucket.
    private var batch = CursorBatch()
    /// All lower hashes have been visited; nil at the end.
    private var position: UInt64?
    /// The first hash that is left to others; nil for none.
    private let end: UInt64?

    init(
      core: StoreCore, snapshot: Store.Snapshot? = nil, prefix: [UInt8] = [], from start: UInt64 = 0,
      to end: UInt64? = nil
    ) {
      self.core = core
      self.snapshot = snapshot
      self.prefix = prefix
      self.end = end
      position = start
    }

    /// That many cursors over ranges of the hash, which are disjoint and together everything.
    static func several(_ count: Int, core: StoreCore, snapshot: Store.Snapshot? = nil) -> [Cursor] {
      precondition(count > 0, "the number of cursors has to be positive")
      let bounds = (0..<count).map { UInt64((UInt128($0) << 64) / UInt128(count)) }
      return bounds.indices.map { number in
        let end = number + 1 < count ? bounds[number + 1] : nil
        return Cursor(core: core, snapshot: snapshot, from: bounds[number], to: end)
      }
    }

    /// The next key and value; nil at the end.
    ///
    /// Waits for no writer. O(1) on average, plus a copy of key and value.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``. After `damaged`, which concerns one record, or one index page
    ///   with all its keys, the next call goes on after it.
    public mutating func next() throws(Store.Error) -> Store.Entry? {
      while true {
        while let item = try batch.next() {
          if let entry = try entry(item) { return entry }
        }
        if try !readBucket(withValues: true) { return nil }
      }
    }

    /// The next key, without its value; nil at the end. As ``next()``, but faster. A key that was
    /// removed a moment ago may still be returned.
    public mutating func nextKey() throws(Store.Error) -> [UInt8]? {
      while true {
        if let item = try batch.next() { return batch.key(item) }
        if try !readBucket(withValues: false) { return nil }
      }
    }

    /// The entry as it is now; nil if it is gone.
    private func entry(_ item: CursorBatch.Item) throws(Store.Error) -> Store.Entry? {
      if snapshot != nil || batch.isCurrent(core.shared), let entry = batch.entry(item) {
        try snapshot?.checkNotOver()
        try core.checkOpen()
        return (snapshot?.clock ?? core.clock).hasPassed(item.expiry) ? nil : entry
      }
      return try unsafe core.entry(batch.key(item).span.bytes, in: snapshot)
    }

    /// Goes on to the next bucket; false at the end.
    private mutating func readBucket(withValues: Bool) throws(Store.Error) -> Bool {
      guard let from = position else { return false }
      var next: UInt64?
      let wanted = CursorBatch.Wanted(
        hashes: HashBounds(from: from, to: end), prefix: prefix, values: withValues)
      try core.readBucket(wanted, next: &next, in: snapshot, into: &batch)
      if let end, let start = next, start >= end { next = nil }
      position = next
      return true
    }
  }
}

/// A range of hashes, for a walk over all keys or some.
struct HashBounds {
  /// The first hash.
  var from: UInt64
  /// The first one after it; nil if it goes to the end.
  var to: UInt64?

  func contains(_ hash: KeyHash) -> Bool {
    if hash.bits < from { return false }
    guard let to else { return true }
    return hash.bits < to
  }
}

extension StoreCore {
  /// Reads the store as it is now, or as a snapshot has it.
  func read<R>(
    _ snapshot: Store.Snapshot?, _ body: (IndexReader) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    if let snapshot { return try snapshot.read(body) }
    return try read { memory throws(Store.Error) in try body(IndexReader(memory: memory)) }
  }

  /// Reads the slots of the bucket that covers hash `from`, without those of lower hashes, as far
  /// as possible. Returns why no further.
  func bucketSlots(
    from: UInt64, next: inout UInt64?, _ slots: inout [Slot], in snapshot: Store.Snapshot?
  ) throws(Store.Error) -> Store.Error? {
    try bucketSlots(HashBounds(from: from), next: &next, &slots, in: snapshot)
  }

  /// Reads the slots of the bucket that covers the first hash of the range, without those of other
  /// hashes, as far as possible. Returns why no further.
  func bucketSlots(
    _ hashes: HashBounds, next: inout UInt64?, _ slots: inout [Slot], in snapshot: Store.Snapshot?
  ) throws(Store.Error) -> Store.Error? {
    do {
      try read(snapshot) { index throws(Store.Error) in
        slots.removeAll(keepingCapacity: true)
        let moment = QuietMoment(shared)
        try readSlots(hashes, next: &next, &slots, index)
        if snapshot == nil, moment == nil || moment != QuietMoment(shared) {
          Self.dropRepeated(&slots, index.memory)
        }
      }
      return nil
    } catch {
      guard error.code == .damaged else { throw error }
      return error
    }
  }

  private func readSlots(
    _ hashes: HashBounds, next: inout UInt64?, _ slots: inout [Slot], _ index: IndexReader
  ) throws(Store.Error) {
    let memory = index.memory
    let tag = shared[.epoch].tag
    let pointer = try index.bucketForWalk(hashes.from, next: &next)
    // A bucket that was merged since the last step begins below what is still to come. The bound
    // between two cursors may lie within a bucket.
    var holdsOthers = memory.header(pointer.page).prefix < hashes.from
    if let end = hashes.to { holdsOthers = holdsOthers || next.map { $0 > end } ?? true }
    var page = pointer.page
    var chain = ChainGuard()
    while true {
      let bucket = memory.bucket(page)
      for (_, _, slot) in bucket.slots {
        if slot.isPending { continue }
        if holdsOthers, try isOutside(hashes, slot, memory) { continue }
        slots.append(slot)
      }
      page = memory.header(page).overflow
      if page.number == 0 { return }
      try chain.pass(page)
      try index.checkOverflow(page, workingTag: tag)
    }
  }

  /// Of several slots that point to the same key, leaves only the one that was read last. A key that is removed
  /// and put again while its bucket is read may be met in both of its places.
  private static func dropRepeated(_ slots: inout [Slot], _ memory: StoreMemory) {
    let order = slots.indices.sorted { (slots[$0].tag, $0) < (slots[$1].tag, $1) }
    var isRepeated = Set<Int>()
    for (place, number) in order.enumerated() {
      // Slots with the same tag are seldom those of the same key.
      for other in order[(place + 1)...] {
        if slots[other].tag != slots[number].tag { break }
        if haveSameKey(slots[number], slots[other], memory) { isRepeated.insert(number) }
      }
    }
    if isRepeated.isEmpty { return }
    slots = slots.indices.filter { !isRepeated.contains($0) }.map { slots[$0] }
  }

  /// False also if a record cannot be read: who reads it then is told so.
  private static func haveSameKey(_ one: Slot, _ other: Slot, _ memory: StoreMemory) -> Bool {
    guard let one = try? Record(memory, at: one.position), one.isIntact,
      let other = try? Record(memory, at: other.position), other.isIntact
    else { return false }
    return (try? one.isOf(other.key)) == true
  }

  /// Whether the record's hash is not in the range. False if that cannot be told because the record
  /// is damaged: who reads it then is told so.
  private func isOutside(
    _ hashes: HashBounds, _ slot: Slot, _ memory: StoreMemory
  ) throws(Store.Error) -> Bool {
    let record = try Record(memory, at: slot.position)
    return record.isIntact && !hashes.contains(record.keyHash)
  }

  /// What is stored for `key`; nil if it is absent or has expired.
  func entry(_ key: RawSpan, in snapshot: Store.Snapshot? = nil) throws(Store.Error) -> Store.Entry? {
    let hash = KeyHash(key, seed: source.seed)
    return try read(snapshot) { index throws(Store.Error) -> Store.Entry? in
      let memory = index.memory
      guard let match = try find(key, hash, index, snapshot?.clock ?? clock) else { return nil }
      let value = try match.record(memory).value()
      return Store.Entry(
        key: match.record(memory).keyBytes,
        value: memory.bytes.array(value.lowerBound, count: value.count),
        version: match.record(memory).version,
        expiry: match.record(memory).storedExpiry)
    }
  }

  /// Verifies the record and passes its key and value to `body`, where they lie; nil if it has
  /// expired.
  private func withRecord<R>(
    _ slot: Slot, _ clock: Clock, _ memory: StoreMemory,
    _ body: (FoundBytes, FoundBytes) -> R
  ) throws(Store.Error) -> R? {
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
  func pinning<R>(_ body: () -> R) throws(Store.Error) -> R {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    let pin = backing.isShared ? try pins.pinCurrent() : nil
    defer { if let pin { try? pins.unpin(pin) } }
    return body()
  }

  /// Calls `body` with each key and value. The caller keeps what is read from being reused.
  func forEach(in snapshot: Store.Snapshot?, _ body: (RawSpan, RawSpan) throws -> Void) throws {
    let clock = snapshot?.clock ?? clock
    var next: UInt64? = 0
    var slots: [Slot] = []
    while let from = next {
      let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot)
      for number in slots.indices {
        if number + Self.recordsAhead < slots.count { prefetchRecord(slots[number + Self.recordsAhead]) }
        let slot = slots[number]
        try snapshot?.checkNotOver()
        let found = try readFrozen { memory throws(Store.Error) in
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
