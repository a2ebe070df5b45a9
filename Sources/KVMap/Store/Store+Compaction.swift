/// How far a compaction has come; see ``Store/compact(_:)``.
public struct CompactionProgress: Sendable {
  /// Bytes of records and index moved so far.
  public var movedBytes = 0
  /// Bytes that are to be moved, as far as is known.
  public var totalBytes = 0
}

extension Store {
  /// Makes the file as small as it can be: moves what is scattered together, gives
  /// the rest back to the file system, and cuts off the end of the file if nobody
  /// else has it open.
  ///
  /// Writing does as much of this by itself as keeps the file within half more than
  /// what it holds; this is for the rest. Others read and write meanwhile, as it has
  /// the writer's turn for about a millisecond at a time and for its checkpoints.
  /// What snapshots and other readers pin stays until the next call. O(size of the
  /// store) at most; needs some free space, less than a tenth of the store.
  ///
  /// - Parameter progress: is told now and then how far it has come; what it throws
  ///   ends the compaction, with nothing lost.
  /// - Throws: as `put`, and what `progress` throws.
  public func compact(_ progress: (CompactionProgress) throws -> Void = { _ in }) throws {
    try core.compact(progress)
  }
}

extension StoreCore {
  /// Bytes moved before a checkpoint lets what they were copied from be used again.
  private static let bytesBetweenCheckpoints = 64 << 20
  private static let sliceBytes = 256 << 10

  func compact(_ report: (CompactionProgress) throws -> Void) throws {
    defer { withExtendedLifetime(self) {} }
    guard options.access == .readWrite else {
      throw StoreError(.readOnly, "\(name): the store was not opened for writing; open it for that")
    }
    try compacting { (writer: inout Writer) throws(StoreError) in writer.compactor.isWhole = true }
    defer { try? endWholeCompaction() }
    var progress = CompactionProgress()
    // The first round makes room further down in the file; the segments that are
    // open then lie at its end, and are left one round later.
    for _ in 0..<4 {
      if try compactOnce(&progress, report) { break }
    }
    try giveBackAll()
  }

  private func endWholeCompaction() throws(StoreError) {
    try compacting { (writer: inout Writer) throws(StoreError) in writer.compactor.isWhole = false }
  }

  /// One round; whether the file can end where it should.
  private func compactOnce(
    _ progress: inout CompactionProgress, _ report: (CompactionProgress) throws -> Void
  ) throws -> Bool {
    try compacting { (writer: inout Writer) throws(StoreError) in try writer.beginWholeCompaction() }
    try checkpointBeside()
    let end = try lookAtAll()
    progress.totalBytes += try compacting { (writer: inout Writer) throws(StoreError) in
      writer.chooseAllCandidates(end: end)
    }
    try report(progress)
    var unsaved = 0
    while let moved = try compacting({ (writer: inout Writer) throws(StoreError) in
      try writer.moveSlice(bytes: Self.sliceBytes)
    }) {
      progress.movedBytes += moved
      unsaved += moved
      if unsaved >= Self.bytesBetweenCheckpoints {
        try checkpointBeside()
        unsaved = 0
      }
      try report(progress)
    }
    try checkpointBeside()
    var hash: UInt64? = 0
    while let from = hash {
      hash = try compacting { (writer: inout Writer) throws(StoreError) in
        try writer.rewriteBuckets(from: from, end: end)
      }
    }
    try compacting { (writer: inout Writer) throws(StoreError) in try writer.rewriteSpaceTable() }
    // The second one knows the first's superblocks to be durable, and so may count
    // what was released before it as free.
    try checkpointBeside()
    try checkpointBeside()
    return memory.live[LivePage.highWater] <= end
  }

  /// One slice. It may use the reserve as removals may: it gives back more.
  private func compacting<R>(
    _ body: (inout Writer) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    try withTurn { (writer: inout Writer) throws(StoreError) in
      writer.space.reserve.purpose = .removing
      defer { writer.space.reserve.purpose = .checkpoint }
      return try body(&writer)
    }
  }

  /// Looks through the whole table; returns where the file could end.
  private func lookAtAll() throws(StoreError) -> UInt64 {
    try compacting { (writer: inout Writer) throws(StoreError) in writer.beginWholeLook() }
    while try compacting({ (writer: inout Writer) throws(StoreError) in
      try writer.lookAtUnits(4096)
      return writer.compactor.cursor != nil
    }) {}
    let live = memory.live
    let pages = live[LivePage.indexPages] / UInt64(Layout.pagesPerUnit)
    let bytes = live[LivePage.liveBytes] / UInt64(Layout.unitBytes)
    // Two epochs of index pages, segments that are open, and what does not fit exactly.
    return Layout.firstFreeUnit + 2 * pages + bytes + bytes / 16 + 4 * Layout.segmentUnits
  }

  private func giveBackAll() throws(StoreError) {
    _ = try lookAtAll()
    while try compacting({ (writer: inout Writer) throws(StoreError) in
      try writer.giveBackSpare()
      return writer.compactor.spareUnits > 0 && !writer.compactor.isPaused
    }) {}
    try waitingForCheckpoint { () throws(StoreError) -> Void? in
      try withTurn { (writer: inout Writer) throws(StoreError) -> Void? in
        try writer.giveBackRoom()
        guard try checkpoint() else { return nil }
        return try cutOffEnd()
      }
    }
  }
}
