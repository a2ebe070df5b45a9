/// Making the file of a store small.
extension Store {
  /// Makes the file as small as it can be: moves together what is scattered, returns the rest to
  /// the file system, and truncates the file if nobody else has it open.
  ///
  /// Writing does as much of this by itself as keeps the file within half more than what it holds;
  /// this call is for the rest. Others read and write meanwhile: it holds the write lock for about
  /// a millisecond at a time, and for its checkpoints. What snapshots and other readers pin stays
  /// until the next call. O(size of the store) at most; needs free disk space of less than a tenth
  /// of the store. Nothing is moved unless the file takes at least 1/16 plus 192 KiB more disk
  /// space than its records and index need.
  ///
  /// - Parameter progress: called now and then with how far the compaction has come. If it throws,
  ///   the compaction ends, and nothing is lost.
  /// - Throws: as `put`, and what `progress` throws.
  public func compact(_ progress: (Store.CompactionProgress) throws -> Void = { _ in }) throws {
    try core.compact(progress)
  }
}
