import MappedMemory
import Synchronization

/// How a thread gets the write lock, and what it does first and last while it has it.
///
///     enter → (others' group is ended) → lock among handles → begin → the caller's change
///           → maintain → conclude → the turn ends
///
/// If a commit fails after it was appended, or a sync fails, the next turn begins with recovery.
extension StoreCore {
  /// Throws if this thread is inside a transaction on this handle.
  @inline(__always)
  func checkNotInTransaction() throws(Store.Error) {
    if writeLock.isHeldByThisThread {
      throw Store.Error(
        .reentrant,
        "\(name): the call was made from within a transaction; use the transaction itself, or call after it")
    }
  }

  /// Runs `body` with the write lock, and then the maintenance that is due.
  @inline(__always)
  func withWriteLock<R: ~Copyable>(
    _ body: (borrowing WriteTurn) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    defer { withExtendedLifetime(self) {} }
    let turn = try enterWaiting()
    do {
      let result = try body(turn)
      // A store into a page that was lost has no effect.
      try checkNotLost()
      finish(turn)
      return result
    } catch {
      let error = lossOr(error)
      conclude(turn, after: error)
      throw error.naming(name)
    }
  }

  /// Runs `body` in the turn and ends the turn, without maintenance.
  func conclude<R: ~Copyable>(
    _ turn: consuming WriteTurn, _ body: (borrowing WriteTurn) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    do {
      let result = try body(turn)
      conclude(turn, after: nil)
      return result
    } catch {
      let error = lossOr(error)
      conclude(turn, after: error)
      throw error.naming(name)
    }
  }

  /// Ends a turn that succeeded, with maintenance, and pauses if the log grows too fast.
  @inline(__always)
  func finish(_ turn: consuming WriteTurn) {
    let wait = finishWithoutPause(turn)
    if wait > 0 { pauseWriting(forMilliseconds: wait) }
  }

  /// Ends a turn that succeeded, with maintenance. Returns for how many milliseconds writing should
  /// pause.
  @inline(__always)
  func finishWithoutPause(_ turn: consuming WriteTurn) -> Int {
    let wait = maintain(turn)
    conclude(turn, after: nil)
    return wait
  }

  /// Maintains the store after a commit: has a checkpoint written if one is due, and compacts a
  /// little. The commit itself is done: what fails here is tried again later, and if a sync failed
  /// the next turn begins with recovery. Returns for how many milliseconds writing should pause.
  @inline(__always)
  func maintain(_ turn: borrowing WriteTurn) -> Int {
    do throws(Store.Error) {
      let wait = try checkpointIfDue(turn)
      // Moving records takes space until the next checkpoint.
      try turn.compactor.step(&turn.writer, moves: wait == 0)
      return wait
    } catch {
      noteFailure(lossOr(error))
      return 0
    }
  }

  /// Notes a failed sync or a loss: what was published may not have reached the pages of the file.
  func noteFailure(_ error: Store.Error) {
    if error.code == .outcomeUnknown || error.code == .lost { shared[.syncFailed] = 1 }
  }

  // MARK: The beginning

  enum Entrance {
    /// Waits for other threads and handles, up to the timeout, and ends the group of commits that
    /// they have begun.
    case waiting
    /// The same, but joins a group of commits if there is one.
    case joining
    /// Does not wait for other handles.
    case ifFree
    /// For a handle that is already being closed; the first waits for other handles, the second
    /// does not.
    case closing, closingIfFree

    var waits: Bool { self != .ifFree && self != .closingIfFree }
    var isClosing: Bool { self == .closing || self == .closingIfFree }
  }

  /// Blocks until this thread has the write lock; recovers first if its last holder died
  /// with it.
  @inline(__always)
  func enterWaiting(joins: Bool = false) throws(Store.Error) -> WriteTurn {
    try checkOpen()
    try checkNotInTransaction()
    let turn = writeLock.enter()
    _ = try prepare(turn, joins ? .joining : .waiting)
    return turn
  }

  /// Nil if another handle has it and `entrance` does not wait.
  func enter(_ entrance: Entrance) throws(Store.Error) -> WriteTurn? {
    let turn = writeLock.enter()
    guard try prepare(turn, entrance) else { return nil }
    return turn
  }

  /// False if another handle has the lock and `entrance` does not wait.
  @inline(__always)
  func prepare(_ turn: borrowing WriteTurn, _ entrance: Entrance) throws(Store.Error) -> Bool {
    do throws(Store.Error) {
      if turn.writer.group != nil {
        if entrance == .joining, isOpen.load(ordering: .relaxed) {
          if calls.isBatching { try calls.beginCall() }
          return true
        }
        endGroup(turn)
      }
      // The handle may have been closed, and its locks released, while this thread waited.
      if !entrance.isClosing { try checkOpen() }
      let isAlone = try writeLock.excludeOthers(
        turn, waits: entrance.waits, timeout: options.timeout, since: calls.waitingSince)
      if !isAlone { return false }
      if calls.isBatching { try calls.beginCall() }
      try begin(turn)
      return true
    } catch {
      throw lossOr(error).naming(name)
    }
  }

