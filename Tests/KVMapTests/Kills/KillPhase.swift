/// What a process is doing when it is killed.
enum KillPhase: UInt64, CaseIterable {
  /// Not yet at the store.
  case starting
  /// Opening: recovering alone, or taking over from a writer that died.
  case opening
  case writing
  /// Writing a value that has units of its own.
  case large
  case transaction
  /// Writing, since a call that makes the file longer or maps more of it.
  case growing
  /// Writing, since a sync of the log began.
  case syncing
  case checkpointing
  /// Taking a snapshot, or looking at one that was taken before.
  case freezing
  /// Compacting all of the store.
  case compacting
  case closing
  case creating
  /// A reader, anywhere.
  case reading
}
