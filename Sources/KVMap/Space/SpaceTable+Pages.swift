/// Allocating and releasing index pages.
extension SpaceTable {
  /// Ensures that the open unit has at least `count` free pages, so that as many calls of
  /// `takePage` cannot fail. Throws, without other effect, if there is no disk space.
  mutating func ensurePages(_ count: Int) throws(Store.Error) {
    precondition(count <= Layout.pagesPerUnit / 2, "more pages than one unit can promise")
    if openFreePages >= count { return }
    if let unit = try findUnit(freePages: count), try !isUnitFree(below: unit.unit) {
      try openUnit(unit.unit, free: unit.free)
    } else {
      try openFreshUnit(pages: count)
    }
    try flushReleases()
    // Recording releases may have used some of the pages.
    if openFreePages < count { try ensurePages(count) }
  }

  /// Whether a free unit below `limit` is the better place for pages.
  private mutating func isUnitFree(below limit: Unit) throws(Store.Error) -> Bool {
    guard takesLowestPages else { return false }
    // This is only a look: the next search must find that unit again.
    let cursor = unitCursor
    defer { unitCursor = cursor }
    return try findFree(1, below: limit) != nil
  }

  /// Opens a unit that has no pages yet. On a full disk, looks again for an index unit with pages
  /// that may be reused by now.
  private mutating func openFreshUnit(pages: Int) throws(Store.Error) {
    do {
      try openEmptyUnit()
    } catch {
      guard error.code == .diskFull else { throw error }
      pagesExhausted = nil
      guard let unit = try findUnit(freePages: pages) else { throw error }
      try openUnit(unit.unit, free: unit.free)
    }
  }

  /// Opens a free unit, or one above the high-water mark.
  private mutating func openEmptyUnit() throws(Store.Error) {
    takenUnits += 1
    let free = try findFree(1)
    let unit = if let free { free } else { try extend(by: 1) }
    // Entries of units above the mark are from before the mark was lowered: the file may have
    // been truncated there since.
    let isReal = try entry(unit)?.diskSpace == .all && free != nil
    if !isReal {
      try backing.allocate(
        offset: Int(unit.position.offset), count: Layout.unitBytes)
    }
    try openUnit(unit, free: 0xffff)
  }

  /// Free pages of the open unit, 0 if it was opened in another epoch.
  private var openFreePages: Int {
    guard let open, open.epoch == epoch else { return 0 }
    guard let offset = open.entryOffset else { return open.free.nonzeroBitCount }
    let entry = SpaceEntry(bytes: memory.bytes, offset: offset)
    // Another process may have found none of its pages in use and freed the unit.
    guard entry.kind == .index else { return 0 }
    return Self.free(entry).nonzeroBitCount
  }

  /// Whether none of an index unit's pages is in use and all of them may be rewritten.
  func isUnusedIndexUnit(_ entry: SpaceEntry) -> Bool {
    entry.used == 0 && max(entry.epoch, entry.epochBefore) <= reuse.limit
      && memory.shared[.quarantine] <= reuse.limit
  }

  private static func free(_ entry: SpaceEntry) -> UInt16 {
    ~(entry.used | entry.releasedBefore | entry.releasedLately)
  }

  /// Takes a free page of the open unit. After `ensurePages` there is one, unless the table
  /// contradicts itself. Throws `damaged`.
  mutating func takePage() throws(Store.Error) -> PageNumber {
    guard var current = open, current.epoch == epoch else {
      throw .damaged("space table", at: root.page.offset, "the pages it lists as free are in use")
    }
    let bit: Int
    if let offset = current.entryOffset {
      let entry = SpaceEntry(bytes: memory.bytes, offset: offset)
      let free = Self.free(entry)
      guard free != 0 else {
        throw .damaged("space table entry", at: offset, "the pages it lists as free are in use")
      }
      bit = free.trailingZeroBitCount
      entry.used |= 1 << UInt16(bit)
    } else {
      guard current.free != 0 else {
        throw .damaged("space table", at: root.page.offset, "the pages it lists as free are in use")
      }
      bit = current.free.trailingZeroBitCount
      current.free &= ~(1 << UInt16(bit))
      open = current
    }
    memory.shared.raise(.indexPages, by: 1)
    return PageNumber(number: current.unit.firstPage.number + UInt64(bit))
  }

