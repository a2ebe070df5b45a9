import Synchronization

/// Commits that become durable with one sync, as those see it who wait for that.
final class CommitGroup {
  /// How many commits it has. Who came first waits for all of them.
  var count = 0
  static let largestCount = 256

  var isDone = false
  var error: StoreError?
}

/// Group commit among the threads of a handle.
///
/// A durable commit behind which others wait does not sync at once. It lets them in, one
/// after the other, with the turn of this process kept; the last of them, when nobody waits
/// any more, syncs for all, publishes, and wakes them.
extension StoreCore {
  /// Makes a commit, together with those of other threads if it is to be durable.
  @inline(__always)
  func commit<R>(
    isDurable: Bool, _ body: (inout Writer) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    defer { withExtendedLifetime(self) {} }
    try takeTurn(joins: true)
    let joined = joinGroup(isDurable)
    let result: R
    do {
      result = try unsafe body(&writer.pointee)
      // A store into a page that has no storage is not done.
      try checkNotLost()
    } catch {
      try endCommit(joined, after: lossOr(error))
      throw lossOr(error).naming(name)
    }
    try endCommit(joined, after: nil)
    return result
  }

  /// Under the turn: whether, and to which group, the commit that follows belongs.
  @inline(__always)
  func joinGroup(_ isDurable: Bool) -> CommitGroup? {
    let open = unsafe writer.pointee.commitGroup
    if open == nil, !isDurable || waiting.load(ordering: .relaxed) == 0 { return nil }
    let group = open ?? CommitGroup()
    group.count += 1
    unsafe writer.pointee.commitGroup = group
    unsafe writer.pointee.joinGroup()
    return group
  }

  /// Ends what `takeTurn` began. Throws if the group that the commit belongs to cannot
  /// be made durable.
  @inline(__always)
  func endCommit(_ joined: CommitGroup?, after error: StoreError?) throws(StoreError) {
    if let joined { return try endInGroup(joined, after: error) }
    if let error { returnTurn(after: error) } else { finishTurn() }
  }

  @inline(never)
  private func endInGroup(_ group: CommitGroup, after error: StoreError?) throws(StoreError) {
    if let error { noteFailure(error) }
    let isHandedOn =
      waiting.load(ordering: .relaxed) > 0 && error == nil && group.count < CommitGroup.largestCount
    if isHandedOn {
      owner.store(0, ordering: .relaxed)
      while !group.isDone { mutex.wait() }
      mutex.unlock()
    } else {
      endGroup()
      leaveMutex()
    }
    // Who failed before says why, and not that others did as well.
    if error == nil, let error = group.error { throw error }
  }

  /// Makes the group durable and visible, and ends its turn. Under `mutex`.
  func endGroup() {
    guard let group = unsafe writer.pointee.commitGroup else { return }
    unsafe writer.pointee.commitGroup = nil
    do throws(StoreError) {
      if unsafe writer.pointee.isHalfDone {
        throw StoreError(.outcomeUnknown, "a change failed half-way")
      }
      try unsafe writer.pointee.finishGroup()
      try checkNotLost()
      _ = tidyUp()
      endTurn(after: nil)
    } catch {
      let error = lossOr(error)
      unsafe writer.pointee.group = nil
      // What is in the log counts from here on, if it is whole: recovery finds out.
      noteFailure(StoreError(.outcomeUnknown, ""))
      endTurn(after: error)
      group.error = error.naming(name)
    }
    group.isDone = true
    mutex.wakeAll()
  }
}
