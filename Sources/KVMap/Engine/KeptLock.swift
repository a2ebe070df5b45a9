import Synchronization

/// Decides whether a handle keeps the lock among handles when a turn ends.
///
/// Taking and releasing that lock costs two system calls, more than everything else about a put. So
/// a handle that writes all the time keeps it, until it has been idle for 20 ms or another handle
/// wants it. That one says so in the shared state. A turn that ends looks there; while there is no
/// turn, the ``LockKeeper`` does. Two handles that write all the time have the lock in turns of
/// 2 ms.
///
/// Used with the mutex of the ``WriteLock``.
struct KeptLock {
  /// Whether the lock is held beyond the last turn.
  private(set) var isKept = false

  /// The turns since `windowStart`, in milliseconds of the store's clock.
  private var windowStart: UInt64 = 0
  private var windowTurns = 0
  /// Whether there were many turns in the window before.
  private var wasBusy = false
  /// When another handle was first seen to want the lock that this one has.
  private var wantedSince: ContinuousClock.Instant?
  /// The number of grants when this handle gave the lock to another.
  private var grantsWhenGiven: UInt64?

  private static let windowMilliseconds: UInt64 = 20
  /// With fewer turns in a window, keeping the lock gains nothing worth a thread.
  private static let busyTurns = 16
  /// How long a handle keeps a lock that another one wants, as long as it goes on writing.
  private static let slice = Duration.milliseconds(2)

  enum Decision { case keep, release, beginKeeping }

  /// Counts a turn. `now` in milliseconds of the store's clock.
  @inline(__always)
  mutating func beginTurn(_ now: UInt64) {
    if now &- windowStart >= Self.windowMilliseconds { beginWindow(now) }
    windowTurns += 1
  }

  @inline(never)
  private mutating func beginWindow(_ now: UInt64) {
    wasBusy = windowTurns >= Self.busyTurns && now &- windowStart < 5 * Self.windowMilliseconds
    windowTurns = 0
    windowStart = now
  }

  /// Decides whether the lock is kept when a turn ends.
  @inline(__always)
  mutating func endTurn(_ shared: SharedState) -> Decision {
    if isKept { return Self.isWanted(shared) && isSliceOver(shared) ? .release : .keep }
    return wasBusy || windowTurns >= Self.busyTurns ? .beginKeeping : .release
  }

  /// The lock is kept from now on, if somebody watches it. Otherwise it is not tried again before
  /// there have been as many turns as now.
  mutating func beginKeeping(isWatched: Bool) {
    isKept = isWatched
    if !isWatched { (windowTurns, wasBusy) = (0, false) }
  }

  /// Whether another handle has waited long enough for the lock; then it is no longer kept.
  @inline(never)
  private mutating func isSliceOver(_ shared: SharedState) -> Bool {
    guard isOverdue(shared) else { return false }
    release(shared)
    return true
  }

  /// Whether another handle wants the lock, and has been seen to for longer than a slice.
  mutating func isOverdue(_ shared: SharedState) -> Bool {
    if !Self.isWanted(shared) { return false }
    let now = ContinuousClock.now
    let since = wantedSince ?? now
    wantedSince = since
    return now - since >= Self.slice
  }

  /// The lock is kept no longer.
  mutating func release(_ shared: SharedState) {
    isKept = false
    noteRelease(shared)
  }

  /// Before the lock is released: notes whether another handle wants it, which then goes first. It
  /// asks now and then, and a handle whose turns are long would otherwise always be faster.
  @inline(__always)
  mutating func noteRelease(_ shared: SharedState) {
    wantedSince = nil
    grantsWhenGiven = Self.isWanted(shared) ? shared[.writeLockGrants] : nil
  }

  // MARK: Among handles

  /// Whether another handle wants the lock.
  @inline(__always)
  static func isWanted(_ shared: SharedState) -> Bool { shared[.writeLockWanted] != 0 }

  /// Says that this handle wants the lock.
  static func want(_ shared: SharedState) { shared[.writeLockWanted] = 1 }

  /// Counts that a handle has got the lock. Others that still want it say so again.
  @inline(__always)
  static func noteGrant(_ shared: SharedState) {
    shared.raise(.writeLockGrants, by: 1)
    if isWanted(shared) { shared[.writeLockWanted] = 0 }
  }

  /// After this handle gave the lock to another that wanted it: blocks until a handle has taken it,
  /// 2 ms at most. Otherwise this thread, which is running, would mostly be faster.
  @inline(__always)
  mutating func letOthersFirst(_ shared: SharedState) {
    guard let grants = grantsWhenGiven else { return }
    grantsWhenGiven = nil
    waitForGrant(after: grants, shared)
  }

  @inline(never)
  private func waitForGrant(after grants: UInt64, _ shared: SharedState) {
    let deadline = ContinuousClock.now + Self.slice
    while shared[.writeLockGrants] == grants, ContinuousClock.now < deadline { pause(microseconds: 50) }
  }
}

/// The thread that lets other handles have a kept lock while its own handle has no turn.
///
/// It starts when the lock is kept, looks every 2 ms while it is, and ends when it has not been for a
/// second.
final class LockKeeper: @unchecked Sendable {
  // Sendable: what changes is touched only under `lock`.
  private let lock = Lock()
  private var isStarted = false
  private var isStopped = false
  private var isWatching = false

  private static let roundMilliseconds = 2
  private static let idleMilliseconds = 1_000
  /// After so many rounds without a turn a lock is kept no longer.
  static let roundsUntilIdle = 10

  /// Watches a lock that is kept from now on; false if there can be no thread for it.
  func watch(_ writeLock: WriteLock) -> Bool {
    lock.withLock {
      if !isStarted {
        let run = { @Sendable [self, weak writeLock] in self.run { writeLock } }
        isStarted = startThread(run)
        if !isStarted { return false }
      }
      if !isWatching {
        isWatching = true
        lock.wakeAll()
      }
      return true
    }
  }

  /// Lets the thread end.
  func stop() {
    lock.withLock { isStopped = true }
    lock.wakeAll()
  }

  /// - Parameter writeLock: gives the lock while it lives.
  private func run(_ writeLock: () -> WriteLock?) {
    var (turns, idleRounds) = (UInt64.max, 0)
    while waitForRound() {
      guard let writeLock = writeLock() else { return }
      let now = writeLock.turns.load(ordering: .relaxed)
      idleRounds = now == turns ? idleRounds + 1 : 0
      turns = now
      writeLock.reviewKept(idleRounds)
    }
  }

  /// Waits until the next look is due; false if the thread is to end.
  private func waitForRound() -> Bool {
    lock.withLock {
      if !isWatching, !isStopped { lock.wait(milliseconds: Self.idleMilliseconds) }
      if !isWatching || isStopped {
        isStarted = false
        return false
      }
      lock.wait(milliseconds: Self.roundMilliseconds)
      return true
    }
  }

  /// Ends watching. Called, like ``watch(_:)``, with the mutex of the write lock.
  func stopWatching() { lock.withLock { isWatching = false } }
}
