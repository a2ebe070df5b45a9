/// Group commit among the threads of a handle.
///
/// A durable commit that other threads wait for does not sync at once. It lets them in, one after
/// the other, while the handle keeps the lock among handles. The last of them, when nobody waits
/// any more, syncs for all, publishes, and wakes them.
extension StoreCore {
  /// Makes a commit, together with those of other threads if it is to be durable.
  @inline(__always)
  func commit<R>(
    isDurable: Bool, _ body: (inout Writer) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    defer { withExtendedLifetime(self) {} }
    let turn = try enterWaiting(joins: true)
    let joined = joinGroup(turn, isDurable)
    let result: R
    do {
      result = try body(&turn.writer)
      // A store into a page that was lost has no effect.
      try checkNotLost()
    } catch {
      let error = lossOr(error)
      try endCommit(turn, joined, after: error)
      throw error.naming(name)
    }
    try endCommit(turn, joined, after: nil)
    return result
  }

  /// The group that the next commit belongs to; nil if it belongs to none.
  @inline(__always)
  func joinGroup(_ turn: borrowing WriteTurn, _ isDurable: Bool) -> CommitGroup? {
    if turn.writer.group == nil, !isDurable || !writeLock.hasWaiting { return nil }
    return turn.writer.joinGroup()
  }

  /// Ends a commit and its turn. Throws if the group that the commit belongs to cannot be made
  /// durable.
  @inline(__always)
  func endCommit(
    _ turn: consuming WriteTurn, _ joined: CommitGroup?, after error: StoreError?
  ) throws(StoreError) {
    if let joined {
      try endInGroup(turn, joined, after: error)
    } else if let error {
      conclude(turn, after: error)
    } else {
      finish(turn)
    }
  }

  @inline(never)
  private func endInGroup(
    _ turn: consuming WriteTurn, _ group: CommitGroup, after error: StoreError?
  ) throws(StoreError) {
    if let error { noteFailure(error) }
    if writeLock.hasWaiting, error == nil, group.count < CommitGroup.largestCount {
      writeLock.wait(turn, until: group)
    } else {
      endGroup(turn)
    }
    // A commit that failed by itself reports its own error, not that of the group.
    if error == nil, let error = group.error { throw error }
  }

  /// Makes the group, if there is one, durable and visible.
  func endGroup(_ turn: borrowing WriteTurn) {
    guard let group = turn.writer.group else { return }
    do throws(StoreError) {
      if turn.writer.isHalfDone { throw StoreError(.outcomeUnknown, "a change failed half-way") }
      try turn.writer.finishGroup()
      try checkNotLost()
      _ = maintain(turn)
      conclude(turn, after: nil)
    } catch {
      let error = lossOr(error)
      turn.writer.group = nil
      // From here on, what is in the log counts if it is whole: recovery decides.
      noteFailure(StoreError(.outcomeUnknown, ""))
      conclude(turn, after: error)
      group.error = error.naming(name)
    }
    group.isDone = true
    writeLock.wakeAll()
  }
}
