/// A transaction in progress: where its records lie in the log, and how to undo them.
struct PendingTransaction {
  /// The log as it was before, for undoing.
  var mark: LogWriter.Mark
  /// Where its first record goes.
  var start: LogWriter.Tail
  /// Where its next record goes.
  var tail: LogWriter.Tail
  /// The last record, to be rewritten with END, and the chain before it; nil if there is none.
  var last: (position: Position, chainBefore: UInt64)?
  /// The note of its first record in `Writer.notes`.
  var firstNote: Int
  /// Whether it follows commits that are in the log and not published yet.
  var followsOthers = false
}
