/// What a compaction asks of the writer.
extension Writer {
  /// Whether the log or compaction writes to the segment now, or soon.
  func isInUse(_ segment: Unit) -> Bool {
    let number = segment.number
    return number == shared[.segment].number || number == shared[.nextSegment].number
      || number == shared[.moveSegment].number || number == shared[.victim].number
  }

  /// No segment ends beyond the mark; a forged entry may say so.
  func mayBeEmptied(_ segment: Unit) -> Bool {
    !isInUse(segment) && segment.number + Layout.segmentUnits <= space.highWater
  }

  /// Ends the segments that are being written, so that they can be emptied like the
  /// others; in a later round those that lie beyond `end`.
  mutating func beginWholeCompaction(beyond end: UInt64?) throws(StoreError) {
    func isLeft(_ segment: SharedWord<Unit>) -> Bool {
      end.map { shared[segment].number + Layout.segmentUnits > $0 } ?? true
    }
    if isLeft(.moveSegment) {
      shared[.moveSegment] = Unit(number: 0)
      shared[.moveTail] = Position(offset: 0)
    }
    if isLeft(.segment) || isLeft(.nextSegment) { try leaveSegment() }
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

  /// Whether a page that points to the bucket of `hash`, or one of its own, lies beyond
  /// `end`; `next` becomes the first hash of the bucket that follows.
  func isBeyond(
    _ end: UInt64, _ hash: KeyHash, _ next: inout UInt64?
  ) throws(StoreError) -> Bool {
    let reader = IndexReader(memory: memory)
    let bucket = try reader.bucketForWalk(hash.bits, next: &next)
    if bucket.page.unit.number >= end { return true }
    var pointer = reader.root
    var depth = 0
    for _ in 0..<pointer.depth {
      if pointer.page.unit.number >= end { return true }
      pointer = memory.node(pointer.page)[hash.entry(depth: depth)]
      depth = pointer.depth
    }
    var chain = OverflowChain(memory, from: memory.header(bucket.page).overflow)
    while let page = try chain.next() {
      if page.unit.number >= end { return true }
    }
    return false
  }

  /// Rewrites the pages of the space table, and drops those that say nothing any more.
  mutating func rewriteSpaceTable() throws(StoreError) {
    try space.dropLeaves()
    for number in stride(from: 0, to: space.highWater, by: SpaceEntry.entriesPerLeaf) {
      _ = try space.writableEntry(Unit(number: number))
    }
    try space.flushReleases()
  }

  /// How many large values there are.
  func extentCount() throws(StoreError) -> Int {
    var count = 0
    for number in Layout.firstFreeUnit..<max(Layout.firstFreeUnit, space.highWater) {
      if try space.entry(Unit(number: number))?.kind == .extent { count += 1 }
    }
    return count
  }

  /// Punches what lies beyond the units in use, except for the reserve; false if that has
  /// to wait.
  ///
  /// A crash leads back to the last checkpoint: what that uses, or calls free and real,
  /// ends at its own mark, and must be left as it is.
  func punchEnd(upTo end: UInt64) throws(StoreError) -> Bool {
    guard backing.isShared else { return true }
    let (block, bothAgree) = try SuperblockPair(memory.fixed).current()
    guard bothAgree, block.highWater.number < end else { return false }
    let first = max(block.highWater.number, space.highWater) + SpaceReserve.kept(memory)
    if first >= end { return true }
    let offset = Int(Unit(number: first).position.offset)
    return try backing.punch(offset: offset, count: Int(end - first) * Layout.unitBytes)
  }

  /// Punches the rest of the segments that are open, except for what is used and for what
  /// puts leave to removals.
  ///
  /// Only while the write lock is held after a checkpoint that is durable. It enters these units as segments,
  /// and nobody relies on disk space in a segment but by the three words looked at here,
  /// which die with the last process: whoever recovers, alone or beside readers, takes no
  /// more for real than the page that the log ends in. In the checkpoint before, the same
  /// units may be free ones that are said to be real.
  func punchRoom() throws(StoreError) {
    log.forgetRoom()
    mover.forgetRoom()
    let segments: [(segment: SharedWord<Unit>, ready: UInt64)] = [
      (.segment, shared[.ready].offset),
      (.moveSegment, shared[.moveReady].offset),
      (.nextSegment, log.nextReadyEnd),
    ]
    for (word, ready) in segments where shared[word].number != 0 {
      let end = shared[word].position.offset + UInt64(Layout.segmentBytes)
      if ready < end { _ = try backing.punch(offset: Int(ready), count: Int(end - ready)) }
    }
  }
}
