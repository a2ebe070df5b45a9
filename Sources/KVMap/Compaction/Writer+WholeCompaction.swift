/// Compaction of all of a store, in slices between which others may write.
extension Writer {
  /// Ends the segments that are being written, so that they can be emptied like the
  /// others; in a later round those that lie behind `end`.
  mutating func beginWholeCompaction(behind end: UInt64?) throws(StoreError) {
    func isLeft(_ segment: LivePage.Word) -> Bool {
      end.map { live[segment] + Layout.segmentUnits > $0 } ?? true
    }
    if isLeft(LivePage.moveSegment) {
      live[LivePage.moveSegment] = 0
      live[LivePage.moveTail] = 0
    }
    if isLeft(LivePage.segment) || isLeft(LivePage.nextSegment) { try leaveSegment() }
  }

  private mutating func leaveSegment() throws(StoreError) {
    var tail = log.tail
    let mark = log.mark(tail)
    do {
      try log.leaveSegment(tail: &tail, space: &space)
    } catch {
      try log.rollBack(to: mark, space: &space)
      throw error
    }
    try enterLog(tail, isDurable: false)
    complete(tail)
  }

  /// Begins to look through the table for all that can be won.
  mutating func beginWholeLook() throws(StoreError) {
    try space.reuse.refresh(memory, backing)
    compactor.begin(live[LivePage.durableEpoch], taken: 0)
  }

  /// Keeps as candidates what has garbage, or lies behind where the file could
  /// end; returns how many bytes they hold.
  ///
  /// - Parameter room: units that a later round may fill. Most garbage was won in the
  ///   first one.
  mutating func chooseAllCandidates(end: UInt64, room: Int?) -> Int {
    let fullest = room == nil ? Compactor.fullestOfAll : Layout.segmentBytes / 2
    compactor.candidates.removeAll {
      $0.live > fullest && $0.segment.number + Layout.segmentUnits <= end
    }
    guard let room else { return compactor.candidates.reduce(0) { $0 + $1.live } }
    // The emptiest, which come last, as far as there is room for them.
    var bytes = 0
    let first = compactor.candidates.lastIndex {
      bytes += $0.live
      return bytes > room * Layout.unitBytes
    }
    if let first { bytes -= compactor.candidates[first].live }
    compactor.candidates.removeSubrange(..<(first.map { $0 + 1 } ?? 0))
    return bytes
  }

  /// Moves records for a slice of time; false at the end.
  mutating func moveSlice(bytes: Int) throws(StoreError) -> Bool {
    var cost = 0
    while cost < bytes {
      guard let one = try moveNextRecord(fullest: .max) else { return false }
      cost += one
    }
    return true
  }

  /// Which of the buckets' pages are rewritten, and whether their large values are looked at.
  struct Rewriting {
    /// Where the file could end.
    var end: UInt64
    /// All of them, which also merges them; else those that lie behind the end.
    var isOfAll: Bool
    var includesRuns: Bool
  }

  /// Rewrites the index pages of some buckets, which puts them into the lowest free
  /// pages, and moves large values that lie behind the end. Returns the hash to go on
  /// with, nil at the end.
  mutating func rewriteBuckets(
    from hash: UInt64, _ rewriting: Rewriting
  ) throws(StoreError) -> UInt64? {
    var next: UInt64? = hash
    for _ in 0..<64 {
      guard let from = next else { return nil }
      let key = KeyHash(bits: from)
      if rewriting.isOfAll { try index.mergeBucket(key, space: &space) }
      if !rewriting.isOfAll, !rewriting.includesRuns, try !isBehind(rewriting.end, key, &next) { continue }
      let bucket = try index.writablePath(key, space: &space).bucket
      if PageHeader(bytes: memory.bytes, page: bucket.page).overflow.number != 0 {
        try index.makeOverflowWritable(bucket.page, space: &space)
      }
      compactor.movedBytes += Layout.pageBytes
      if rewriting.includesRuns { try moveRuns(bucket.page, behind: rewriting.end) }
      try space.recordReleases()
      next = bucket.end(after: from)
    }
    return next
  }

