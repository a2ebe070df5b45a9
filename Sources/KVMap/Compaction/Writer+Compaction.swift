/// What compaction needs from the writer.
extension Writer {
  /// Whether the log or compaction writes to the segment now or soon, or compaction is emptying it.
  func isInUse(_ segment: Unit) -> Bool {
    let number = segment.number
    return number == shared[.segment].number || number == shared[.nextSegment].number
      || number == shared[.moveSegment].number || number == shared[.victim].number
  }

  /// Whether compaction may empty the segment. A forged entry may name one that ends beyond the
  /// high-water mark.
  func mayBeEmptied(_ segment: Unit) -> Bool {
    !isInUse(segment) && segment.number + Layout.segmentUnits <= space.highWater && !isKept(segment)
  }

  /// Whether the segment is part of the log that is kept for those who follow the changes.
  private func isKept(_ segment: Unit) -> Bool {
    guard keptSegments > 0,
      let header = SegmentHeader(memory.bytes, at: Int(segment.position.offset), seed: memory.seed),
      header.isOfLog
    else { return false }
    return header.ordinal + keptSegments >= shared[.segmentOrdinal]
  }

  /// Closes the segments that are being written, so that they can be emptied like the others; with
  /// `end`, only those that reach beyond it.
  mutating func beginWholeCompaction(beyond end: UInt64?) throws(Store.Error) {
    func isLeft(_ segment: SharedWord<Unit>) -> Bool {
      end.map { shared[segment].number + Layout.segmentUnits > $0 } ?? true
    }
    if isLeft(.moveSegment) {
      shared[.moveSegment] = Unit(number: 0)
      shared[.moveTail] = Position(offset: 0)
    }
    if isLeft(.segment) || isLeft(.nextSegment) { try leaveSegment() }
  }

  /// Closes the log's segment and goes on in the next one.
  private mutating func leaveSegment() throws(Store.Error) {
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

  /// Whether a page of the bucket of `hash`, or a page on the path to it, lies beyond `end`. Sets
  /// `next` to the first hash of the bucket that follows.
  func isBeyond(
    _ end: UInt64, _ hash: KeyHash, _ next: inout UInt64?
  ) throws(Store.Error) -> Bool {
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

  /// Rewrites the pages of the space table, after dropping those that are only about units beyond
  /// the high-water mark.
  mutating func rewriteSpaceTable() throws(Store.Error) {
    try space.dropLeaves()
    for number in stride(from: 0, to: space.highWater, by: SpaceEntry.entriesPerLeaf) {
      _ = try space.writableEntry(Unit(number: number))
    }
    try space.flushReleases()
  }

  /// How many large values the store has.
  func extentCount() throws(Store.Error) -> Int {
    var count = 0
    for number in Layout.firstFreeUnit..<max(Layout.firstFreeUnit, space.highWater) {
      if try space.entry(Unit(number: number))?.kind == .extent { count += 1 }
    }
    return count
  }

  /// Punches from the high-water mark to unit `end`, except the reserve. Returns false if that has
  /// to wait.
  ///
  /// After a crash the table of the last checkpoint counts. Units that it uses, or enters as free
  /// with all their disk space, lie before its own high-water mark, and must be left as they are.
  func punchEnd(upTo end: UInt64) throws(Store.Error) -> Bool {
    guard backing.isShared else { return true }
    let (block, bothAgree) = try SuperblockPair(memory.fixed).current()
    guard bothAgree, block.highWater.number < end else { return false }
    let first = max(block.highWater.number, space.highWater) + SpaceReserve.kept(memory)
    if first >= end { return true }
    let offset = Int(Unit(number: first).position.offset)
    return try backing.punch(offset: offset, count: Int(end - first) * Layout.unitBytes)
  }

  /// Punches the open segments, except what is used and what puts leave to removals.
  ///
  /// Only while the write lock is held from a checkpoint that is durable by now. That checkpoint
  /// enters these units as segments. How much disk space an open segment has is known only from the
  /// words read here, and these end with the last process: recovery, alone or beside readers,
  /// assumes disk space only for the page in which the log ends. In the checkpoint before, the same
  /// units may be free ones that are entered with all their disk space.
  func punchRoom() throws(Store.Error) {
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
