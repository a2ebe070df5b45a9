extension Store {
  /// How far a call of `Store.compact` has come.
  public struct CompactionProgress: Sendable {
    /// Bytes of records, large values and index that were moved so far.
    public internal(set) var movedBytes = 0
    /// Bytes to move in total, as far as is known; never less than ``movedBytes``.
    public internal(set) var totalBytes = 0
  }
}
