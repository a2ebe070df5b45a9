/// The log after a checkpoint: what it says about a key counts before what the index says.
struct RecentLog {
  private(set) var history: KeyHistory
  /// What is missing in it.
  private(set) var gaps: [LogGap] = []
  /// Where it ends when the store is opened.
  private(set) var end: LogScanner.End
  /// How many records it has.
  private(set) var found = 0
  /// Whether the file ends before the place where the log would go on.
  private(set) var isCut = false

  /// Reads the log to its end, and what lies after damage.
  init(view: SourceView, block: Superblock) throws(Store.Error) {
    let memory = view.memory
    let start = LogWriter.Tail(
      position: block.logPosition, sequence: block.sequence, chain: block.chain)
    var scanner = LogScanner(memory: memory, tail: start, segment: block.segment)
    scanner.scan()
    var beyond = Beyond()
    // A writer may have appended records since the end was found. They may look like the far side
    // of a gap until the end is looked for again.
    for _ in 0..<1_000 {
      beyond = try Self.search(beyond: scanner.end, view)
      if beyond.findings.isEmpty || !scanner.scanOn() { break }
    }
    end = scanner.end
    isCut = beyond.isCut
    history = KeyHistory(memory: memory)
    var walk = LogWalk(memory: memory, from: block.logPosition, upTo: end.tail.position)
    while let record = try walk.next() {
      history.add(record) { _ in true }
      found += 1
    }
    let doubtful = Self.removeDoubtful(&beyond.findings, after: end.tail.sequence.number - 1)
    for finding in beyond.findings {
      switch finding {
      case .record(let record):
        history.add(record) { _ in true }
        found += 1
      case .gap(let gap): add(gap)
      }
    }
    for record in doubtful { history.noteNumber(of: record) }
    if let gap = LogGap(undone: doubtful) { add(gap) }
  }

  private mutating func add(_ gap: LogGap) {
    gaps.append(gap)
    for suspect in gap.suspects { history.add(suspect) { _ in true } }
  }

  /// Removes the records that may be of commits which a power failure undid, before later ones were
  /// given lower numbers because the clock was set back; returns them.
  ///
  /// A record with SYNCED proves that all before it was durable. After the last one, a record counts
  /// as long as what is missing before it fits into the gap.
  private static func removeDoubtful(
    _ findings: inout [LogSearch.Finding], after last: UInt64
  ) -> [Record] {
    let proven = findings.lastIndex(where: \.isSynced) ?? -1
    var (last, room) = (last, 0)
    for (index, finding) in findings.enumerated() {
      switch finding {
      case .gap(let gap): room += gap.range.count
      case .record(let record):
        let missing = record.sequence.number &- last &- 1
        let isNext = missing <= UInt64(room / RecordHeader.byteCount) || record.kind == .cut && room == 0
        if index > proven, !isNext {
          defer { findings.removeSubrange(index...) }
          return findings[index...].compactMap(\.record)
        }
        (last, room) = (record.sequence.number, 0)
      }
    }
    return []
  }

  /// What lies beyond the end of the log.
  private struct Beyond {
    /// Whole commits, and the gaps before them.
    var findings: [LogSearch.Finding] = []
    var isCut = false
  }

  private static func search(
    beyond end: LogScanner.End, _ view: SourceView
  ) throws(Store.Error) -> Beyond {
    let memory = view.memory
    let search = LogSearch(memory: memory)
    let first = end.tail.sequence.number
    let limit = end.tail.sequence.bound.number
    var filter = CommitFilter()
    var beyond = Beyond()
    var segment = end.segment
    var header = end.header
    var from = Int(end.tail.position.offset)
    var last = first - 1
    var ordinal = end.header?.ordinal
    // Whether the log is known to go on where the search is.
    var goesOn = true
    while let start = start(of: segment, memory) {
      let stop = min(start + Layout.segmentBytes, memory.mappedBytes)
      if goesOn { beyond.isCut = from + RecordHeader.byteCount > view.size }
      if from >= stop { break }
      let walked = try search.walk(from..<stop, after: last, below: limit, isWhole: true) {
        finding throws(Store.Error) in
        try filter.add(finding) { beyond.findings.append($0) }
      }
      goesOn = goesOn || walked.last ?? 0 > last
      last = walked.last ?? last
      if goesOn { beyond.isCut = walked.stop + RecordHeader.byteCount > view.size }
      goesOn = walked.isLinked
      guard let next = header?.next ?? successor(of: ordinal, view),
        let following = Self.start(of: next, memory)
      else {
        beyond.isCut = beyond.isCut || walked.isLinked
        break
      }
      let nextHeader = SegmentHeader(memory.bytes, at: following, seed: memory.seed)
      beyond.isCut = beyond.isCut || walked.isLinked && nextHeader == nil
      // A segment that does not continue this one is older.
      if let nextHeader {
        guard nextHeader.sequence.number > last, ordinal.map({ $0 + 1 == nextHeader.ordinal }) ?? true else {
          break
        }
        last = max(last, nextHeader.sequence.number - 1)
      }
      segment = next
      header = nextHeader
      ordinal = nextHeader?.ordinal ?? ordinal.map { $0 + 1 }
      from = following + SegmentHeader.byteCount
    }
    // A record that a crash interrupted and one that was damaged look alike; and one that a writer
    // is about to finish looks like both.
    if let gap = filter.lastGap {
      let isAfterRecords = !beyond.findings.isEmpty || gap.range.lowerBound == Int(end.tail.position.offset)
      if !gap.isSearched || isAfterRecords && !view.isOpenElsewhere { beyond.findings.append(.gap(gap)) }
    }
    return beyond
  }

  private static func start(of segment: Unit, _ memory: StoreMemory) -> Int? {
    guard segment.number >= Layout.firstFreeUnit,
      segment.number < UInt64(memory.mappedBytes / Layout.unitBytes)
    else { return nil }
    return Int(segment.position.offset)
  }

  /// The segment with the next ordinal, when the header that named it is lost.
  private static func successor(of ordinal: UInt64?, _ view: SourceView) -> Unit? {
    guard let ordinal else { return nil }
    let memory = view.memory
    for unit in Layout
      .firstFreeUnit..<max(UInt64(memory.mappedBytes / Layout.unitBytes), Layout.firstFreeUnit)
    {
      let header = SegmentHeader(
        memory.bytes, at: Int(unit) * Layout.unitBytes, seed: memory.seed)
      if header?.ordinal == ordinal + 1 { return Unit(number: unit) }
    }
    return nil
  }
}
