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
  /// Keys of the bucket at hand that were not returned yet, last first.
  private var keys: [Result<[UInt8], StoreError>] = []
  /// All hashes below were visited; nil at the end.
  private var position: UInt64? = 0

  init(core: StoreCore) { self.core = core }

  /// The next key and value; nil at the end.
  ///
  /// - Throws: as ``Store/get(_:)``. After an error about one record, the call can
  ///   be repeated for those behind it.
  public mutating func next() throws(StoreError) -> Entry? {
    while true {
      while let key = keys.popLast() {
        let bytes = try key.get()
        if let entry = try unsafe core.entry(bytes.span.bytes) { return entry }
      }
      guard let from = position else { return nil }
      (keys, position) = try core.bucketKeys(from: from)
    }
  }
}

extension StoreCore {
  /// The keys of the bucket that covers hash `from`, without those of hashes
  /// below, and where the bucket after it begins.
  ///
  /// A record that cannot be read is an error in its place among the keys.
  func bucketKeys(
    from: UInt64
  ) throws(StoreError) -> (keys: [Result<[UInt8], StoreError>], next: UInt64?) {
    try read { () throws(StoreError) -> ([Result<[UInt8], StoreError>], UInt64?) in
      let records = RecordReader(memory: memory)
      let bucket = try bucketSlots(from: from)
      for slot in bucket.slots { memory.bytes.prefetch(Int(slot.position.offset)) }
      var keys: [Result<[UInt8], StoreError>] = []
      keys.reserveCapacity(bucket.slots.count)
      for slot in bucket.slots {
        do throws(StoreError) {
          let head = try records.head(at: slot.position)
          try records.verify(head, at: slot.position)
          keys.append(
            .success(
              memory.bytes.array(Int(slot.position.offset) + head.keyOffset, count: head.keyLength)))
        } catch {
          keys.append(.failure(error.naming(name)))
        }
      }
      return (keys, bucket.next)
    }
  }

  /// The slots of the bucket that covers hash `from`, without those of hashes
  /// below, and where the bucket after it begins.
  func bucketSlots(from: UInt64) throws(StoreError) -> (slots: [Slot], next: UInt64?) {
    try read { () throws(StoreError) -> ([Slot], UInt64?) in
      let index = IndexReader(memory: memory)
      let tag = UInt16(truncatingIfNeeded: memory.live[LivePage.epoch])
      let pointer = try index.bucket(KeyHash(bits: from), workingTag: tag)
      try memory.check(pointer, .bucket, workingTag: tag)
      guard pointer.depth < 64 else {
        throw .damaged("index page", at: pointer.page.offset, "its depth makes no sense")
      }
      var slots: [Slot] = []
      var page = pointer.page
      var left = IndexReader.longestChain
      while left > 0 {
        for line in 1...Bucket.lineCount {
          for index in 0..<Bucket.slotsPerLine {
            let slot = Slot(
              bits: memory.bytes.loadAcquire(
                Bucket(bytes: memory.bytes, page: page).offset(line: line, slot: index)))
            if !slot.isEmpty, !slot.isPending { slots.append(slot) }
          }
        }
        page = PageHeader(bytes: memory.bytes, page: page).overflow
        if page.number == 0 { break }
        try index.checkOverflow(page, workingTag: tag)
        left -= 1
      }
      // Buckets that merged since the last step begin below what is still to come.
      let prefix = PageHeader(bytes: memory.bytes, page: pointer.page).prefix
      if prefix < from {
        slots = try slots.filterThrowing { slot throws(StoreError) in try hash(slot) >= from }
      }
      return (slots, pointer.end(after: from))
    }
  }

  private func hash(_ slot: Slot) throws(StoreError) -> UInt64 {
    let records = RecordReader(memory: memory)
    return records.keyHash(try records.head(at: slot.position), at: slot.position).bits
  }

  /// What is stored for `key`; nil if it is absent or has expired.
  func entry(_ key: RawSpan) throws(StoreError) -> Entry? {
    let hash = KeyHash(key, seed: memory.seed)
    return try read { () throws(StoreError) -> Entry? in
      guard let match = try find(key, hash) else { return nil }
      let value = try value(match)
      let records = RecordReader(memory: memory)
      let expiry = records.expiry(match.head, at: match.position)
      return Entry(
        key: memory.bytes.array(
          Int(match.position.offset) + match.head.keyOffset, count: match.head.keyLength),
        value: memory.bytes.array(value.lowerBound, count: value.count),
        version: records.version(match.head, at: match.position),
        expiry: expiry.map { .at(millisecondsSince1970: $0) } ?? .never)
    }
  }

  /// Verifies the record and passes on where key and value lie; nil if it has expired.
  private func withRecord<R>(
    _ slot: Slot, _ body: (RecordHead, Range<Int>, Range<Int>) -> R
  ) throws(StoreError) -> R? {
    let records = RecordReader(memory: memory)
    let head = try records.head(at: slot.position)
    let match = IndexReader.Match(position: slot.position, head: head, slotOffset: 0, slot: slot)
    let value = try value(match)
    if let expiry = records.expiry(head, at: slot.position), expiry <= clock.now() { return nil }
    let key = Int(slot.position.offset) + head.keyOffset
    return body(head, key..<key + head.keyLength, value)
  }

  func forEach(_ body: (RawSpan, RawSpan) throws -> Void) throws {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = unsafe memory.local.pointee.readers.enter()
    defer { unsafe memory.local.pointee.readers.leave(ticket) }
    let needsPin = backing.isShared && !options.exclusive
    let epoch = needsPin ? try pins.pin(memory) : nil
    defer { if let epoch { try? pins.unpin(epoch) } }
    var next: UInt64? = 0
    while let from = next {
      let bucket = try bucketSlots(from: from)
      next = bucket.next
      for slot in bucket.slots { memory.bytes.prefetch(Int(slot.position.offset)) }
      for slot in bucket.slots {
        let ranges = try read { () throws(StoreError) in
          try withRecord(slot) { _, key, value in (key, value) }
        }
        guard let (key, value) = ranges else { continue }
        try body(
          memory.bytes.span(key.lowerBound, count: key.count),
          memory.bytes.span(value.lowerBound, count: value.count))
        try checkNotLost()
      }
    }
  }
}

extension Array {
  fileprivate func filterThrowing<E: Error>(_ isIncluded: (Element) throws(E) -> Bool) throws(E) -> [Element]
  {
    var result: [Element] = []
    for element in self where try isIncluded(element) { result.append(element) }
    return result
  }
}
