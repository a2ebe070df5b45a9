import MappedMemory

/// How those who follow the changes of a store, in any process, learn of commits without asking all
/// the time: they say in the shared state that they wait, and the next commit wakes them.
extension SharedState {
  /// Blocks while the next record has the number `next`, for at most `milliseconds`; may return
  /// earlier. `announces`: whether this process may write to the shared state; otherwise nobody wakes
  /// it.
  func waitForCommit(while next: SequenceNumber, milliseconds: Int, announces: Bool) {
    var left = milliseconds
    // A commit that did not see the word may have been about to store its number. So the first wait is
    // short.
    for part in [Self.settlingMilliseconds, milliseconds - Self.settlingMilliseconds]
    where left > 0 && part > 0 {
      if announces { storeAndFence(1, .commitAwaited) }
      if self[.sequence] != next { return }
      let word = SharedWord<UInt64>.commitAwaited.offset
      unsafe WordWait.wait(
        bytes.base + start + word, while: announces ? 1 : UInt32(truncatingIfNeeded: self[.commitAwaited]),
        milliseconds: part)
      left -= part
    }
  }

  private static let settlingMilliseconds = 2

  /// Wakes those who wait for commits, if there are any. To be called after the number of the next
  /// record was stored.
  @inline(__always)
  func signalCommit() {
    if self[.commitAwaited] != 0 { wakeWaiting() }
  }

  /// Wakes those who wait for commits.
  @inline(never)
  func wakeWaiting() {
    // Whoever waits on says so again. A process that died while it waited costs one call.
    self[.commitAwaited] = 0
    unsafe WordWait.wakeAll(bytes.base + start + SharedWord<UInt64>.commitAwaited.offset)
  }
}
