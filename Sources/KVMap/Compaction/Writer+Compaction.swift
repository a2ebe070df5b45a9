/// Compaction: the part of it that one commit does.
extension Writer {
  /// Wins back a little space, in proportion to what the last commit has written; without
  /// moving records if that is not the time for it.
  @inline(__always)
  mutating func compactAfterCommit(moves: Bool) throws(StoreError) {
    let garbage = Int(clamping: live[LivePage.garbage])
    if compactor.checkpoint == live[LivePage.durableEpoch], compactor.cursor == nil,
      !compactor.hasTooMuchSpare, garbage <= compactor.allowedGarbage
    {
      return
    }
    try compactNow(garbage, moves: moves)
  }

  @inline(never)
  private mutating func compactNow(_ garbage: Int, moves: Bool) throws(StoreError) {
    if compactor.calls.areUnderWay { return }
    var steps = compactor.takeSteps(taken: space.takenUnits)
    if compactor.checkpoint != live[LivePage.durableEpoch] { try beginLook() }
    if compactor.isPaused { return }
    do {
      // Tidying up leaves the reserve to removals.
      try taking(for: .adding) { writer throws(StoreError) in
        try writer.takeSteps(&steps)
        if writer.compactor.cursor != nil || writer.compactor.hasTooMuchSpare { return }
        if moves, !writer.compactor.isPaused { try writer.moveSomeRecords(garbage) }
      }
    } catch {
      // A commit that succeeded is not undone because there is no room to tidy up.
      guard error.code == .diskFull || error.code == .damaged else { throw error }
      compactor.isPaused = true
    }
  }

  /// Looks through the table and gives back what is too much, for so many steps at most.
  private mutating func takeSteps(_ steps: inout Int) throws(StoreError) {
    while steps > 0, !compactor.isPaused {
      if compactor.cursor != nil {
        try lookAtUnits(Compactor.unitsForOneStep)
      } else if compactor.hasTooMuchSpare {
        try giveBackSpare()
      } else {
        return
      }
      steps -= 1
    }
  }

  private mutating func moveSomeRecords(_ garbage: Int) throws(StoreError) {
    compactor.credit = min(
      compactor.credit + takeWritten() * compactor.pace(garbage), Compactor.mostCredit)
    while compactor.credit > 0 {
      guard let cost = try moveNextRecord(fullest: Compactor.fullest) else {
        compactor.credit = 0
        return
      }
      compactor.credit -= cost
    }
  }

  /// Merges the bucket that a key was removed from if it has become sparse.
  /// Looking how full a page is reads all of it: that is done for one key in
  /// sixteen, by bits of its hash that nothing else depends on.
  ///
  /// The removal is done, or sure to be: it does not fail because tidying up does.
  /// Whatever stops a merge stops it between two steps, each of which leaves the
  /// index whole and its pages entered, or listed to be.
  mutating func mergeAfterRemoval(_ hash: KeyHash) throws(StoreError) {
    guard (hash.bits >> 16) & 15 == 0 else { return }
    do {
      try space.taking(for: .adding) { space throws(StoreError) in
        try index.mergeBucket(hash, space: &space)
        try space.recordReleases()
      }
    } catch {
      guard error.code != .lost else { throw error }
    }
  }

  // MARK: Looking through the table

  private mutating func beginLook() throws(StoreError) {
    // What has become free since is to be seen as free.
    try space.reuse.refresh(memory, backing)
    compactor.begin(live[LivePage.durableEpoch], taken: space.takenUnits)
    space.takenUnits = 0
    if space.trimmedEnd > 0, try giveBackEnd(upTo: space.trimmedEnd) { space.trimmedEnd = 0 }
  }

  /// Looks at some more units: what they hold, and what of it is worth winning.
  mutating func lookAtUnits(_ count: Int) throws(StoreError) {
    let now = clock.now()
    for _ in 0..<count {
      guard let number = compactor.cursor else { return }
      guard number < space.highWater else { return finishLook() }
      let unit = Unit(number: number)
      let entry = try space.entry(unit)
      compactor.cursor = number + UInt64(max(1, entry?.length ?? 1))
      switch entry?.kind {
      case .segment where entry?.length == Int(Layout.segmentUnits): try lookAtSegment(unit, now)
      case .index: try lookAtIndexUnit(unit, entry)
      case .free, nil:
        // A crash may have led back to a table that does not know of its disk space: who
        // compacts all of a store asks for it nevertheless.
        let isKnown = entry.map { $0.diskSpace != .none } ?? false
        if isKnown { compactor.otherBytes += Layout.unitBytes }
        if space.isFree(entry), isKnown || compactor.calls.areUnderWay { noteSpare(number) }
      default: break
      }
    }
  }

  private mutating func lookAtSegment(_ segment: Unit, _ now: UInt64) throws(StoreError) {
    guard mayBeEmptied(segment) else { return }
    let live = try space.liveBytes(segment, at: now)
    if live.counted == 0 { return try releaseSegment(segment) }
    compactor.liveBytes += live.probable
    compactor.segmentBytes += Layout.segmentBytes
    if !compactor.damaged.contains(segment.number) {
      compactor.candidates.append(Compactor.Candidate(segment: segment, live: live.probable))
    }
  }