  /// Whether a page that leads to the bucket of `hash`, or one of its own, lies behind
  /// `end`; `next` becomes the first hash of the bucket that follows.
  private func isBehind(
    _ end: UInt64, _ hash: KeyHash, _ next: inout UInt64?
  ) throws(StoreError) -> Bool {
    let reader = IndexReader(memory: memory)
    let tag = index.epoch.tag
    let bucket = try reader.bucketForWalk(hash.bits, behind: &next)
    if bucket.page.unit.number >= end { return true }
    var pointer = reader.root
    var depth = 0
    for _ in 0..<pointer.depth {
      if pointer.page.unit.number >= end { return true }
      pointer = NodePage(bytes: memory.bytes, page: pointer.page)[hash.entry(depth: depth)]
      depth = pointer.depth
    }
    var page = PageHeader(bytes: memory.bytes, page: bucket.page).overflow
    var chain = ChainGuard()
    while page.number != 0 {
      try chain.pass(page)
      try reader.checkOverflow(page, workingTag: tag)
      if page.unit.number >= end { return true }
      page = PageHeader(bytes: memory.bytes, page: page).overflow
    }
    return false
  }

  /// Rewrites the pages of the space table, and drops those that say nothing any more.
  mutating func rewriteSpaceTable() throws(StoreError) {
    try space.dropLeaves()
    for number in stride(from: 0, to: space.highWater, by: SpaceEntry.entriesPerLeaf) {
      _ = try space.writableEntry(Unit(number: number))
    }
    try space.recordReleases()
  }

  /// Gives back the disk space of segments that are open, but for what is used and for what
  /// puts leave to removals.
  ///
  /// Only in the turn of a checkpoint that is durable. It enters these units as segments,
  /// and nobody relies on disk space in a segment but by the three words looked at here,
  /// which die with the last process: whoever recovers, alone or beside readers, takes no
  /// more for real than the page that the log ends in. In the checkpoint before, the same
  /// units may be free ones that are said to be real.
  func giveBackRoom() throws(StoreError) {
    log.forgetRoom()
    mover.forgetRoom()
    let segments: [(segment: LivePage.Word, ready: UInt64)] = [
      (LivePage.segment, live[LivePage.ready]),
      (LivePage.moveSegment, live[LivePage.moveReady]),
      (LivePage.nextSegment, log.nextReadyEnd),
    ]
    for (word, ready) in segments where live[word] != 0 {
      let end = Unit(number: live[word]).position.offset + UInt64(Layout.segmentBytes)
      if ready < end { _ = try backing.giveBack(offset: Int(ready), count: Int(end - ready)) }
    }
  }

  // MARK: Large values

  private mutating func moveRuns(_ bucket: PageNumber, behind end: UInt64) throws(StoreError) {
    var page = bucket
    // Made writable, and so checked, by the caller.
    while page.number != 0 {
      let slots = Bucket(bytes: memory.bytes, page: page)
      for line in 1...Bucket.lineCount {
        for index in 0..<Bucket.slotsPerLine {
          let slot = slots.load(line: line, slot: index)
          if slot.isEmpty { continue }
          let head = try records.head(at: slot.position)
          guard head.flags.contains(.external) else { continue }
          let run = try run(of: head, at: slot.position)
          guard run.first.number + UInt64(run.count) > end else { continue }
          try moveRun(head, slot, at: slots.offset(line: line, slot: index), run)
        }
      }
      page = PageHeader(bytes: memory.bytes, page: page).overflow
    }
  }

  /// Copies a large value and its record, if there is room for it further down.
  private mutating func moveRun(
    _ head: RecordHead, _ slot: Slot, at slotOffset: Int, _ run: (first: Unit, count: Int)
  ) throws(StoreError) {
    let range = try records.valueRange(head, at: slot.position)
    // Damage stays where it is, and is told when it is met.
    guard head.isIntact(memory.bytes, at: Int(slot.position.offset), seed: memory.seed),
      (try? records.verifyExternal(head, at: slot.position, range: range)) != nil
    else { return }
    let match = IndexReader.Match(position: slot.position, head: head, slotOffset: slotOffset, slot: slot)
    try prepareRelease(match)
    let unit = try mover.makeRoom(for: head.storedBytes, space: &space)
    _ = try space.writableEntry(unit)
    guard let target = try space.allocateBelow(run.first, run.count, as: .run) else { return }
    do {
      try backing.makeReal(
        offset: Int(target.position.offset), count: run.count * Layout.unitBytes, scattered: true)
      try space.recordReleases()
    } catch {
      try space.releaseUnits(target)
      throw error
    }
    let offset = Int(target.position.offset)
    memory.bytes.copy(from: range.lowerBound, to: offset, count: range.count)
    compactor.movedBytes += range.count
    let position = mover.copy(head, from: slot.position, run: offset)
    memory.bytes.storeRelease(Slot(tag: slot.tag, position: position).bits, slotOffset)
    let expiry = records.expiry(head, at: slot.position)
    try space.addRecord(unit, bytes: head.storedBytes, expiry: expiry)
    try space.removeRecord(slot.position.unit, bytes: head.storedBytes, expires: expiry != nil)
    try space.releaseUnits(run.first)
  }
}
