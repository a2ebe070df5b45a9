/// Reads the whole log, wherever its segments lie in the file, for keys about
/// which the index says nothing.
struct LogHistory {
  let memory: StoreMemory
  /// Bytes of the file.
  let size: Int
  /// The checkpoint up to which the log is read; nil to read to its end.
  let block: Superblock?
  /// The kinds of the units by the space table; nil where they are unknown.
  let kinds: [UnitKind?]

  private(set) var gaps: [LogGap] = []
  /// Whether the log was found from the store's first record on.
  private(set) var isComplete = true

  private var segments: [(start: Int, header: SegmentHeader)] = []
  /// Where segments of moved records begin.
  private var moved: [Int] = []
  /// Parts of the file that may be log and belong to no segment that was found.
  private var orphans: [Range<Int>] = []

  init(_ view: SourceView, block: Superblock?, kinds: [UnitKind?]) {
    memory = view.memory
    size = view.size
    self.block = block
    self.kinds = kinds
    findSegments()
    orphans = orphans.flatMap { view.dataRanges($0) }
  }

  private var limit: UInt64 { block?.sequence.number ?? SequenceNumber.limit.number }

  // MARK: Segments

  private mutating func findSegments() {
    let units = (size + Layout.unitBytes - 1) / Layout.unitBytes
    var isCovered = Array(repeating: false, count: units)
    var found: [(start: Int, header: SegmentHeader)] = []
    for unit in stride(from: Int(Layout.firstFreeUnit), to: units, by: 1) {
      let start = unit * Layout.unitBytes
      guard start + SegmentHeader.byteCount <= memory.mappedBytes,
        let header = SegmentHeader(memory.bytes, at: start, seed: memory.seed), mayBeSegment(unit)
      else { continue }
      for covered in unit..<min(unit + Int(Layout.segmentUnits), units) { isCovered[covered] = true }
      if header.isOfLog { found.append((start, header)) } else { moved.append(start) }
    }
    chooseSegments(found)
    var start: Int?
    for unit in Int(Layout.firstFreeUnit)...max(units, Int(Layout.firstFreeUnit)) {
      let isOrphan = unit < units && !isCovered[unit] && mayBeLog(unit)
      if isOrphan, start == nil { start = unit * Layout.unitBytes }
      if !isOrphan, let from = start {
        orphans.append(from..<min(unit * Layout.unitBytes, memory.mappedBytes))
        start = nil
      }
    }
  }

  /// Whether a segment may begin at this unit: not if the table says that something else does.
  private func mayBeSegment(_ unit: Int) -> Bool {
    guard unit < kinds.count, let kind = kinds[unit] else { return true }
    return kind == .segment
  }

  private func mayBeLog(_ unit: Int) -> Bool {
    guard unit < kinds.count, let kind = kinds[unit] else { return true }
    return kind == .segment || kind == .continuation
  }

  /// Chooses one segment for each ordinal, in the order of the log. A transaction that was given
  /// up, or a crash, may have left a header whose ordinal was used again later.
  private mutating func chooseSegments(_ found: [(start: Int, header: SegmentHeader)]) {
    let sorted = found.sorted {
      ($0.header.ordinal, $0.header.sequence) < ($1.header.ordinal, $1.header.sequence)
    }
    let last = lastOrdinal(sorted)
    for candidate in sorted {
      if let last, candidate.header.ordinal > last { break }
      guard let previous = segments.last else {
        segments.append(candidate)
        continue
      }
      if candidate.header.ordinal > previous.header.ordinal {
        segments.append(candidate)
        continue
      }
      // Take the one that the segment before them names; else the later one.
      let before = segments.dropLast().last?.header
      let leadsToFirst = before.map { Int($0.next.position.offset) == previous.start } ?? false
      if !leadsToFirst { segments[segments.count - 1] = candidate }
    }
    if let first = segments.first?.header, first.ordinal != 1 { isComplete = false }
    for (before, after) in zip(segments, segments.dropFirst())
    where after.header.ordinal != before.header.ordinal + 1 { isComplete = false }
    if segments.isEmpty { isComplete = false }
    if let last, segments.last?.header.ordinal != last { isComplete = false }
  }

