/// A key, its value and what goes with them.
public struct Entry: Sendable, Equatable {
  /// The key's bytes.
  public let key: [UInt8]
  /// The value's bytes.
  public let value: [UInt8]
  /// The value's version: rises with every put of the store.
  public let version: UInt64
  /// When the value expires.
  public let expiry: Expiry
}

/// A position in a store; see ``Store/makeCursor()``.
///
/// Goes through the buckets in the order of their hash prefixes. The keys of a
/// bucket are read at once, their values when it is their turn; buckets that split
/// or merge meanwhile cover the same hashes, so whatever stays is met exactly once.
public struct Cursor {
  private let core: StoreCore
  private let snapshot: Snapshot?
  /// Keys of the present bucket that were not returned yet, last first.
  private var keys: [Result<[UInt8], StoreError>] = []
  /// All hashes below were visited; nil at the end.
  private var position: UInt64? = 0

  init(core: StoreCore, snapshot: Snapshot? = nil) {
    self.core = core
    self.snapshot = snapshot
  }

  /// The next key and value; nil at the end.
  ///
  /// - Throws: as ``Store/get(_:)``. After `damaged`, about a record or about an
  ///   index page with all its keys, the call can be repeated for what follows.
  public mutating func next() throws(StoreError) -> Entry? {
    while true {
      while let key = keys.popLast() {
        let bytes = try key.get()
        if let entry = try unsafe core.entry(bytes.span.bytes, in: snapshot) { return entry }
      }
      guard let from = position else { return nil }
      var next: UInt64?
      keys = try core.bucketKeys(from: from, next: &next, in: snapshot)
      position = next
    }
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

  /// The keys of the bucket that covers hash `from`, without those of hashes
  /// below; `next` becomes the first hash after it.
  ///
  /// A record or page that cannot be read is an error in its place among the keys.
  func bucketKeys(
    from: UInt64, next: inout UInt64?, in snapshot: Snapshot?
  ) throws(StoreError) -> [Result<[UInt8], StoreError>] {
    try read(snapshot) { index throws(StoreError) -> [Result<[UInt8], StoreError>] in
      let memory = index.memory
      var slots: [Slot] = []
      let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot)
      for slot in slots { memory.bytes.prefetch(Int(slot.position.offset)) }
      var keys: [Result<[UInt8], StoreError>] = []
      keys.reserveCapacity(slots.count + 1)
      if let damage { keys.append(.failure(damage)) }
      for slot in slots {
        do throws(StoreError) {
          let record = try Record(memory, at: slot.position)
          try record.verify()
          keys.append(.success(record.keyBytes))
        } catch {
          keys.append(.failure(error.naming(name)))
        }
      }
      return keys
    }
  }

  /// The slots of the bucket that covers hash `from`, without those of hashes
  /// below, as far as they can be read, and why no further.
  func bucketSlots(
    from: UInt64, next: inout UInt64?, _ slots: inout [Slot], in snapshot: Snapshot?
  ) throws(StoreError) -> StoreError? {
    do {
      try read(snapshot) { index throws(StoreError) in
        slots = []
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
    // Buckets that merged since the last step begin below what is still to come.
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

  /// Verifies the record and passes on where key and value lie; nil if it has expired.
  private func withRecord<R>(
    _ slot: Slot, _ clock: Clock, _ memory: StoreMemory,
    _ body: (FoundBytes, FoundBytes) -> R
  ) throws(StoreError) -> R? {
    let record = try Record(memory, at: slot.position)
    let value = try record.value()
    if let expiry = record.expiry, expiry <= clock.now() { return nil }
    return body(
      FoundBytes(bytes: memory.bytes, range: record.keyRange), FoundBytes(bytes: memory.bytes, range: value))
  }

  func forEach(_ body: (RawSpan, RawSpan) throws -> Void) throws {
    try pinning { Result { try forEach(in: nil, body) } }.get()
  }

  /// Runs `body`; until it ends nothing is reused that it may meet.
  func pinning<R>(_ body: () -> R) throws(StoreError) -> R {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    let epoch = backing.isShared ? try pins.pinCurrent() : nil
    defer { if let epoch { try? pins.unpin(epoch) } }
    return body()
  }

  /// What is pointed to must not be reused meanwhile.
  func forEach(in snapshot: Snapshot?, _ body: (RawSpan, RawSpan) throws -> Void) throws {
    let clock = snapshot?.clock ?? clock
    var next: UInt64? = 0
    while let from = next {
      var slots: [Slot] = []
      let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot)
      let bytes = source.memory.bytes
      for slot in slots { bytes.prefetch(Int(slot.position.offset)) }
      for slot in slots {
        let found = try read(snapshot) { index throws(StoreError) in
          try withRecord(slot, clock, index.memory) { key, value in (key, value) }
        }
        guard let (key, value) = found else { continue }
        try body(key.span, value.span)
        try checkNotLost()
      }
      if let damage { throw damage }
    }
  }
}
