import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The write lock: one thread of one process changes the store at a time.
///
/// Among the threads of a handle it is a mutex; among handles it is a lock on the file, which the
/// system releases when its holder dies. A handle that writes all the time keeps that one between
/// its turns (see ``KeptLock``). State that only the holder may touch lies inside, and is reached
/// through a ``WriteTurn``.
@safe
final class WriteLock: @unchecked Sendable {
  // Sendable: `state` is touched only by the thread that holds `mutex`; all else is atomic.

  /// What changes the store, and what this handle remembers from one turn to the next.
  struct State: ~Copyable {
    var writer: Writer
    var compactor: Compactor
    var throttle = WriteThrottle()
    var knownRecoveries: UInt64?
    var nextPathCheck: UInt64 = 0
    /// Whether this handle holds the lock among handles.
    fileprivate var isHeld = false
    /// Whether it may keep that lock when this turn ends.
    var kept = KeptLock()
  }

  fileprivate let state: UnsafeMutablePointer<State>
  private let locks: any StoreLocks
  private let mutex = Lock()
  /// The thread that holds `mutex`, 0 for none: to detect calls from within a transaction.
  private let owner = Atomic<UInt>(0)
  /// How many threads wait for `mutex`.
  let waiting = Atomic<Int>(0)
  /// How many turns have ended, for the keeper.
  let turns = Atomic<UInt64>(0)
  private let keeping: Keeping
  private let keeper = LockKeeper()

  /// How long the lock among handles is kept.
  enum Keeping {
    /// For a turn.
    case forOneTurn
    /// While the handle writes all the time and no other handle wants it.
    case whileWriting
    /// Until the handle is closed.
    case always
  }

  init(
    _ writer: consuming Writer, _ compactor: Compactor, _ locks: any StoreLocks, _ keeping: Keeping
  ) {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(writer: writer, compactor: compactor))
    self.locks = locks
    self.keeping = keeping
  }

  deinit {
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
  }

  /// Whether the calling thread holds it.
  @inline(__always)
  var isHeldByThisThread: Bool { owner.load(ordering: .relaxed) == Self.thread }

  /// Whether threads of this handle wait for it.
  @inline(__always)
  var hasWaiting: Bool { waiting.load(ordering: .relaxed) > 0 }

  /// Blocks until no other thread of this handle has it. Other handles may: see
  /// ``excludeOthers(_:waits:timeout:since:)``.
  @inline(__always)
  func enter() -> WriteTurn {
    if !mutex.tryLock() {
      // Counted: a commit that others wait for lets them join it.
      waiting.add(1, ordering: .relaxed)
      mutex.lock()
      waiting.subtract(1, ordering: .relaxed)
    }
    owner.store(Self.thread, ordering: .relaxed)
    return WriteTurn(self)
  }

  /// The same without blocking; nil if another thread has it.
  func tryEnter() -> WriteTurn? {
    guard mutex.tryLock() else { return nil }
    owner.store(Self.thread, ordering: .relaxed)
    return WriteTurn(self)
  }

  /// Takes the lock among handles as well, if this handle does not have it.
  ///
  /// - Returns: false if another handle has it and `waits` is false.
  /// - Throws: `busy` if it is not to be had within the timeout, which began at `start`.
  @inline(__always)
  func excludeOthers(
    _ turn: borrowing WriteTurn, waits: Bool, timeout: Duration,
    since start: @autoclosure () -> ContinuousClock.Instant
  ) throws(Store.Error) -> Bool {
    if unsafe state.pointee.isHeld { return true }
    let shared = unsafe state.pointee.writer.shared
    if waits { unsafe state.pointee.kept.letOthersFirst(shared) }
    if try !locks.tryLock(.write, .exclusive) {
      if !waits { return false }
      try waitForOthers(shared, Patience(timeout, since: start(), longestMicroseconds: 500))
    }
    unsafe state.pointee.isHeld = true
    unsafe state.pointee.writer.space.forgetLeaves()
    KeptLock.noteGrant(shared)
    return true
  }

  /// Ends keeping: called when the handle is closed.
  func close(_ turn: borrowing WriteTurn) {
    keeper.stop()
    admitOthers()
  }

  /// Lets other threads in until the group is done.
  func wait(_ turn: borrowing WriteTurn, until group: CommitGroup) {
    owner.store(0, ordering: .relaxed)
    while !group.isDone { mutex.wait() }
  }

  /// Whether another handle has wanted the lock for so long that an open group has to end.
  func isOverdue(_ turn: borrowing WriteTurn) -> Bool {
    unsafe keeping != .always && state.pointee.kept.isOverdue(state.pointee.writer.shared)
  }

  /// Wakes the threads that wait for groups.
  func wakeAll() { mutex.wakeAll() }

  @inline(__always)
  fileprivate func leave() {
    // An open group keeps the lock among handles for the commits that join it.
    if unsafe state.pointee.writer.group == nil, !staysHeld { admitOthers() }
    owner.store(0, ordering: .relaxed)
    mutex.unlock()
  }

  /// Whether this handle holds the lock among handles beyond the turn that ends.
  @inline(__always)
  private var staysHeld: Bool {
    switch keeping {
    case .always: return true
    case .forOneTurn:
      if unsafe state.pointee.isHeld {
        unsafe state.pointee.kept.noteRelease(state.pointee.writer.shared)
      }
      return false
    case .whileWriting:
      if unsafe !state.pointee.isHeld { return true }
      turns.store(turns.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
      let shared = unsafe state.pointee.writer.shared
      switch unsafe state.pointee.kept.endTurn(shared) {
      case .keep: return true
      case .release:
        unsafe state.pointee.kept.noteRelease(shared)
        return false
      case .beginKeeping:
        let isWatched = keeper.watch(self)
        unsafe state.pointee.kept.beginKeeping(isWatched: isWatched)
        return isWatched
      }
    }
  }

  /// For the keeper: lets other handles have the lock if they want it, or if there has been no turn
  /// in so many of its rounds.
  func reviewKept(_ idleRounds: Int) {
    // A turn that is under way looks itself when it ends.
    guard mutex.tryLock() else { return }
    defer { mutex.unlock() }
    let shared = unsafe state.pointee.writer.shared
    let isOver = KeptLock.isWanted(shared) || idleRounds >= LockKeeper.roundsUntilIdle
    if unsafe state.pointee.kept.isKept {
      guard isOver, unsafe state.pointee.writer.group == nil else { return }
      unsafe state.pointee.kept.release(shared)
      admitOthers()
    }
    keeper.stopWatching()
  }

  @inline(__always)
  private func admitOthers() {
    guard unsafe state.pointee.isHeld else { return }
    unsafe state.pointee.isHeld = false
    try? locks.unlock(.write)
  }

  /// Tries again, ever less often, until the timeout.
  @inline(never)
  private func waitForOthers(_ shared: SharedState, _ patience: consuming Patience) throws(Store.Error) {
    while true {
      // Before each attempt: whoever gets the lock takes the mark away.
      KeptLock.want(shared)
      if try locks.tryLock(.write, .exclusive) { return }
      if patience.wait() { continue }
      let holder = try locks.holder(of: .write, against: .exclusive)
      throw patience.busy(holder, "holds the write lock")
    }
  }

  /// The calling thread.
  @inline(__always)
  static var thread: UInt {
    #if canImport(Darwin)
      unsafe UInt(bitPattern: pthread_self())
    #else
      UInt(pthread_self())
    #endif
  }
}