  /// A unit none of whose pages is in use, or may be seen by anyone, is free.
  private mutating func lookAtIndexUnit(_ unit: Unit, _ entry: SpaceEntry?) throws(StoreError) {
    guard let entry else { return }
    compactor.otherBytes += Layout.unitBytes - entry.used.nonzeroBitCount * Layout.pageBytes
    guard space.open?.unit != unit, space.isUnusedIndexUnit(entry) else { return }
    let epoch = entry.epoch
    let changed = try space.writableEntry(unit)
    // Copying the path to the entry may have taken the unit's own pages.
    guard changed.used == 0, space.open?.unit != unit else { return }
    changed.reset(.free)
    changed.diskSpace = .all
    changed.epoch = epoch
    noteSpare(unit.number)
  }

  private mutating func noteSpare(_ number: UInt64) {
    compactor.spareUnits += 1
    if let last = compactor.spare.last, last.upperBound == number {
      compactor.spare[compactor.spare.count - 1] = last.lowerBound..<number + 1
    } else {
      compactor.spare.append(number..<number + 1)
    }
  }

  private mutating func finishLook() {
    compactor.endLook(
      indexBytes: Int(clamping: live[LivePage.indexPages]) * Layout.pageBytes,
      checkpointLog: Int(clamping: Checkpoint.dueAfter(live)))
    live[LivePage.garbage] = UInt64(max(0, compactor.segmentBytes - compactor.liveBytes))
  }

  /// Whether the log or compaction writes to the segment now, or soon.
  func isInUse(_ segment: Unit) -> Bool {
    let number = segment.number
    return number == live[LivePage.segment] || number == live[LivePage.nextSegment]
      || number == live[LivePage.moveSegment] || number == live[LivePage.victim]
  }

  // MARK: Emptying segments

  /// No segment ends behind the mark; a forged entry may say so.
  private func mayBeEmptied(_ segment: Unit) -> Bool {
    !isInUse(segment) && segment.number + Layout.segmentUnits <= space.highWater
  }

  /// Looks at the next record of the segment that is being emptied, and moves it
  /// if it lives. Returns what that cost, in bytes; nil if nothing is worth it.
  mutating func moveNextRecord(fullest: Int) throws(StoreError) -> Int? {
    if live[LivePage.victim] == 0 {
      guard let segment = try chooseVictim(fullest) else { return nil }
      live[LivePage.victim] = segment.number
      live[LivePage.victimOffset] = segment.position.offset + UInt64(SegmentHeader.byteCount)
    }
    let victim = Unit(number: live[LivePage.victim])
    let end = Int(victim.position.offset) + Layout.segmentBytes
    let offset = Int(live[LivePage.victimOffset])
    guard offset + RecordHead.byteCount <= end else { return try finishVictim(victim) }
    let position = Position(offset: UInt64(offset))
    let head = RecordHead(memory.bytes, at: offset)
    guard head.fits(in: end - offset), head.kind != .link else { return try finishVictim(victim) }
    var cost = 16
    if head.kind == .put || head.kind == .move {
      let hash = records.keyHash(head, at: position)
      if try IndexReader(memory: memory).slot(leadingTo: position, hash) != nil {
        // Behind damage nothing is known of where records begin.
        guard head.isIntact(memory.bytes, at: offset, seed: memory.seed) else {
          return try finishVictim(victim)
        }
        try move(head, at: position, hash)
        cost = head.storedBytes
      }
    }
    live[LivePage.victimOffset] = UInt64(offset + head.storedBytes)
    prefetchNext(offset + head.storedBytes, end)
    return cost
  }

  private func prefetchNext(_ offset: Int, _ end: Int) {
    guard offset + RecordHead.byteCount <= end else { return }
    let head = RecordHead(memory.bytes, at: offset)
    guard head.fits(in: end - offset) else { return }
    IndexReader(memory: memory).prefetch(records.keyHash(head, at: Position(offset: UInt64(offset))))
  }

  private mutating func chooseVictim(_ fullest: Int) throws(StoreError) -> Unit? {
    let now = clock.now()
    while let candidate = compactor.candidates.popLast() {
      let segment = candidate.segment
      // Others have written since it was looked at.
      guard let entry = try space.entry(segment), entry.kind == .segment,
        entry.length == Int(Layout.segmentUnits), mayBeEmptied(segment)
      else { continue }
      let live = try space.liveBytes(segment, at: now)
      if live.counted == 0 {
        try releaseSegment(segment)
      } else if live.probable <= fullest {
        return segment
      }
    }
    return nil
  }

  /// Gives the segment back if all that lived in it has moved.
  private mutating func finishVictim(_ segment: Unit) throws(StoreError) -> Int {
    if try space.liveBytes(segment, at: 0).counted == 0 {
      try releaseSegment(segment)
    } else {
      compactor.damaged.insert(segment.number)
    }
    live[LivePage.victim] = 0
    return 64
  }

