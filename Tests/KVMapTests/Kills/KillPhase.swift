/// What a process is doing when it is killed.
enum KillPhase: UInt64, CaseIterable {
  /// Before the store is opened.
  case starting
  /// Opening: recovering alone, or taking over from a writer that died.
  case opening
  case writing
  /// Writing a value that has units of its own.
  case large
  case transaction
  /// Writing, after a call that makes the file longer or maps more of it.
  case growing
  /// Writing, after a sync of the log began.
  case syncing
  case checkpointing
  /// Taking a snapshot, or checking one.
  case freezing
  /// Compacting all of the store.
  case compacting
  case closing
  case creating
  /// A reader at any moment.
  case reading
}
