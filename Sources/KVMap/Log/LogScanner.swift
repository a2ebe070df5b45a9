/// Finds the end of the log, starting at a checkpoint, and trusts nothing that it reads.
///
/// A record counts if it lies in bounds, has exactly the next sequence number, and its checksum
/// and chain match; a large value must match as well. The log ends after the last record with END
/// that is reached this way.
struct LogScanner {
  let memory: StoreMemory

  private(set) var tail: LogWriter.Tail
  /// The segment that is being read, and its header if that is valid.
  private(set) var segment: Unit
  private(set) var header: SegmentHeader?

  /// The end of the log: after the last commit that is complete.
  struct End {
    var tail: LogWriter.Tail
    var segment: Unit
    var header: SegmentHeader?
    /// First unit above everything the log's records need.
    var highWater: UInt64
    /// Bytes of the large values up to here.
    var extentBytes = 0

    /// Whether there is no record after that checkpoint.
    func isEmpty(after block: Superblock) -> Bool { tail.sequence == block.sequence }
  }
  private(set) var end: End
  /// First unit above everything seen, in commits that are complete or not.
  private var highWater: UInt64 = 0
  /// Bytes of large values read so far. Extents of one log never overlap, so there are no more of
  /// them than the file has bytes. Without this limit, a few forged records that all name one
  /// large extent would take hours.
  private var extentBytes = 0

  private var bytes: MappedBytes { memory.bytes }

  /// `tail` and `segment` are from a superblock that was checked.
  init(memory: StoreMemory, tail: LogWriter.Tail, segment: Unit) {
    self.memory = memory
    self.tail = tail
    self.segment = segment
    header = Self.header(memory, of: segment)
    end = End(tail: tail, segment: segment, header: header, highWater: 0)
    end.highWater = top
  }

  /// The header of a segment of the log; nil if there is none.
  static func header(_ memory: StoreMemory, of segment: Unit) -> SegmentHeader? {
    guard isInBounds(memory, segment) else { return nil }
    let offset = Int(segment.position.offset)
    guard let header = SegmentHeader(memory.bytes, at: offset, seed: memory.seed), header.isOfLog else {
      return nil
    }
    return header
  }

  private static func isInBounds(_ memory: StoreMemory, _ segment: Unit) -> Bool {
    segment.number >= Layout.firstFreeUnit
      && segment.number <= UInt64(memory.mappedBytes / Layout.unitBytes)
      && Int(segment.position.offset) + Layout.segmentBytes <= memory.mappedBytes
  }

  /// First unit above this segment and the one that is chosen to follow.
  private var top: UInt64 {
    max(segment.number, header?.next.number ?? 0) + Layout.segmentUnits
  }

  /// Reads to the end of the log, and stores it in `end`.
  mutating func scan() {
    while let record = next() {
      if record.isExternal {
        let start = record.externalStart
        let units = (record.header.valueLength + Layout.unitBytes - 1) / Layout.unitBytes
        highWater = max(highWater, start / UInt64(Layout.unitBytes) + UInt64(units))
      }
      highWater = max(highWater, top)
      if record.flags.contains(.end) {
        end = End(
          tail: tail, segment: segment, header: header, highWater: highWater, extentBytes: extentBytes)
      }
    }
  }

  /// Reads again from the end that was found. Returns whether the end has moved.
  mutating func scanOn() -> Bool {
    let before = end.tail.position
    tail = end.tail
    segment = end.segment
    header = end.header
    highWater = end.highWater
    extentBytes = end.extentBytes
    scan()
    return end.tail.position != before
  }