  private mutating func releaseSegment(_ segment: Unit) throws(StoreError) {
    try space.makeWritable((segment, Int(Layout.segmentUnits)))
    try space.releaseUnits(segment)
    live.lower(LivePage.garbage, by: UInt64(Layout.segmentBytes))
  }

  /// Moves a live record, or drops it if it has expired.
  private mutating func move(
    _ head: RecordHead, at position: Position, _ hash: KeyHash
  ) throws(StoreError) {
    let path = try index.writablePath(hash, space: &space)
    let bucket = path.bucket.page
    if PageHeader(bytes: memory.bytes, page: bucket).overflow.number != 0 {
      try index.makeOverflowWritable(bucket, space: &space)
    }
    guard let slot = try IndexReader(memory: memory).slot(leadingTo: position, hash) else { return }
    let match = IndexReader.Match(
      position: position, head: head, slotOffset: slot, slot: Slot(tag: hash.tag, position: position))
    if try isExpired(match) {
      try prepareRelease(match)
      try space.recordReleases()
      try unpublish(Prepared(slotOffset: slot, old: match))
      // It was counted as garbage already, as one that has probably expired.
      live.lower(LivePage.garbage, by: UInt64(head.storedBytes))
      return try mergeAfterRemoval(hash)
    }
    _ = try space.writableEntry(position.unit)
    let unit = try mover.makeRoom(for: head.storedBytes, space: &space)
    _ = try space.writableEntry(unit)
    try space.recordReleases()
    let expiry = records.expiry(head, at: position)
    let target = mover.copy(head, from: position)
    memory.bytes.storeRelease(Slot(tag: hash.tag, position: target).bits, slot)
    try space.addRecord(unit, bytes: head.storedBytes, expiry: expiry)
    try space.removeRecord(position.unit, bytes: head.storedBytes, expires: expiry != nil)
    live.raise(LivePage.garbage, by: UInt64(head.storedBytes))
    compactor.movedBytes += head.storedBytes
  }

  // MARK: Giving space back

  /// Gives the disk space of free units back, the last of the file first.
  mutating func giveBackSpare() throws(StoreError) {
    guard let range = compactor.spare.popLast() else {
      compactor.spareUnits = 0
      return
    }
    let count = min(range.count, Int(Layout.segmentUnits))
    let first = range.upperBound - UInt64(count)
    if range.lowerBound < first { compactor.spare.append(range.lowerBound..<first) }
    compactor.spareUnits -= count
    try giveBack(first..<range.upperBound)
  }

  /// Gives back those of the units that are free still, row by row.
  ///
  /// A crash leads back to the table of the last checkpoint, and nobody who goes on from
  /// there may rely on disk space that was given back since. All of an index unit is
  /// real, used or not, and a free one that is entered as such is taken without asking.
  /// So it is first entered as one that has to be asked for, as if released now; when
  /// that is durable, the reuse rule lets it be found again.
  private mutating func giveBack(_ units: Range<UInt64>) throws(StoreError) {
    // Takes pages, which may come from these units: so before any of them is looked at.
    for number in units where try isEnteredAsStored(number) {
      _ = try space.writableEntry(Unit(number: number))
    }
    var row = units.lowerBound..<units.lowerBound
    for number in units {
      let entry = try space.entry(Unit(number: number))
      var isIncluded = space.isFree(entry)
      if isIncluded, let entry, entry.diskSpace == .all {
        entry.diskSpace = .some
        entry.epoch = space.epoch
        isIncluded = false
      }
      if isIncluded {
        row = row.lowerBound..<number + 1
      } else {
        try giveBackRow(row)
        row = number + 1..<number + 1
      }
    }
    try giveBackRow(row)
  }

  private func isEnteredAsStored(_ number: UInt64) throws(StoreError) -> Bool {
    guard let entry = try space.entry(Unit(number: number)) else { return false }
    return space.isFree(entry) && entry.diskSpace != .none
  }

  /// Gives back the disk space behind what is used, but for the reserve; false if that has
  /// to wait.
  ///
  /// A crash leads back to the last checkpoint: what that uses, or calls free and real,
  /// ends at its own mark, and must be left as it is.
  func giveBackEnd(upTo end: UInt64) throws(StoreError) -> Bool {
    guard backing.isShared else { return true }
    let (block, bothAgree) = try SuperblockPair(memory.fixed).current()
    guard bothAgree, block.highWater.number < end else { return false }
    let first = max(block.highWater.number, space.highWater) + SpaceReserve.kept(memory)
    if first >= end { return true }
    let offset = Int(Unit(number: first).position.offset)
    return try backing.giveBack(offset: offset, count: Int(end - first) * Layout.unitBytes)
  }

  private mutating func giveBackRow(_ row: Range<UInt64>) throws(StoreError) {
    if row.isEmpty { return }
    let offset = Int(Unit(number: row.lowerBound).position.offset)
    guard try backing.giveBack(offset: offset, count: row.count * Layout.unitBytes) else {
      compactor.isPaused = true
      return
    }
    for number in row {
      if let entry = try space.entry(Unit(number: number)), entry.diskSpace != .none {
        entry.diskSpace = .none
      }
    }
  }
}
