/// Goes through the records of the log in the order of their numbers, from any number on, as far as
/// compaction has left them in the file. For readers: takes no lock.
///
/// A segment that was freed may be overwritten at any time. So a record counts only if it is intact
/// and has just the number that follows, and whoever copies it has to verify it once more. Nothing
/// here needs the index.
struct ChangeWalk: Sendable {
  /// The last number that was passed.
  private(set) var passed: SequenceNumber
  /// Where the next record is expected; nil if it has to be searched for.
  private var place: Place?

  fileprivate struct Place {
    var segment: Unit
    var header: SegmentHeader
    var position: Position
    /// The number of the record there, unless it is a CUT.
    var next: SequenceNumber

    init(_ segment: Unit, _ header: SegmentHeader) {
      self.segment = segment
      self.header = header
      position = Position(offset: segment.position.offset + UInt64(SegmentHeader.byteCount))
      next = header.sequence
    }
  }

  enum Step {
    /// A PUT or DELETE.
    case record(Record)
    /// The records with these numbers are not there, or not any more.
    case gap(ClosedRange<UInt64>)
    /// There is none below the bound.
    case none
  }

  init(after passed: SequenceNumber) { self.passed = passed }

  /// The next record with a number below `bound`, which is that of the first record that does not
  /// count yet. Throws `damaged`.
  mutating func next(below bound: SequenceNumber, _ memory: StoreMemory) throws(Store.Error) -> Step {
    var failed: Position?
    while passed.next < bound {
      guard let here = place else {
        if let gap = try search(memory) { return .gap(gap) }
        continue
      }
      guard let record = Self.record(at: here, below: bound, memory),
        let following = here.after(record, memory)
      else {
        // The segment was reused, or is damaged.
        if failed == here.position {
          throw .damaged("log", at: Int(here.position.offset), "a record that was published is not there")
        }
        failed = here.position
        place = nil
        continue
      }
      // A CUT after `passed` only skips numbers. One that skips `passed` itself says that a power
      // failure has undone records up to that number.
      if record.sequence > passed, here.next <= passed {
        place?.next = record.sequence
        return .gap(pass(from: here.next, before: record.sequence))
      }
      place = following
      guard record.sequence > passed else { continue }
      passed = record.sequence
      if record.kind == .put || record.kind == .delete { return .record(record) }
    }
    return .none
  }

  /// Passes all numbers before `next`, and returns them.
  private mutating func pass(from first: SequenceNumber, before next: SequenceNumber) -> ClosedRange<UInt64> {
    passed = SequenceNumber(number: next.number - 1)
    return first.number...passed.number
  }

  /// Steps back: a record that `next` returned is no longer what it was.
  mutating func takeBack(_ record: SequenceNumber) {
    passed = SequenceNumber(number: record.number - 1)
    place = nil
  }

  /// Leaves out the numbers from `bound` on, which no record has: a power failure has undone those that
  /// had them. Returns them; nil if none was passed.
  mutating func stepBack(to bound: SequenceNumber) -> ClosedRange<UInt64>? {
    guard passed >= bound else { return nil }
    defer { passed = SequenceNumber(number: bound.number - 1) }
    return bound.number...passed.number
  }

  private static func record(at place: Place, below bound: SequenceNumber, _ memory: StoreMemory) -> Record? {
    guard let record = try? Record(memory, at: place.position) else { return nil }
    let end = place.segment.position.offset + UInt64(Layout.segmentBytes)
    let isNext = record.kind == .cut ? record.sequence >= place.next : record.sequence == place.next
    guard isNext, record.sequence < bound, record.header.isOfItsKind,
      place.position.offset + UInt64(record.storedBytes) <= end, record.isIntact
    else { return nil }
    return record
  }

  // MARK: Searching

  /// Finds the segment of the record after `passed`. Returns the numbers that are missing, if it is not
  /// there any more; then goes on with the first record after them.
  private mutating func search(_ memory: StoreMemory) throws(Store.Error) -> ClosedRange<UInt64>? {
    var segment = memory.shared[.segment]
    guard var header = LogScanner.header(memory, of: segment) else {
      throw .damaged(
        "log segment", at: Int(clamping: segment.position.offset), "its header is not what was written")
    }
    var before: [UInt64: [(Unit, SegmentHeader)]]?
    while header.sequence > passed.next {
      if before == nil { before = try Self.segmentsByNext(memory) }
      let previous = before?[segment.number]?.first { _, candidate in
        candidate.ordinal + 1 == header.ordinal && candidate.sequence < header.sequence
      }
      guard let previous else {
        place = Place(segment, header)
        return pass(from: passed.next, before: header.sequence)
      }
      (segment, header) = previous
    }
    place = Place(segment, header)
    return nil
  }

  /// The segments of the log that are in use, by the one that each says is next.
  private static func segmentsByNext(
    _ memory: StoreMemory
  ) throws(Store.Error) -> [UInt64: [(Unit, SegmentHeader)]] {
    let space = SpaceReader(memory: memory)
    let end = memory.shared[.highWater].number
    // Then the read maps what the file has gained, and is repeated: a segment must not seem to be missing.
    if end > memory.mappedBytes / Layout.unitBytes { try memory.outside(memory.mappedBytes) }
    var found: [UInt64: [(Unit, SegmentHeader)]] = [:]
    var number = Layout.firstFreeUnit
    while number < end {
      let unit = Unit(number: number)
      let entry = try space.entry(unit)
      if entry?.kind == .segment, let header = LogScanner.header(memory, of: unit) {
        found[header.next.number, default: []].append((unit, header))
      }
      number += UInt64(max(1, entry?.length ?? 1))
    }
    return found
  }
}

extension ChangeWalk.Place {
  /// Where the record after `record`, which is here, is expected; nil if a LINK leads nowhere.
  fileprivate func after(_ record: Record, _ memory: StoreMemory) -> Self? {
    guard record.kind == .link else {
      var place = self
      place.position.offset += UInt64(record.storedBytes)
      place.next = record.sequence.next
      return place
    }
    let target = Position(offset: record.linkTarget).unit
    guard let header = LogScanner.header(memory, of: target), header.ordinal == self.header.ordinal + 1,
      header.sequence == record.sequence.next
    else { return nil }
    return Self(target, header)
  }
}
