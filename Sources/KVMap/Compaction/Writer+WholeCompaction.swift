/// Compaction of all of a store, in slices between which others may write.
extension Writer {
  /// Ends the current segment, so that it can be emptied like the others, and
  /// forgets where space was looked for last.
  mutating func beginWholeCompaction() throws(StoreError) {
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
    live[LivePage.moveSegment] = 0
    live[LivePage.moveTail] = 0
  }

  /// Begins to look through the table for all that can be won.
  mutating func beginWholeLook() {
    compactor.begin(live[LivePage.durableEpoch], taken: 0)
  }

  /// Keeps as candidates what has garbage, or lies behind where the file could
  /// end; returns how many bytes they hold.
  mutating func chooseAllCandidates(end: UInt64) -> Int {
    compactor.candidates.removeAll {
      $0.live > Compactor.fullestOfAll && $0.segment.number + Layout.segmentUnits <= end
    }
    return compactor.candidates.reduce(0) { $0 + $1.live }
  }

  /// Moves records for a slice of time; returns how many bytes that were, nil at the end.
  mutating func moveSlice(bytes: Int) throws(StoreError) -> Int? {
    var moved = 0
    while moved < bytes {
      guard let cost = try moveNextRecord(fullest: .max) else { return moved > 0 ? moved : nil }
      moved += cost
    }
    return moved
  }

  /// Rewrites the index pages of some buckets, which merges them and puts them into
  /// the lowest free pages, and moves large values that lie behind `end`. Returns
  /// the hash to go on with, nil at the end.
  mutating func rewriteBuckets(from hash: UInt64, end: UInt64) throws(StoreError) -> UInt64? {
    var next: UInt64? = hash
    for _ in 0..<64 {
      guard let from = next else { return nil }
      let key = KeyHash(bits: from)
      try index.mergeBucket(key, space: &space)
      let bucket = try index.writablePath(key, space: &space).bucket
      if PageHeader(bytes: memory.bytes, page: bucket.page).overflow.number != 0 {
        try index.makeOverflowWritable(bucket.page, space: &space)
      }
      try moveRuns(bucket.page, behind: end)
      try space.recordReleases()
      next = bucket.end(after: from)
    }
    return next
  }

  /// Rewrites the pages of the space table.
  mutating func rewriteSpaceTable() throws(StoreError) {
    for number in stride(from: 0, to: space.highWater, by: SpaceEntry.entriesPerLeaf) {
      _ = try space.writableEntry(Unit(number: number))
    }
    try space.recordReleases()
  }

  /// Gives back the disk space of segments that are open, beyond what is surely there:
  /// what they had before they were taken for what they are.
  func giveBackRoom() throws(StoreError) {
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
    let position = mover.copy(head, from: slot.position, run: offset)
    memory.bytes.storeRelease(Slot(tag: slot.tag, position: position).bits, slotOffset)
    let expiry = records.expiry(head, at: slot.position)
    try space.addRecord(unit, bytes: head.storedBytes, expiry: expiry)
    try space.removeRecord(slot.position.unit, bytes: head.storedBytes, expires: expiry != nil)
    try space.releaseUnits(run.first)
  }
}