/// The write lock, held by this thread. It ends where this value does.
@safe
struct WriteTurn: ~Copyable {
  /// The lock that is held, which the turn never outlives: no commit has to count references.
  private let lock: Unmanaged<WriteLock>
  private let state: UnsafeMutablePointer<WriteLock.State>

  fileprivate init(_ lock: WriteLock) {
    unsafe self.lock = Unmanaged.passUnretained(lock)
    unsafe state = lock.state
  }

  deinit { unsafe lock._withUnsafeGuaranteedRef { $0.leave() } }

  @inline(__always)
  var writer: Writer {
    _read { yield unsafe state.pointee.writer }
    nonmutating _modify { yield unsafe &state.pointee.writer }
  }

  @inline(__always)
  var compactor: Compactor {
    _read { yield unsafe state.pointee.compactor }
    nonmutating _modify { yield unsafe &state.pointee.compactor }
  }

  @inline(__always)
  var throttle: WriteThrottle {
    _read { yield unsafe state.pointee.throttle }
    nonmutating _modify { yield unsafe &state.pointee.throttle }
  }

  @inline(__always)
  var kept: KeptLock {
    _read { yield unsafe state.pointee.kept }
    nonmutating _modify { yield unsafe &state.pointee.kept }
  }

  /// How many recoveries this handle's writer knows of; nil before it writes for the first time.
  @inline(__always)
  var knownRecoveries: UInt64? {
    _read { yield unsafe state.pointee.knownRecoveries }
    nonmutating _modify { yield unsafe &state.pointee.knownRecoveries }
  }

  /// When to check next whether the path still names the file, in milliseconds since 1970.
  @inline(__always)
  var nextPathCheck: UInt64 {
    _read { yield unsafe state.pointee.nextPathCheck }
    nonmutating _modify { yield unsafe &state.pointee.nextPathCheck }
  }
}
