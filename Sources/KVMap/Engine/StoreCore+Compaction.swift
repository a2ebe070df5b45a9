/// Compaction of a whole store: in rounds, each made of slices between which others write.
extension StoreCore {
  /// Bytes to move before a checkpoint makes the space that they came from usable again.
  private static let bytesBetweenCheckpoints = 64 << 20
  /// Bytes to move in one slice.
  private static let sliceBytes = 256 << 10
  /// The segments that are open when compaction begins, and two that follow them, lie where the
  /// file was full; each round closes one of them.
  private static let mostRounds = 4

  /// Compacts the whole store; see ``Store/compact(_:)``.
  func compact(_ report: (Store.CompactionProgress) throws -> Void) throws {
    defer { withExtendedLifetime(self) {} }
    guard options.access == .readWrite else {
      throw Store.Error(.readOnly, "\(name): the store was not opened for writing; open it for that")
    }
    fullCompactions.begin()
    defer { fullCompactions.end() }
    if try isWorthMoving() { try moveAll(report) }
    try punchAll()
  }

  /// Moves whatever can be moved, in a store that no other process has open.
  func moveAll() throws(Store.Error) {
    do {
      try moveAll { _ in }
    } catch {
      throw error as? Store.Error ?? Store.Error(.system, "\(name): \(error)")
    }
    try punchAll()
  }

  /// Whether moving frees more than it may leave unused in half-filled units and segments, so that
  /// a store never takes more disk space afterwards than before.
  private func isWorthMoving() throws(Store.Error) -> Bool {
    guard backing.isShared else { return true }
    try checkpoint()
    let shared = shared
    if shared[.earliestExpiry] <= clock.now() { return true }
    let most = Layout.largestFile
    let pages = min(shared[.indexPages], most / UInt64(Layout.pageBytes))
    let unitBytes = UInt64(Layout.unitBytes)
    let index = (pages * UInt64(Layout.pageBytes) + unitBytes - 1) / unitBytes * unitBytes
    let extents = try compacting { turn throws(Store.Error) in try turn.writer.extentCount() }
    let needed =
      Int(min(shared[.liveBytes], most) + index) + extents * Layout.pageBytes + LogWriter.headroom
    return try backing.sizes().allocated > needed + needed / 16 + 3 * Layout.unitBytes
  }

  private func moveAll(_ report: (Store.CompactionProgress) throws -> Void) throws {
    var meter = Meter()
    var beyond: Writer.UnitsBeyond?
    for _ in 0..<Self.mostRounds {
      let end = try compactOnce(beyond, &meter, report)
      let left = try compacting { turn throws(Store.Error) in
        try turn.writer.unitsBeyond(end)
      }
      if left.total == 0 || !left.hasRoom || !left.isLess(than: beyond) { break }
      beyond = left
    }
  }

  /// The progress of a compaction, and what is needed to compute it.
  private struct Meter {
    var progress = Store.CompactionProgress()
    /// What had been moved when the round began, and the progress then.
    private var begin = 0
    private var base = 0

    mutating func beginRound(_ moved: Int, toMove: Int) {
      (begin, base) = (moved, progress.movedBytes)
      progress.totalBytes = progress.movedBytes + toMove
    }

    mutating func note(_ moved: Int) {
      progress.movedBytes = max(progress.movedBytes, base + moved - begin)
      progress.totalBytes = max(progress.totalBytes, progress.movedBytes)
    }
  }

  /// Runs one round. Returns the unit at which the file could end.
  ///
  /// - Parameter beyond: what the round before has left beyond the end; nil in the first round.
  private func compactOnce(
    _ beyond: Writer.UnitsBeyond?, _ meter: inout Meter, _ report: (Store.CompactionProgress) throws -> Void
  ) throws -> UInt64 {
    try compacting { turn throws(Store.Error) in
      try turn.writer.beginWholeCompaction(beyond: beyond?.end)
    }
    try checkpoint()
    let end = try lookAtAll()
    let (toMove, moved, now) = try compacting { turn throws(Store.Error) in
      (
        turn.compactor.chooseAllCandidates(end: end, room: beyond?.freeBefore), turn.compactor.movedBytes,
        try turn.writer.unitsBeyond(end)
      )
    }
    let indexBytes =
      beyond == nil
      ? Int(shared[.indexPages]) * Layout.pageBytes : now.index * Layout.unitBytes
    meter.beginRound(moved, toMove: toMove + indexBytes + now.extents * Layout.unitBytes)
    try report(meter.progress)
    try moveRecords(&meter, report)
    try checkpoint()
    if indexBytes + now.extents > 0 {
      let rewriting = Compactor.Rewriting(end: end, isOfAll: beyond == nil, includesExtents: now.extents > 0)
      try rewriteIndex(rewriting, &meter, report)
    }
    // The second checkpoint knows that the first is durable in both superblocks, and so counts as
    // free what was released before it.
    try checkpoint()
    try checkpoint()
    return end
  }

