/// A transaction that is under way: where its records lie in the log, and what takes them back.
struct PendingTransaction {
  var mark: LogWriter.Mark
  var start: LogWriter.Tail
  var tail: LogWriter.Tail
  /// The last record, to be rewritten with END.
  var last: (position: Position, chainBefore: UInt64)?
  /// Whether it follows commits that are in the log and not published yet.
  var followsOthers = false
}
