/// Group commit among the threads of a handle.
///
/// A durable commit that other threads wait for does not sync at once. It lets them in, one after
/// the other, while the handle keeps the lock among handles. The last of them, when nobody waits
/// any more or another handle has wanted that lock for a while, syncs for all, publishes, and wakes
/// them.
///
/// The commits of tasks, which one thread makes one after the other, form groups in the same way;
/// that thread ends the group when it has made the last of a batch (see ``CallQueue``).
extension StoreCore {
  /// Makes a commit, together with those of other threads if it is to be durable.
  @inline(__always)
  func commit<R>(
    isDurable: Bool, _ body: (inout Writer) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
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
    if turn.writer.group == nil, !isDurable || !(writeLock.hasWaiting || calls.isBatching) { return nil }
    return turn.writer.joinGroup()
  }

  /// Ends a commit and its turn. Throws if the group that the commit belongs to cannot be made
  /// durable.
  @inline(__always)
  func endCommit(
    _ turn: consuming WriteTurn, _ joined: CommitGroup?, after error: Store.Error?
  ) throws(Store.Error) {
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
    _ turn: consuming WriteTurn, _ group: CommitGroup, after error: Store.Error?
  ) throws(Store.Error) {
    if let error { noteFailure(error) }
    let mayGrow = error == nil && group.count < CommitGroup.largestCount && !writeLock.isOverdue(turn)
    if mayGrow, calls.isBatching { return calls.join(group) }
    if mayGrow, writeLock.hasWaiting { writeLock.wait(turn, until: group) } else { endGroup(turn) }
    // A commit that failed by itself reports its own error, not that of the group.
    if error == nil, let error = group.error { throw error }
  }

  /// Makes the group, if there is one, durable and visible.
  func endOpenGroup() { endGroup(writeLock.enter()) }

  /// The same with the write lock.
  func endGroup(_ turn: borrowing WriteTurn) {
    guard let group = turn.writer.group else { return }
    do throws(Store.Error) {
      if turn.writer.isHalfDone { throw Store.Error(.outcomeUnknown, "a change failed half-way") }
      try turn.writer.finishGroup()
      try checkNotLost()
      _ = maintain(turn)
      conclude(turn, after: nil)
    } catch {
      let error = lossOr(error)
      turn.writer.group = nil
      // From here on, what is in the log counts if it is whole: recovery decides.
      noteFailure(Store.Error(.outcomeUnknown, ""))
      conclude(turn, after: error)
      group.error = error.naming(name)
    }
    group.isDone = true
    calls.noteGroupEnd()
    writeLock.wakeAll()
  }
}