  /// The ordinal of the segment that the checkpoint's log ends in.
  private func lastOrdinal(_ found: [(start: Int, header: SegmentHeader)]) -> UInt64? {
    guard let block else { return nil }
    let start = Int(block.segment.position.offset)
    if let own = found.last(where: { $0.start == start }) { return own.header.ordinal }
    return found.last { $0.header.next == block.segment }.map { $0.header.ordinal + 1 }
  }

  // MARK: Records

  /// Adds all records of commits that are complete to `history`.
  mutating func read(
    into history: inout KeyHistory, if wants: (KeyHash) -> Bool, progress: (Double) -> Void
  ) throws(Store.Error) {
    let search = LogSearch(memory: memory)
    var filter = CommitFilter()
    var lastRead: UInt64 = 0
    // Copies, because closures that are passed on change them.
    var gaps: [LogGap] = []
    var keys = history
    let total = Double(max(1, segments.count + orphans.count))
    func take(_ finding: LogSearch.Finding) {
      switch finding {
      case .record(let record): keys.add(record, if: wants)
      case .gap(let gap):
        gaps.append(gap)
        for suspect in gap.suspects { keys.add(suspect, if: wants) }
      }
    }
    for (index, segment) in segments.enumerated() {
      progress(Double(index) / total)
      let first = segment.header.sequence.number
      // Left over from before a crash: the log went on with higher numbers elsewhere.
      if first <= lastRead { continue }
      filter.drop(from: first)
      let following = number(after: index)
      let end = try search.walk(
        range(of: segment.start), after: first - 1, below: following ?? limit, isWhole: true
      ) { finding throws(Store.Error) in
        if case .gap(var gap) = finding, gap.next == nil {
          gap.next = following
          // Without a following segment this is the end of the log, unless a record seems to be
          // there.
          if following != nil || gap.isDoubtful { try filter.add(.gap(gap)) { take($0) } }
        } else {
          try filter.add(finding) { take($0) }
        }
      }
      if let last = end.last, last >= first { lastRead = last }
      if index == segments.count - 1, block == nil, end.isLinked || end.stop + RecordHeader.byteCount > size {
        // The log went on where the file ends, or in a segment that was not found.
        isComplete = false
      }
    }
    // Every commit before a checkpoint is complete, even if its END was lost.
    if block != nil {
      try filter.flush { take($0) }
    } else if let gap = filter.lastGap {
      take(.gap(gap))
    }
    for start in moved {
      let rest = search.walkMoved(range(of: start), below: limit) { keys.add($0, if: wants) }
      if let rest { gaps.append(rest) }
    }
    for (index, range) in orphans.enumerated() {
      progress((Double(segments.count + index)) / total)
      var filter = CommitFilter()
      _ = try search.walk(range, after: nil, below: limit, isWhole: false) { finding throws(Store.Error) in
        if case .gap(let gap) = finding, gap.isSearched, gap.last == nil || gap.next == nil { return }
        try filter.add(finding) { take($0) }
      }
      if block != nil {
        try filter.flush { take($0) }
      } else if let gap = filter.lastGap {
        take(.gap(gap))
      }
    }
    if !gaps.isEmpty { isComplete = false }
    self.gaps = gaps
    history = keys
  }

  /// The sequence number of the record after a segment's last one, where it is known.
  private func number(after index: Int) -> UInt64? {
    let (start, header) = segments[index]
    if let block, Int(block.segment.position.offset) == start { return block.sequence.number }
    guard index + 1 < segments.count else { return nil }
    let next = segments[index + 1].header
    return next.ordinal == header.ordinal + 1 && next.sequence > header.sequence ? next.sequence.number : nil
  }

  /// Where the records of a segment lie; in the checkpoint's segment, those before the checkpoint.
  private func range(of start: Int) -> Range<Int> {
    let first = start + SegmentHeader.byteCount
    var end = min(start + Layout.segmentBytes, memory.mappedBytes)
    if let block, Int(block.segment.position.offset) == start {
      end = min(end, Int(block.logPosition.offset))
    }
    return first..<max(first, end)
  }
}
