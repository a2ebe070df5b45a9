/// Keys of one bucket, and mostly their values, copied at one moment.
struct CursorBatch {
  /// Which records are to be copied, and how much of them.
  struct Wanted {
    /// From the bucket that covers the first hash.
    var hashes: HashBounds
    /// Only keys that begin with this.
    var prefix: [UInt8]
    /// Also their values.
    var values: Bool
  }

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
  private var moment: QuietMoment?
  private var bytes: [UInt8] = []
  private var items: [Result<Item, Store.Error>] = []
  private var nextItem = 0

  /// How many bytes are copied before values are left to be read later.
  private static let byteLimit = 1 << 20

  /// The next record; nil at the end. Throws for one that could not be read.
  mutating func next() throws(Store.Error) -> Item? {
    guard nextItem < items.count else { return nil }
    nextItem += 1
    return try items[nextItem - 1].get()
  }

  /// Whether the store still is as it was copied.
  func isCurrent(_ shared: SharedState) -> Bool {
    guard let moment else { return false }
    return moment == QuietMoment(shared)
  }

  func key(_ item: Item) -> [UInt8] { Array(bytes[item.key]) }

  /// nil if the value was not copied.
  func entry(_ item: Item) -> Store.Entry? {
    guard let value = item.value else { return nil }
    return Store.Entry(
      key: key(item), value: Array(bytes[value]), version: item.version,
      expiry: item.expiry.map { .at(millisecondsSince1970: $0) } ?? .never)
  }

  // MARK: Filling

  /// Begins anew, before anything is read.
  fileprivate mutating func clear(_ shared: SharedState) {
    moment = QuietMoment(shared)
    bytes.removeAll(keepingCapacity: true)
    items.removeAll(keepingCapacity: true)
    nextItem = 0
  }

  fileprivate mutating func append(_ error: Store.Error) { items.append(.failure(error)) }

  /// Copies a record, unless it has expired or is not wanted.
  fileprivate mutating func append(
    _ record: Record, _ wanted: Wanted, _ clock: Clock
  ) throws(Store.Error) {
    try record.verify()
    if !record.hasKey(withPrefix: wanted.prefix) { return }
    let expiry = record.expiry
    if clock.hasPassed(expiry) { return }
    var item = Item(key: append(record.key), value: nil, version: record.version, expiry: expiry)
    if wanted.values, !record.isExternal, bytes.count < Self.byteLimit {
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
  /// Copies the records of one bucket that are wanted. `next` becomes the first hash after the
  /// bucket; nil at the end.
  ///
  /// A record or page that cannot be read is an error in its place.
  func readBucket(
    _ wanted: CursorBatch.Wanted, next: inout UInt64?, in snapshot: Store.Snapshot?,
    into batch: inout CursorBatch
  ) throws(Store.Error) {
    let clock = snapshot?.clock ?? clock
    while true {
      let mapped = try read(snapshot) { index throws(Store.Error) -> Int? in
        batch.clear(shared)
        let memory = index.memory
        var isUnread = false
        var slots: [Slot] = []
        if let damage = try bucketSlots(wanted.hashes, next: &next, &slots, in: snapshot) {
          batch.append(damage)
        }
        for number in slots.indices {
          if number + Self.recordsAhead < slots.count { prefetchRecord(slots[number + Self.recordsAhead]) }
          do throws(Store.Error) {
            try batch.append(Record(memory, at: slots[number].position), wanted, clock)
          } catch {
            isUnread = true
            batch.append(error.naming(name))
          }
        }
        return isUnread ? memory.mappedBytes : nil
      }
      // A record that cannot be read may lie, in part, in what another process has added to the file.
      if let mapped, try mapGrowth(since: mapped) { continue }
      return
    }
  }
}