  /// Marks `page` as unreferenced by the working tree. Snapshots and readers may still reach it,
  /// but no checkpoint will seal it any more, so it gets its checksum here, even if it belongs to
  /// the working epoch.
  mutating func release(_ page: PageNumber) {
    let header = memory.header(page)
    if header.epoch.number > memory.shared[.sealedEpoch].number { header.seal(seed: memory.seed) }
    pendingReleases.append(page)
    memory.shared.raise(.releasedPages, by: 1)
  }

  /// Records released pages in the table. Making an entry writable may release a page of the
  /// table in turn. If there is no disk space for that, this throws, and the pages that are not
  /// recorded yet stay in the list.
  mutating func flushReleases() throws(Store.Error) {
    let epoch = epoch
    while let page = pendingReleases.popLast() {
      let entry: SpaceEntry
      do {
        entry = try releasableEntry(page.unit)
      } catch {
        pendingReleases.append(page)
        throw error
      }
      let bit: UInt16 = 1 << UInt16(page.indexInUnit)
      entry.used &= ~bit
      memory.shared.lower(.indexPages, by: 1)
      if isUnseen { continue }
      if entry.epoch != epoch {
        entry.releasedBefore |= entry.releasedLately
        entry.epochBefore = entry.epoch
        entry.releasedLately = 0
        entry.epoch = epoch
      }
      entry.releasedLately |= bit
    }
  }

  private mutating func releasableEntry(_ unit: Unit) throws(Store.Error) -> SpaceEntry {
    let entry = try writableEntryKeepingReleases(unit)
    guard entry.kind == .index else {
      throw .damaged("space table entry", at: entry.offset, "an index page lies in a unit of another kind")
    }
    return entry
  }

  /// Finds an index unit with `freePages` free pages besides those that it takes to make its own
  /// entry writable; nil if there is none. Makes at most one round for each reuse limit.
  private mutating func findUnit(freePages: Int) throws(Store.Error) -> (unit: Unit, free: UInt16)? {
    if !takesReleasedPages { return nil }
    try reuse.refresh(memory, backing)
    // After a recovery beside readers, readers of the old state may still see even free pages.
    guard memory.shared[.quarantine] <= reuse.limit else { return nil }
    if let known = pagesExhausted, known.limit == reuse.limit, known.count <= freePages { return nil }
    // From the start of the file whenever more is free, so that the end of the file becomes free.
    if pageCursor.limit != reuse.limit { pageCursor = (Layout.firstFreeUnit, reuse.limit) }
    let end = highWater
    var looked: UInt64 = 0
    while looked < end {
      if pageCursor.unit >= end { pageCursor.unit = Layout.firstFreeUnit }
      let unit = Unit(number: pageCursor.unit)
      let found = try entry(unit)
      let length = UInt64(max(1, found?.length ?? 1))
      pageCursor.unit += length
      looked += length
      guard let entry = found, entry.kind == .index else { continue }
      // During recovery: a unit without a page of the checkpoint may have been freed since, and
      // allocated for the log. A unit that lost its last page in this epoch was not.
      if isRecovering, entry.used == 0, entry.epoch != epoch { continue }
      var free = Self.free(entry)
      if entry.epochBefore <= reuse.limit { free |= entry.releasedBefore }
      if entry.epoch <= reuse.limit { free |= entry.releasedLately }
      free &= ~entry.used
      if free.nonzeroBitCount >= freePages {
        let cost = try pagesToWrite(unit)
        if free.nonzeroBitCount >= freePages + cost { return (unit, free) }
      }
    }
    pagesExhausted = (reuse.limit, freePages)
    return nil
  }

  /// Makes `unit` the open unit. Its entry becomes writable with pages of the unit itself.
  private mutating func openUnit(_ unit: Unit, free: UInt16) throws(Store.Error) {
    let epoch = epoch
    backing.noteWrites(offset: Int(unit.position.offset), count: Layout.unitBytes)
    open = OpenUnit(unit: unit, free: free, entryOffset: nil, epoch: epoch)
    let entry = try writableEntryFromOpenUnit(unit)
    let left = open?.free ?? 0
    let fresh = entry.kind != .index
    if fresh { entry.reset(.index, length: 1) }
    let used = fresh ? ~left : entry.used | (free & ~left)
    entry.used = used
    // What the reuse rule allows is free now; the rest stays released.
    entry.releasedBefore &= ~free
    entry.releasedLately &= ~free
    open?.entryOffset = entry.offset
  }
}
