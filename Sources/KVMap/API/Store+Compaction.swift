extension Store {
  /// Makes the file as small as it can be: moves what is scattered together, gives
  /// the rest back to the file system, and cuts off the end of the file if nobody
  /// else has it open.
  ///
  /// Writing does as much of this by itself as keeps the file within half more than
  /// what it holds; this is for the rest. Others read and write meanwhile, as it has
  /// the writer's turn for about a millisecond at a time and for its checkpoints.
  /// What snapshots and other readers pin stays until the next call. O(size of the
  /// store) at most; needs some free space, less than a tenth of the store. Where little
  /// more than a sixteenth could be won, nothing is moved.
  ///
  /// - Parameter progress: is told now and then how far it has come; what it throws
  ///   ends the compaction, with nothing lost.
  /// - Throws: as `put`, and what `progress` throws.
  public func compact(_ progress: (CompactionProgress) throws -> Void = { _ in }) throws {
    try core.compact(progress)
  }
}