  /// Brings what this handle knows of the store up to date.
  @inline(__always)
  private func begin(_ turn: borrowing WriteTurn) throws(Store.Error) {
    let shared = shared
    try checkNotLost()
    if shared[.busy] | shared[.syncFailed] != 0 { try recoverFromDeadWriter(turn) }
    if shared[.recoveries] != turn.knownRecoveries { startAfresh(turn) }
    turn.writer.adoptCheckpoint()
    // This thread holds no address in the store, and no other thread writes.
    mapping.unmapOutgrown()
    let end = Int(shared[.highWater].number) * Layout.unitBytes
    if end > mapping.mappedBytes { _ = try backing.extendMapping(to: end) }
    turn.writer.working.refresh()
    try turn.writer.reserveAddressSpace(for: 0)
    try checkPath(turn)
    shared[.busy] = UInt64(processIdentifier)
    turn.throttle.lengthAtStart = shared[.logSinceCheckpoint]
  }

  /// Throws if the path names another file now, or none: nobody else would see what is written.
  /// Looks every 50 ms at most.
  @inline(__always)
  private func checkPath(_ turn: borrowing WriteTurn) throws(Store.Error) {
    guard path != nil else { return }
    let now = clock.lately()
    turn.kept.beginTurn(now)
    if now >= turn.nextPathCheck || now &+ 50 < turn.nextPathCheck { try lookAtPath(turn, now) }
  }

  @inline(never)
  private func lookAtPath(_ turn: borrowing WriteTurn, _ now: UInt64) throws(Store.Error) {
    guard let path else { return }
    // A process that is not allowed to look at the path any more may write all the same.
    if (try? backing.isAt(path)) == false {
      throw Store.Error(
        .replaced,
        "\(name): the file was removed or replaced while it was open; nothing was written; "
          + "close the store and open it again")
    }
    turn.nextPathCheck = now &+ 50
  }

  // MARK: The end

  /// Ends a change. A failure in the preparing steps leaves the store as it was; after any other
  /// failure the next turn begins with recovery.
  @inline(__always)
  func conclude(_ turn: borrowing WriteTurn, after error: Store.Error?) {
    let shared = shared
    if let error { noteFailure(error) }
    if error == nil || !turn.writer.isHalfDone {
      // A change that failed may have copied pages: others must not find the originals in use.
      if !turn.writer.space.pendingReleases.isEmpty { try? turn.writer.space.flushReleases() }
      shared[.busy] = 0
    }
    turn.writer.isHalfDone = false
  }

  // MARK: Recovery

  /// Recovers, because the last holder of the write lock died with it, or a sync failed. Readers go
  /// on with what was published while the state is rebuilt beside it.
  private func recoverFromDeadWriter(_ turn: borrowing WriteTurn) throws(Store.Error) {
    if backing.isShared {
      // Recovery writes superblocks: they must not be mixed with those of a checkpoint that is
      // being written.
      let lock = try CheckpointLock(waitingFor: self)
      try recoverBesideReaders(turn, lock)
    } else if shared[.busy] != 0 {
      // Nobody else writes here: the failure was this handle's own.
      throw Store.Error(
        .damaged, "\(name): an earlier change failed halfway; close the store and open it again")
    }
  }

  private func recoverBesideReaders(
    _ turn: borrowing WriteTurn, _ lock: borrowing CheckpointLock
  ) throws(Store.Error) {
    backing.forgetFailedSync()
    let (block, bothAgree) = try SuperblockPair(source.fixed).current()
    let recovery = Recovery(
      source: source, backing: backing, clock: clock, mode: .besideReaders)
    let end = try recovery.examine(block)
    try recovery.dryRun(block, end)
    try recovery.rebuild(block, bothAgree: bothAgree, end)
  }

  /// Forgets what this handle remembers of the space table, whose pages belong to an older tree.
  /// Notes what it inherited from other handles, unless a recovery has stored that again.
  private func startAfresh(_ turn: borrowing WriteTurn) {
    backing.forgetFailedSync()
    turn.writer.space = SpaceTable(working: turn.writer.working, backing: backing)
    let isFirst = turn.knownRecoveries == nil
    // A recovery that was running when the file was opened has stored some of it before that.
    let isInherited = isFirst && joinedOthers && shared[.recoveries] &- recoveriesWhenJoined < 2
    turn.writer.log.inheritance =
      isInherited
      ? LogWriter.Inheritance(
        sequence: shared[.sequence],
        epoch: shared[.epoch])
      : nil
    turn.knownRecoveries = shared[.recoveries]
  }

  /// Rebuilds the index from the log if some of its pages cannot be trusted: those that were stored
  /// before this handle could be told of write errors, and those that a process was syncing when it
  /// died. Only while no change is pending.
  func rebuildDoubtfulPages(
    _ turn: borrowing WriteTurn, _ lock: borrowing CheckpointLock
  ) throws(Store.Error) {
    guard backing.isShared, inheritsPages(turn) || shared[.syncFailed] != 0 else { return }
    // A change that is in no log would be lost.
    if turn.writer.isHalfDone {
      throw Store.Error(.outcomeUnknown, "a sync failed during a change that is not in the log")
    }
    try recoverBesideReaders(turn, lock)
    startAfresh(turn)
    turn.writer.working.refresh()
    shared[.busy] = UInt64(processIdentifier)
  }

  /// Whether pages of the index were stored by other handles, which may have been told of write
  /// errors that this handle was not told of.
  private func inheritsPages(_ turn: borrowing WriteTurn) -> Bool {
    guard let inheritance = turn.writer.log.inheritance else { return false }
    return shared[.durableEpoch] < inheritance.epoch
  }

  /// Whether closing leaves the checkpoint to other handles: they stored these index pages
  /// themselves, so they would be told of a write error.
  func leavesCheckpointToOthers(_ turn: borrowing WriteTurn) throws(Store.Error) -> Bool {
    guard inheritsPages(turn) else { return false }
    return try backing.locks.isLockedByOthers(.vouched, .exclusive)
  }
}
