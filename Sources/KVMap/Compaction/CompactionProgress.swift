/// How far a compaction has come; see ``Store/compact(_:)``.
public struct CompactionProgress: Sendable {
  /// Bytes of records, large values and index moved so far.
  public internal(set) var movedBytes = 0
  /// Bytes that are to be moved, as far as is known; never less than were.
  public internal(set) var totalBytes = 0
}