  /// The next record that counts, or nil.
  private mutating func next() -> Record? {
    let position = tail.position
    let segmentEnd = Int(segment.position.offset) + Layout.segmentBytes
    guard Self.isInBounds(memory, segment),
      Int(position.offset) + RecordHeader.byteCount <= segmentEnd
    else { return nil }
    let record = Record(memory, uncheckedAt: Int(position.offset))
    let expected = tail.sequence
    let found = record.sequence
    let isNext = record.kind == .cut ? found > expected : found == expected
    // The last bytes of a segment are kept for LINK.
    let room = segmentEnd - Int(position.offset) - (record.kind == .link ? 0 : RecordHeader.linkBytes)
    guard record.header.fits(in: room), record.header.isOfItsKind, isNext, found < SequenceNumber.limit,
      record.isIntact
    else { return nil }
    let chain = Checksum.chain(tail.chain, record.header.checksum)
    guard record.header.chain == UInt32(truncatingIfNeeded: chain) else { return nil }
    if record.isExternal {
      guard let range = try? record.valueRange(),
        extentBytes + range.count <= memory.mappedBytes,
        (try? record.verifyExternal(range)) != nil
      else { return nil }
      extentBytes += range.count
    }
    var next = Position(offset: position.offset + UInt64(record.storedBytes))
    if record.kind == .link {
      guard let following = follow(record, found.next) else {
        return nil
      }
      segment = following.segment
      header = following.header
      next = Position(offset: segment.position.offset + UInt64(SegmentHeader.byteCount))
    }
    tail = LogWriter.Tail(position: next, sequence: found.next, chain: chain)
    return record
  }

  /// The segment that a LINK names, if this segment's header names the same one and its header
  /// matches; else nil.
  private func follow(
    _ record: Record, _ sequence: SequenceNumber
  ) -> (segment: Unit, header: SegmentHeader)? {
    let target = record.linkTarget
    guard target % UInt64(Layout.unitBytes) == 0 else { return nil }
    let unit = Position(offset: target).unit
    guard let header, header.next == unit, let found = Self.header(memory, of: unit),
      found.ordinal == header.ordinal + 1, found.sequence == sequence
    else { return nil }
    return (unit, found)
  }

  // MARK: End or damage

  /// Searches beyond the end for a SYNCED record. Such a record proves that the log was durable
  /// past this point, so the "end" is damage. Returns its position; nil if there is none.
  ///
  /// `dataRanges` returns the parts of a range that may hold anything other than zeros.
  func damageBeyondEnd(_ dataRanges: (Range<Int>) -> [Range<Int>]) -> Position? {
    var segment = end.segment
    var header = end.header
    var from = Int(end.tail.position.offset)
    while Self.isInBounds(memory, segment) {
      let limit = Int(segment.position.offset) + Layout.segmentBytes
      for range in dataRanges(from..<max(from, limit)) {
        let start = (range.lowerBound + Layout.recordAlignment - 1) & ~(Layout.recordAlignment - 1)
        if let found = syncedRecord(from: start, to: range.upperBound, limit) { return found }
      }
      guard let next = header?.next, Self.isInBounds(memory, next) else { return nil }
      // A hole is not read: on a full tmpfs even reading takes space, and fails.
      let start = Int(next.position.offset)
      let isThere = !dataRanges(start..<start + SegmentHeader.byteCount).isEmpty
      let following = isThere ? Self.header(memory, of: next) : nil
      // Only a segment with the next ordinal continues this log; any other one is older. If the
      // header is damaged, the records of the segment are searched all the same.
      if let following, following.ordinal != header.map({ $0.ordinal + 1 }) { return nil }
      segment = next
      header = following
      from = Int(next.position.offset) + SegmentHeader.byteCount
    }
    return nil
  }

  private func syncedRecord(from start: Int, to stop: Int, _ limit: Int) -> Position? {
    let numbers = end.tail.sequence.next..<end.tail.sequence.bound
    var at = start
    while at + 16 <= stop, at + RecordHeader.byteCount <= limit {
      let order = bytes.load64(at + 8)
      if order & UInt64(RecordHeader.Flags.synced.rawValue) != 0,
        numbers.contains(SequenceNumber(number: order >> 8))
      {
        let record = Record(memory, uncheckedAt: at)
        // A copy that compaction has made is not part of the log.
        if record.kind != .move, record.isPlausible(before: limit), record.isIntact { return record.position }
      }
      at += Layout.recordAlignment
    }
    return nil
  }
}
