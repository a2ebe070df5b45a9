/// Searches bytes for log records, and trusts nothing but their checksums.
///
/// A checksum covers record header, key and value, and depends on the store's seed and on the
/// record's place. So bytes pass as a record only where this store has written that record: not in
/// a value that holds a copy of them, nor in a value that holds a whole store, another one or this
/// one, since there they lie elsewhere.
struct LogSearch {
  let memory: StoreMemory

  enum Finding {
    case record(Record)
    /// Bytes between records that are not records.
    case gap(LogGap)
  }

  /// Where a walk ended.
  struct End {
    /// Sequence number of the last record.
    var last: UInt64?
    /// Whether it ended at a LINK, as each segment does that is full.
    var isLinked = false
    /// The offset after the last record.
    var stop: Int
  }

  private var bytes: MappedBytes { memory.bytes }

  /// How much work to spend on what looks like a record and is none, in bytes for each byte
  /// searched: somebody may have stored values made of such bytes.
  private static let patience = 16

  /// Searches `range` in order, and passes records and gaps to `body`.
  ///
  /// After a record comes the one with the next number, or damage: then every multiple of 8 is
  /// tried for a record with a higher number. A record with a lower number is left over from an
  /// earlier use of the space.
  ///
  /// - Parameters:
  ///   - last: the number before the first record, if it is known.
  ///   - limit: records of this number and above do not count.
  ///   - isWhole: whether the range is one segment: the search ends at its LINK.
  func walk(
    _ range: Range<Int>, after last: UInt64?, below limit: UInt64, isWhole: Bool,
    _ body: (Finding) throws(StoreError) -> Void
  ) throws(StoreError) -> End {
    var end = End(last: last, stop: range.lowerBound)
    var at = range.lowerBound
    var gap: Int?
    var patience = Self.patience * range.count
    while at + RecordHeader.byteCount <= range.upperBound {
      // A segment may begin here, with any sequence number.
      let mayStart = !isWhole && at % Layout.unitBytes == SegmentHeader.byteCount
      let expected = mayStart ? nil : end.last
      if let record = record(at, range.upperBound, expected, gap == nil, limit, &patience) {
        if let start = gap {
          try body(.gap(makeGap(start..<at, end.last, record.sequence.number)))
          gap = nil
        }
        try body(.record(record))
        end.last = record.sequence.number
        end.stop = at + record.storedBytes
        if record.kind == .link, isWhole {
          end.isLinked = true
          return end
        }
        at += record.storedBytes
      } else {
        if gap == nil { gap = at }
        at += Layout.recordAlignment
        while at + RecordHeader.byteCount <= range.upperBound, bytes.load64(at + 8) >> 8 == 0 {
          at += Layout.recordAlignment
        }
      }
    }
    if let start = gap { try body(.gap(makeGap(start..<range.upperBound, end.last, nil))) }
    return end
  }

  /// Calls `body` with each intact record of a segment of moved records. They are in no order, and
  /// what lies after the last one is left over from an earlier use of the space.
  func walkMoved(_ range: Range<Int>, below limit: UInt64, _ body: (Record) -> Void) {
    var patience = Self.patience * range.count
    var at = range.lowerBound
    while at + RecordHeader.byteCount <= range.upperBound, patience >= 0 {
      let record = Record(memory, uncheckedAt: at)
      if record.kind == .move, record.sequence.number > 0, record.sequence.number < limit,
        record.header.fits(in: range.upperBound - at)
      {
        if record.isIntact {
          body(record)
          at += record.storedBytes
          continue
        }
        patience -= record.header.contentBytes
      }
      at += Layout.recordAlignment
    }
  }

  /// The record at an offset, if it is intact and has a number that may come next.
  private func record(
    _ at: Int, _ end: Int, _ last: UInt64?, _ isNext: Bool, _ limit: UInt64, _ patience: inout Int
  ) -> Record? {
    let record = Record(memory, uncheckedAt: at)
    let number = record.sequence.number
    guard number > 0, number < limit, record.header.fits(in: end - at) else { return nil }
    if let last {
      let isFitting =
        isNext
        ? number == last + (record.kind == .cut ? Layout.sequenceJump : 0) + 1 : number > last + 1
      guard isFitting else { return nil }
    }
    guard patience >= 0 else { return nil }
    if record.isIntact { return record }
    patience -= record.header.contentBytes
    return nil
  }

  private func makeGap(_ range: Range<Int>, _ last: UInt64?, _ next: UInt64?) -> LogGap {
    var gap = LogGap(range: range, last: last, next: next)
    guard var number = last else { return gap }
    // Record headers that are right except for the checksum show which keys were hit, as far as
    // damaged bytes can show that.
    var at = range.lowerBound
    while at + RecordHeader.byteCount <= range.upperBound, gap.suspects.count < LogGap.mostSuspects {
      let record = Record(memory, uncheckedAt: at)
      number += 1
      guard record.sequence.number == number, record.header.fits(in: range.upperBound - at),
        let kind = record.kind
      else { break }
      if kind == .put || kind == .move || kind == .delete {
        gap.suspects.append(LogGap.Suspect(key: record.keyBytes, sequence: number, offset: at))
      }
      at += record.storedBytes
    }
    gap.unexplained = at
    return gap
  }
}

/// A place in the log whose records cannot be read any more.
struct LogGap {
  /// A record whose checksum does not match, but which is in its place otherwise.
  struct Suspect {
    var key: [UInt8]
    var sequence: UInt64
    var offset: Int
  }

  var range: Range<Int>
  /// Sequence numbers before and after it, where they are known.
  var last: UInt64?
  var next: UInt64?
  var suspects: [Suspect] = []
  /// From this offset on nothing is known of what was there.
  var unexplained = 0

  static let mostSuspects = 10_000

  init(range: Range<Int>, last: UInt64?, next: UInt64?) {
    self.range = range
    self.last = last
    self.next = next
    unexplained = range.lowerBound
  }

  /// How many records are missing; nil if that is not known.
  var missing: UInt64? {
    guard let last, let next, next > last, next - last < Layout.sequenceJump else { return nil }
    return next - last - 1
  }

  /// Whether the suspects are all that is missing.
  var isExplained: Bool { missing == UInt64(suspects.count) }
}

/// Passes findings on once the commit that they belong to is known to be complete.
///
/// Before the log's end every record belongs to a complete commit, whichever END was read last; so
/// any later END lets pass what waits. What still waits at the end of the log belongs to a
/// transaction that was given up or interrupted.
struct CommitFilter {
  private var waiting: [LogSearch.Finding] = []

  mutating func add(
    _ finding: LogSearch.Finding, _ body: (LogSearch.Finding) throws(StoreError) -> Void
  ) throws(StoreError) {
    waiting.append(finding)
    guard case .record(let record) = finding, record.flags.contains(.end) else { return }
    try flush(body)
  }

  mutating func flush(_ body: (LogSearch.Finding) throws(StoreError) -> Void) throws(StoreError) {
    for finding in waiting { try body(finding) }
    waiting = []
  }

  /// Forgets the waiting records with this number or a higher one.
  mutating func drop(from sequence: UInt64) {
    waiting.removeAll {
      if case .record(let record) = $0 { record.sequence.number >= sequence } else { false }
    }
  }

  /// The gap that was added last, if it waits and nothing was added after it.
  var lastGap: LogGap? {
    if case .gap(let gap)? = waiting.last { gap } else { nil }
  }
}
