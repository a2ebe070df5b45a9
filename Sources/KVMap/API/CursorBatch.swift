/// Keys of one bucket, and mostly their values, copied at one moment.
struct CursorBatch {
  /// A record, by where its copy lies.
  struct Item {
    fileprivate var key: Range<Int>
    /// nil if the value was not copied.
    fileprivate var value: Range<Int>?
    fileprivate var version: UInt64
    /// In milliseconds since 1970; nil for never.
    fileprivate(set) var expiry: UInt64?
  }

  /// When it was copied; nil if a change was under way.
  private var moment: Moment?
  private var bytes: [UInt8] = []
  private var items: [Result<Item, StoreError>] = []
  private var nextItem = 0

  /// How many bytes are copied before values are left to be read later.
  private static let byteLimit = 1 << 20

  /// The next record; nil at the end. Throws for one that could not be read.
  mutating func next() throws(StoreError) -> Item? {
    guard nextItem < items.count else { return nil }
    nextItem += 1
    return try items[nextItem - 1].get()
  }

  /// Whether the store still is as it was copied.
  func isCurrent(_ shared: SharedState) -> Bool {
    guard let moment else { return false }
    return moment == Moment(shared)
  }

  func key(_ item: Item) -> [UInt8] { Array(bytes[item.key]) }

  /// nil if the value was not copied.
  func entry(_ item: Item) -> Entry? {
    guard let value = item.value else { return nil }
    return Entry(
      key: key(item), value: Array(bytes[value]), version: item.version,
      expiry: item.expiry.map { .at(millisecondsSince1970: $0) } ?? .never)
  }

  /// A moment in which nobody had the write lock. Every change ends with another log tail, or,
  /// without a record, with another epoch.
  private struct Moment: Equatable {
    private let tail: Position
    private let epoch: Epoch

    /// nil if a change is under way. A change stores its process, then slots, then the tail, and
    /// then clears the process. These loads come in the other order, so whoever has seen one of the
    /// slots gets nil, or another tail.
    init?(_ shared: SharedState) {
      guard shared[.busy] == 0 else { return nil }
      tail = shared[.tail]
      epoch = shared[.epoch]
    }
  }

  // MARK: Filling

  /// Begins anew, before anything is read.
  fileprivate mutating func clear(_ shared: SharedState) {
    moment = Moment(shared)
    bytes.removeAll(keepingCapacity: true)
    items.removeAll(keepingCapacity: true)
    nextItem = 0
  }

  fileprivate mutating func append(_ error: StoreError) { items.append(.failure(error)) }

  /// Copies a record, unless it has expired.
  fileprivate mutating func append(
    _ record: Record, withValue: Bool, _ clock: Clock
  ) throws(StoreError) {
    try record.verify()
    let expiry = record.expiry
    if clock.hasPassed(expiry) { return }
    var item = Item(key: append(record.key), value: nil, version: record.version, expiry: expiry)
    if withValue, !record.isExternal, bytes.count < Self.byteLimit {
      let value = try record.valueRange()
      item.value = append(record.memory.bytes.span(value.lowerBound, count: value.count))
    }
    items.append(.success(item))
  }

  private mutating func append(_ span: RawSpan) -> Range<Int> {
    let start = bytes.count
    unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    return start..<bytes.count
  }
}

extension Clock {
  /// Whether a time, in milliseconds since 1970, has passed; false for never.
  @inline(__always)
  func hasPassed(_ time: UInt64?) -> Bool {
    guard let time else { return false }
    return time <= now()
  }
}

extension StoreCore {
  /// Copies the records of the bucket that covers hash `from`, without those of lower hashes.
  /// `next` becomes the first hash after the bucket; nil at the end.
  ///
  /// A record or page that cannot be read is an error in its place.
  func readBucket(
    from: UInt64, next: inout UInt64?, withValues: Bool, in snapshot: Snapshot?, into batch: inout CursorBatch
  ) throws(StoreError) {
    let clock = snapshot?.clock ?? clock
    while true {
      let unmapped = try read(snapshot) { index throws(StoreError) -> Int? in
        batch.clear(shared)
        let memory = index.memory
        var isUnmapped = false
        var slots: [Slot] = []
        if let damage = try bucketSlots(from: from, next: &next, &slots, in: snapshot) {
          batch.append(damage)
        }
        for number in slots.indices {
          if number + Self.recordsAhead < slots.count { prefetchRecord(slots[number + Self.recordsAhead]) }
          do throws(StoreError) {
            try batch.append(Record(memory, at: slots[number].position), withValue: withValues, clock)
          } catch {
            if slots[number].position.offset >= memory.mappedBytes { isUnmapped = true }
            batch.append(error.naming(name))
          }
        }
        return isUnmapped ? memory.mappedBytes : nil
      }
      // Another process has added to the file since this one mapped it.
      if let unmapped, try mapGrowth(since: unmapped) { continue }
      return
    }
  }
}
