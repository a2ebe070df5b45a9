import Synchronization

/// Following the changes of a store, as its log tells them.
extension StoreCore {
  /// How often those who wait for a commit look again although nobody has woken them, in milliseconds.
  static let mostWait = 100

  /// The number of the last record that is published, or with `durable` of the last one that is
  /// durable.
  func lastSequence(durable: Bool) -> SequenceNumber {
    SequenceNumber(number: max(1, firstUncounted(durable: durable).number) - 1)
  }

  /// The number of the first record that is not published yet, or not durable.
  private func firstUncounted(durable: Bool) -> SequenceNumber {
    let published = shared[.sequence]
    // What is in memory alone cannot become more durable. A private view of a file can hold what is only in the
    // page cache.
    guard durable, path != nil else { return published }
    return min(published, max(shared[.durableSequence], shared[.checkpointSequence]))
  }

  /// Blocks until there may be a commit or a sync that the caller has not seen.
  func waitForCommit(while next: SequenceNumber, milliseconds: Int) {
    defer { withExtendedLifetime(self) {} }
    guard isOpen.load(ordering: .relaxed) else { return }
    shared.waitForCommit(
      while: next, milliseconds: milliseconds, announces: options.access != .readOnly)
  }

  /// Appends the next changes that `filter` lets through to `changes`, some at a time; none if there are
  /// none yet, or none with a number of at most `last`. Returns the number that the next record had.
  @discardableResult
  func readChanges(
    _ walk: inout ChangeWalk, _ filter: ChangeFilter, upTo last: SequenceNumber = .limit,
    _ changes: inout [Store.Change]
  ) throws(Store.Error) -> SequenceNumber {
    try checkOpen()
    let next = shared[.sequence]
    if let undone = walk.stepBack(to: next) {
      changes.append(.gap(undone))
      return next
    }
    let bound = min(last.next, firstUncounted(durable: filter.durable))
    let start = walk
    var (end, found) = (start, [Store.Change]())
    try read { memory throws(Store.Error) in
      // The read may be repeated.
      (end, found) = (start, [])
      var left = ChangeFilter.mostBytesAtOnce
      while left > 0, let change = try end.change(below: bound, filter, memory, &left) {
        found.append(change)
        if change.isGap { break }
      }
    }
    walk = end
    changes += found
    return next
  }
}

/// Which changes somebody wants to know of.
struct ChangeFilter: Sendable {
  var prefix: [UInt8]
  var values: Bool
  var durable: Bool

  /// About how much is read before it is passed on.
  static let mostBytesAtOnce = 256 << 10
}

extension ChangeWalk {
  /// The next change that the filter lets through; nil if there is none yet, or `left`, from which what
  /// was read is subtracted, is used up.
  fileprivate mutating func change(
    below bound: SequenceNumber, _ filter: ChangeFilter, _ memory: StoreMemory, _ left: inout Int
  ) throws(Store.Error) -> Store.Change? {
    while left > 0 {
      switch try next(below: bound, memory) {
      case .none: return nil
      case .gap(let numbers): return .gap(numbers)
      case .record(let record):
        left -= record.storedBytes
        guard record.hasKey(withPrefix: filter.prefix) else { continue }
        let change = try Store.Change(record, values: filter.values)
        // It may have been overwritten while it was copied.
        if record.isUnchanged {
          left -= change.value?.count ?? 0
          return change
        }
        takeBack(record.sequence)
      }
    }
    return nil
  }
}

extension Store.Change {
  /// Copies a record.
  fileprivate init(_ record: Record, values: Bool) throws(Store.Error) {
    self.init(
      kind: record.kind == .put ? .put : .remove, sequences: record.sequence.number...record.sequence.number,
      key: record.keyBytes, value: values && record.kind == .put ? try record.copyOfValue() : nil,
      version: record.kind == .put ? record.version : 0,
      expiry: record.storedExpiry,
      isLastOfCommit: record.flags.contains(.end))
  }
}

extension Record {
  /// Whether what lies there is still this record, and intact.
  fileprivate var isUnchanged: Bool { RecordHeader(memory.bytes, at: offset) == header && isIntact }

  /// The value's bytes. A large value lies elsewhere: compaction may have moved it, and what lies there may be
  /// reused, or cut off, as soon as a later record replaces this one: then nil.
  fileprivate func copyOfValue() throws(Store.Error) -> [UInt8]? {
    let end = memory.shared[.highWater].position.offset
    if !isExternal || externalStart &+ UInt64(header.valueLength) <= end {
      // Not mapped yet, if this throws: then what the file has gained is mapped, and the read repeated.
      let range = try valueRange()
      let copy = memory.bytes.array(range.lowerBound, count: range.count)
      if !isExternal || (try? verifyExternal(range)) != nil { return copy }
    }
    return try IndexReader(memory: memory).value(of: key, keyHash, version: version)
  }
}

extension IndexReader {
  /// A copy of the value of `key`, if it is the one with this version; else nil. Also if it has expired.
  func value(of key: RawSpan, _ hash: KeyHash, version: UInt64) throws(Store.Error) -> [UInt8]? {
    guard let record = try find(hash, key)?.record(memory), record.version == version else { return nil }
    let range = try record.value()
    return memory.bytes.array(range.lowerBound, count: range.count)
  }
}