  private func moveRecords(
    _ meter: inout Meter, _ report: (Store.CompactionProgress) throws -> Void
  ) throws {
    var saved = meter.progress.movedBytes
    var goesOn = true
    while goesOn {
      let moved: Int
      (goesOn, moved) = try compacting { turn throws(Store.Error) in
        (try turn.compactor.moveSlice(&turn.writer, bytes: Self.sliceBytes), turn.compactor.movedBytes)
      }
      meter.note(moved)
      if meter.progress.movedBytes - saved >= Self.bytesBetweenCheckpoints {
        try checkpoint()
        saved = meter.progress.movedBytes
      }
      try report(meter.progress)
    }
  }

  private func rewriteIndex(
    _ rewriting: Compactor.Rewriting, _ meter: inout Meter,
    _ report: (Store.CompactionProgress) throws -> Void
  ) throws {
    var hash: UInt64? = 0
    while let from = hash {
      let moved: Int
      (hash, moved) = try compacting { turn throws(Store.Error) in
        (try turn.compactor.rewriteBuckets(&turn.writer, from: from, rewriting), turn.compactor.movedBytes)
      }
      meter.note(moved)
      try report(meter.progress)
    }
    try compacting { turn throws(Store.Error) in try turn.writer.rewriteSpaceTable() }
  }

  /// Runs one slice. It may use the reserve as removals may, since it frees more than it takes.
  private func compacting<R>(
    _ body: (borrowing WriteTurn) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    try withWriteLock { turn throws(Store.Error) in
      turn.writer.space.takesLowestPages = true
      let before = turn.writer.space.reserve.exchangePurpose(.removing)
      defer {
        turn.writer.space.takesLowestPages = false
        _ = turn.writer.space.reserve.exchangePurpose(before)
      }
      return try body(turn)
    }
  }

  /// Looks through the whole space table. Returns the unit at which the file could end.
  @discardableResult
  private func lookAtAll() throws(Store.Error) -> UInt64 {
    try compacting { turn throws(Store.Error) in try turn.compactor.beginWholeLook(&turn.writer) }
    while try compacting({ turn throws(Store.Error) in
      try turn.compactor.lookAtUnits(&turn.writer, 4096)
      return turn.compactor.cursor != nil
    }) {}
    let shared = shared
    let pages = shared[.indexPages] / UInt64(Layout.pagesPerUnit)
    let bytes = shared[.liveBytes] / UInt64(Layout.unitBytes)
    // Two epochs of index pages, the segments that are open, and what does not fit exactly.
    return Layout.firstFreeUnit + 2 * pages + bytes + bytes / 16 + 4 * Layout.segmentUnits
  }

  /// Punches everything that is free, without moving anything.
  func punchAll() throws(Store.Error) {
    // The first pass demotes units that are entered with all their disk space. When that is
    // durable, the second pass punches them.
    for _ in 0..<2 {
      try compacting { turn throws(Store.Error) in
        try turn.writer.space.dropLeaves()
      }
      try lookAtAll()
      while try compacting({ turn throws(Store.Error) in
        try turn.compactor.punchSpare(&turn.writer)
        return turn.compactor.spareUnits > 0 && !turn.compactor.isPaused
      }) {}
      try checkpoint()
    }
    try waitingForCheckpoint { () throws(Store.Error) -> Void? in
      try withWriteLock { turn throws(Store.Error) -> Void? in
        guard try checkpoint(turn, .skip) else { return nil }
        try turn.writer.punchRoom()
        try truncateEnd(turn)
        // If others have the file open, it keeps its length: then punch its end.
        let end = UInt64(try backing.sizes().file / Layout.unitBytes)
        _ = try turn.writer.punchEnd(upTo: end)
        return ()
      }
    }
  }
}
