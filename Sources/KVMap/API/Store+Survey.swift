// What a report of a store is made of: each unit of the file, and each record without its value.

extension Store {
  /// What a unit of the file is used for, or several in a row that hold one large value.
  package struct UnitUse {
    package enum Kind {
      case log
      case largeValue
      case index
      case free
    }

    /// What has to happen before a free unit is written again.
    package enum Wait {
      case nothing
      case checkpoint
      case pin
    }

    package fileprivate(set) var kind: Kind
    /// Its number; the superblocks are in unit 0.
    package fileprivate(set) var first: Int
    package fileprivate(set) var count = 1
    /// Whether a segment of the log begins here.
    package fileprivate(set) var beginsSegment = false
    /// Bytes of live records that begin here.
    package fileprivate(set) var liveBytes = 0
    /// Those of them that have an expiry.
    package fileprivate(set) var expiringBytes = 0
    /// Bytes that hold nothing yet.
    package fileprivate(set) var roomBytes = 0
    /// Whether a free unit may still take disk space.
    package fileprivate(set) var isStored = true
    package fileprivate(set) var wait = Wait.nothing

    /// Bytes of a unit.
    package static var unitBytes: Int { Layout.unitBytes }
    /// Units before the first one that `forEachUnit` passes: superblocks and shared state.
    package static var fixedUnits: Int { Int(Layout.firstFreeUnit) }
  }

  /// What is known of a record without reading its value.
  package struct RecordFacts {
    package let valueLength: Int
    /// What it takes of the file, with the value.
    package let storedBytes: Int
    package let version: UInt64
    /// In milliseconds since 1970; nil for never.
    package let expiry: UInt64?
  }

  /// Calls `body` with all units that are or were in use, in their order. Waits for no lock: beside a writer, each unit
  /// is as it was at some moment during the call.
  package func forEachUnit(_ body: (UnitUse) -> Void) throws(Store.Error) { try core.forEachUnit(body) }

  /// Calls `body` with each record, in no particular order. The span is valid until `body` returns.
  ///
  /// - Returns: how many records, and index pages, were passed over because they are damaged.
  package func forEachRecord(_ body: (_ key: RawSpan, RecordFacts) throws -> Void) throws -> Int {
    try core.pinning { Result { try core.walkRecords(body) } }.get()
  }

  /// The least version of a value that was put by a handle opened at a time, in milliseconds since 1970, or later. Nil
  /// for a time that no version is made of.
  package static func leastVersion(openedAt time: UInt64) -> UInt64? {
    SequenceNumber(number: 0).dated(time)?.number
  }
}

extension StoreCore {
  func forEachUnit(_ body: (Store.UnitUse) -> Void) throws(Store.Error) {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let limits = try releaseLimits()
    let rooms = logRooms()
    let end = usedUnits
    var number = Layout.firstFreeUnit
    while number < end {
      var use = try read { memory throws(Store.Error) in
        let entry = try SpaceReader(memory: memory).entry(Unit(number: number))
        return unitUse(Int(number), entry, limits)
      }
      if use.kind == .largeValue { use.count = Int(min(UInt64(use.count), end - number)) }
      if use.kind == .log {
        let bytes = number * UInt64(Layout.unitBytes)..<(number + 1) * UInt64(Layout.unitBytes)
        use.roomBytes = rooms.reduce(0) { $0 + $1.clamped(to: bytes).count }
      }
      body(use)
      number += UInt64(use.count)
    }
  }

  private func unitUse(
    _ number: Int, _ entry: SpaceEntry?, _ limits: (durable: Epoch, pin: Epoch?)
  ) -> Store.UnitUse {
    var use = Store.UnitUse(kind: .free, first: number)
    use.liveBytes = entry?.live ?? 0
    switch entry?.kind {
    case .segment, .continuation:
      use.kind = .log
      use.beginsSegment = entry?.kind == .segment
      use.expiringBytes = entry?.expiring ?? 0
    case .extent:
      use.kind = .largeValue
      use.count = max(1, entry?.length ?? 1)
    case .index:
      use.kind = .index
      use.roomBytes = ((entry?.used ?? 0) ^ .max).nonzeroBitCount * Layout.pageBytes
    case .fixed: use.kind = .log  // No unit is, after the first ones.
    case .free, nil:
      use.isStored = entry.map { $0.diskSpace != .none } ?? false
      let released = max(entry?.epoch.number ?? 0, shared[.quarantine].number)
      if released > limits.durable.number {
        use.wait = .checkpoint
      } else if let pin = limits.pin, released >= pin.number {
        use.wait = .pin
      }
    }
    return use
  }

  /// How many units are in use or before one that is. Other processes may have stored anything there.
  private var usedUnits: UInt64 {
    min(shared[.highWater].number, Layout.largestFile / UInt64(Layout.unitBytes))
  }

  /// Where log is yet to be written: the rest of the log's segment and of the segment for moved records, and the next
  /// segment.
  func logRooms() -> [Range<UInt64>] {
    let end = usedUnits
    func rest(_ segment: SharedWord<Unit>, _ tail: SharedWord<Position>?) -> Range<UInt64> {
      let unit = shared[segment].number
      guard unit > 0, unit < end else { return 0..<0 }
      let start = unit * UInt64(Layout.unitBytes)
      let whole = start..<start + UInt64(Layout.segmentBytes)
      guard let tail else { return whole }
      return max(start, min(whole.upperBound, shared[tail].offset))..<whole.upperBound
    }
    return [rest(.segment, .tail), rest(.moveSegment, .moveTail), rest(.nextSegment, nil)]
  }

  /// As `forEach`, without values, and going on after damage. The caller keeps what is read from being reused.
  fileprivate func walkRecords(_ body: (RawSpan, Store.RecordFacts) throws -> Void) throws -> Int {
    var next: UInt64? = 0
    var slots: [Slot] = []
    var damaged = 0
    while let from = next {
      next = nil
      if try bucketSlots(from: from, next: &next, &slots, in: nil) != nil { damaged += 1 }
      for number in slots.indices {
        let found: (FoundBytes, Store.RecordFacts)?
        if number + Self.recordsAhead < slots.count { prefetchRecord(slots[number + Self.recordsAhead]) }
        do throws(Store.Error) {
          found = try readFrozen { memory throws(Store.Error) in try facts(slots[number], memory) }
        } catch {
          guard error.code == .damaged else { throw error }
          damaged += 1
          continue
        }
        if let (key, facts) = found { try body(key.span, facts) }
      }
    }
    return damaged
  }

  /// Nil if the record has expired.
  private func facts(_ slot: Slot, _ memory: StoreMemory) throws(Store.Error) -> (
    FoundBytes, Store.RecordFacts
  )? {
    let record = try Record(memory, at: slot.position)
    try record.verify()
    let expiry = record.expiry
    if clock.hasPassed(expiry) { return nil }
    let facts = Store.RecordFacts(
      valueLength: record.header.valueLength, storedBytes: record.header.liveBytes, version: record.version,
      expiry: expiry)
    return (FoundBytes(bytes: memory.bytes, range: record.keyRange), facts)
  }
}
