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

    var isGap: Bool { record == nil }
    var record: Record? { if case .record(let record) = self { record } else { nil } }
    var isSynced: Bool { record?.flags.contains(.synced) ?? false }
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
  /// tried for a record with a higher number, as long as there is patience. A record with a lower
  /// number is left over from an earlier use of the space.
  ///
  /// - Parameters:
  ///   - last: the number before the first record, if it is known.
  ///   - limit: records of this number and above do not count.
  ///   - isWhole: whether the range is one segment: the search ends at its LINK.
  func walk(
    _ range: Range<Int>, after last: UInt64?, below limit: UInt64, isWhole: Bool,
    _ body: (Finding) throws(Store.Error) -> Void
  ) throws(Store.Error) -> End {
    var end = End(last: last, stop: range.lowerBound)
    var at = range.lowerBound
    var gap: Int?
    var attempt = Attempt(end: range.upperBound, limit: limit, patience: Self.patience * range.count)
    while at + RecordHeader.byteCount <= range.upperBound {
      // A segment may begin here, with any sequence number.
      let mayStart = !isWhole && at % Layout.unitBytes == SegmentHeader.byteCount
      if let record = record(at, after: mayStart ? nil : end.last, isNext: gap == nil, &attempt) {
        if let start = gap {
          try body(.gap(makeGap(start..<at, end.last, record.sequence.number, attempt)))
          gap = nil
          attempt.isSearched = true
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
    if let start = gap { try body(.gap(makeGap(start..<range.upperBound, end.last, nil, attempt))) }
    return end
  }

  /// Calls `body` with each intact record of a segment of moved records. They are in no order, and
  /// what lies after the last one is left over from an earlier use of the space.
  ///
  /// - Returns: the part that was not searched for lack of patience; nil if there is none.
  func walkMoved(_ range: Range<Int>, below limit: UInt64, _ body: (Record) -> Void) -> LogGap? {
    var attempt = Attempt(end: range.upperBound, limit: limit, patience: Self.patience * range.count)
    var at = range.lowerBound
    while at + RecordHeader.byteCount <= range.upperBound {
      if let record = moved(at, &attempt) {
        body(record)
        at += record.storedBytes
      } else if attempt.isSearched {
        at += Layout.recordAlignment
      } else {
        return makeGap(at..<range.upperBound, nil, nil, attempt)
      }
    }
    return nil
  }

  /// How the search of a range goes.
  private struct Attempt {
    let end: Int
    let limit: UInt64
    var patience: Int
    /// Whether patience has sufficed for all that looked like a record since the last one.
    var isSearched = true
  }

  /// The record of the log at an offset, if it is intact and its number may come after `last`.
  private func record(
    _ at: Int, after last: UInt64?, isNext: Bool, _ attempt: inout Attempt
  ) -> Record? {
    let record = Record(memory, uncheckedAt: at)
    let number = record.sequence.number
    var isExact = false
    if let last {
      isExact = isNext && number == last + 1
      guard isNext && record.kind != .cut ? isExact : number > last + 1 else { return nil }
    }
    return isIntact(record, isExact: isExact, &attempt) ? record : nil
  }

  /// The copy that compaction has made at an offset, if it is intact.
  private func moved(_ at: Int, _ attempt: inout Attempt) -> Record? {
    let record = Record(memory, uncheckedAt: at)
    return record.kind == .move && isIntact(record, isExact: false, &attempt) ? record : nil
  }

  /// Whether a record is what was written. It takes patience to find out that it is not, unless this
  /// is the one record that is expected here.
  private func isIntact(_ record: Record, isExact: Bool, _ attempt: inout Attempt) -> Bool {
    let number = record.sequence.number
    guard number > 0, number < attempt.limit, record.isPlausible(before: attempt.end) else { return false }
    if attempt.patience < 0, !isExact {
      attempt.isSearched = false
      return false
    }
    if record.isIntact { return true }
    attempt.patience -= record.header.contentBytes
    return false
  }

  private func makeGap(_ range: Range<Int>, _ last: UInt64?, _ next: UInt64?, _ attempt: Attempt) -> LogGap {
    var gap = LogGap(range: range, last: last, next: next, isSearched: attempt.isSearched)
    guard var number = last else { return gap }
    // Record headers that are right except for the checksum show which keys were hit, as far as
    // damaged bytes can show that.
    var at = range.lowerBound
    while at + RecordHeader.byteCount <= range.upperBound, gap.suspects.count < LogGap.mostSuspects {
      let record = Record(memory, uncheckedAt: at)
      number += 1
      guard record.sequence.number == number, record.header.fits(in: range.upperBound - at),
        record.kind != nil
      else { break }
      if let suspect = LogGap.Suspect(record, isIntact: false) { gap.suspects.append(suspect) }
      at += record.storedBytes
    }
    gap.unexplained = at
    return gap
  }
}

/// A place in the log whose records cannot be read any more.
struct LogGap {
  /// A record that does not count, but may have been written.
  struct Suspect {
    var key: [UInt8]
    var sequence: UInt64
    var offset: Int
    /// Whether its checksum matches.
    var isIntact: Bool

    /// Nil for a record without a key.
    init?(_ record: Record, isIntact: Bool) {
      guard let kind = record.kind, kind == .put || kind == .move || kind == .delete else { return nil }
      (key, sequence, offset) = (record.keyBytes, record.sequence.number, record.offset)
      self.isIntact = isIntact
    }

    /// Why it does not count.
    var reason: String {
      isIntact ? "it may be of a commit that a power failure undid" : "its checksum does not match"
    }
  }

  var range: Range<Int>
  /// Sequence numbers before and after it, where they are known.
  var last: UInt64?
  var next: UInt64?
  /// Whether patience has sufficed to try all of it. If not, there may be whole records in it.
  var isSearched: Bool
  var suspects: [Suspect] = []
  /// From this offset on nothing is known of what was there.
  var unexplained = 0

  static let mostSuspects = 10_000

  init(range: Range<Int>, last: UInt64?, next: UInt64?, isSearched: Bool) {
    self.range = range
    self.last = last
    self.next = next
    self.isSearched = isSearched
    unexplained = range.lowerBound
  }

  /// Intact records that a power failure may have undone, as a gap in which nothing else is; nil if
  /// there are none.
  init?(undone records: [Record]) {
    guard let first = records.first, let last = records.last else { return nil }
    self.init(
      range: first.offset..<max(first.offset, last.offset) + last.storedBytes, last: nil, next: nil,
      isSearched: true)
    suspects = records.compactMap { Suspect($0, isIntact: true) }
    unexplained = range.upperBound
  }

  /// How many records are missing; nil if that is not known.
  var missing: UInt64? {
    guard let last, let next, next > last, next - last < Layout.sequenceJump else { return nil }
    return next - last - 1
  }

  /// Whether records seem to be missing here, wherever the log ends.
  var isDoubtful: Bool {
    if let last, let next, next > last + 1 { return true }
    return !suspects.isEmpty || !isSearched
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
    _ finding: LogSearch.Finding, _ body: (LogSearch.Finding) throws(Store.Error) -> Void
  ) throws(Store.Error) {
    waiting.append(finding)
    guard case .record(let record) = finding, record.flags.contains(.end) else { return }
    try flush(body)
  }

  mutating func flush(_ body: (LogSearch.Finding) throws(Store.Error) -> Void) throws(Store.Error) {
    for finding in waiting { try body(finding) }
    waiting = []
  }

  /// Forgets the waiting records with this number or a higher one.
  mutating func drop(from sequence: UInt64) {
    waiting.removeAll { $0.record.map { $0.sequence.number >= sequence } ?? false }
  }

  /// The last gap in which records seem to be missing, if it waits and no record was added after it.
  var lastGap: LogGap? {
    for case .gap(let gap) in waiting.reversed().prefix(while: \.isGap) where gap.isDoubtful { return gap }
    return nil
  }
}
