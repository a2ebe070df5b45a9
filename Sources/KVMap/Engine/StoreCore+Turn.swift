import CMappedMemory
import MappedMemory
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension StoreCore {
  private static var thread: UInt {
    #if canImport(Darwin)
      unsafe UInt(bitPattern: pthread_self())
    #else
      UInt(pthread_self())
    #endif
  }

  /// Throws if this thread is inside a transaction on this handle.
  func checkNotInTransaction() throws(StoreError) {
    if owner.load(ordering: .relaxed) == Self.thread {
      throw StoreError(
        .reentrant,
        "\(name): the call was made from within a transaction; use the transaction itself, or call after it")
    }
  }

  /// Runs `body` while this thread has the writer's turn, and then, if one is
  /// due, a checkpoint.
  @inline(__always)
  func withTurn<R>(_ body: (inout Writer) throws(StoreError) -> R) throws(StoreError) -> R {
    defer { withExtendedLifetime(self) {} }
    try takeTurn()
    let result: R
    do {
      result = try unsafe body(&writer.pointee)
      // A store into a page that has no storage is not done.
      try checkNotLost()
    } catch {
      let error = lossOr(error)
      returnTurn(after: error)
      throw error.naming(name)
    }
    finishTurn()
    return result
  }

  /// Ends a turn in which all went well.
  @inline(__always)
  func finishTurn() {
    let wait = tidyUp()
    returnTurn(after: nil)
    if wait > 0 { pauseWriting(forMilliseconds: wait) }
  }

  /// What a commit does for the store besides: a little compaction, and a
  /// checkpoint if one is due. The commit is done; what fails here is tried again
  /// later, and if a sync failed the next turn begins with recovery. Returns for how many
  /// milliseconds writing should pause.
  @inline(__always)
  func tidyUp() -> Int {
    do throws(StoreError) {
      let wait = try checkpointIfDue()
      // Moving records takes space until the next checkpoint.
      try unsafe writer.pointee.compactAfterCommit(moves: wait == 0)
      return wait
    } catch {
      noteFailure(lossOr(error))
      return 0
    }
  }

  /// After a failed sync, or a loss, what was published may not have reached the pages
  /// of the file.
  func noteFailure(_ error: StoreError) {
    if error.code == .outcomeUnknown || error.code == .lost { live[LivePage.syncFailed] = 1 }
  }

  /// Blocks until this thread has the turn among the threads of this process and
  /// this process among all; recovers first if its last holder died in it.
  @inline(__always)
  func takeTurn(joins: Bool = false) throws(StoreError) {
    try checkOpen()
    try checkNotInTransaction()
    _ = try enterTurn(waits: true, joins: joins)
  }

  /// Lets both superblocks tell of the same checkpoint, unless somebody else has the turn or
  /// writes one: who wrote the last one died between them.
  func settleSuperblocksIfFree() throws(StoreError) {
    guard try enterTurn(waits: false) else { return }
    do throws(StoreError) {
      try settleSuperblocks()
    } catch {
      returnTurn(after: error)
      throw error.naming(name)
    }
    returnTurn(after: nil)
  }

  /// False if another process has the turn and `waits` is false. Who `joins` goes on in
  /// the turn of a group of commits, if there is one; others end that first.
  @inline(__always)
  private func enterTurn(
    waits: Bool, joins: Bool = false, isClosing: Bool = false
  ) throws(StoreError) -> Bool {
    lockMutex()
    owner.store(Self.thread, ordering: .relaxed)
    do {
      if unsafe writer.pointee.commitGroup != nil {
        if joins, isOpen.load(ordering: .relaxed) { return true }
        endGroup()
      }
      // It may have been closed, and its locks let go of, while this waited.
      if !isClosing { try checkOpen() }
      if !holdsTurn {
        guard try acquireTurn(waits: waits) else {
          leaveMutex()
          return false
        }
        holdsTurn = options.exclusive
      }
      try beginTurn()
      return true
    } catch {
      if !holdsTurn { try? backing.unlock(.turn) }
      leaveMutex()
      throw lossOr(error).naming(name)
    }
  }

  /// Who waits is counted: a commit that others wait behind lets them join it.
  @inline(__always)
  private func lockMutex() {
    if mutex.tryLock() { return }
    waiting.add(1, ordering: .relaxed)
    mutex.lock()
    waiting.subtract(1, ordering: .relaxed)
  }

  func leaveMutex() {
    owner.store(0, ordering: .relaxed)
    mutex.unlock()
  }

  /// Sees to it that what this handle knows is what the store is now.
  @inline(__always)
  private func beginTurn() throws(StoreError) {
    let live = live
    try checkNotLost()
    if live[LivePage.busy] | live[LivePage.syncFailed] != 0 { try takeOver() }
    if live[LivePage.recoveries] != knownRecoveries || isNew { startAfresh() }
    unsafe writer.pointee.log.adoptCheckpoint()
    // This thread has no address in the store at hand, and no other one writes.
    backing.mapping.unmapOutgrown()
    let end = Int(live[LivePage.highWater]) * Layout.unitBytes
    if end > backing.mappedBytes { _ = try backing.extendMapping(to: end) }
    unsafe writer.pointee.working.refresh()
    try unsafe writer.pointee.ensureAddresses(for: 0)
    try checkPlace()
    live[LivePage.busy] = UInt64(processIdentifier)
    lengthAtTurn = live[LivePage.logSinceCheckpoint]
  }

  /// Throws if the path leads to another file now, or to none: what is written
  /// would be seen by nobody else. Looked at every 50 ms at most.
  @inline(__always)
  private func checkPlace() throws(StoreError) {
    guard path != nil else { return }
    let now = clock.now()
    if now >= nextPlaceCheck || now &+ 50 < nextPlaceCheck { try lookAtPlace(now) }
  }

  @inline(never)
  private func lookAtPlace(_ now: UInt64) throws(StoreError) {
    guard let path, let file = backing as? FileBacking else { return }
    // Who may not look there any more may write all the same.
    if (try? file.isAt(path)) == false {
      throw StoreError(
        .replaced,
        "\(name): the file was removed or replaced while it was open; nothing was written; "
          + "close the store and open it again")
    }
    nextPlaceCheck = now &+ 50
  }

  /// Failures of the preparing steps leave the store as it was; after any other
  /// the next turn begins with recovery.
  @inline(__always)
  func returnTurn(after error: StoreError?) {
    endTurn(after: error)
    leaveMutex()
  }

  /// The same, but other threads of this process do not come in yet.
  @inline(__always)
  func endTurn(after error: StoreError?) {
    let live = live
    if let error { noteFailure(error) }
    if unsafe error == nil || !writer.pointee.isHalfDone {
      // Pages that were copied in vain: others must not find the originals in use.
      if unsafe !writer.pointee.space.unrecorded.isEmpty {
        try? unsafe writer.pointee.space.recordReleases()
      }
      live[LivePage.busy] = 0
    }
    unsafe writer.pointee.isHalfDone = false
    if !holdsTurn {
      try? backing.unlock(.turn)
    }
  }

  @inline(__always)
  private func acquireTurn(waits: Bool) throws(StoreError) -> Bool {
    if try !backing.tryLock(.turn, .exclusive) {
      if !waits { return false }
      try waitForTurn()
    }
    return true
  }

  /// Asks again, ever less often, until the timeout.
  @inline(never)
  private func waitForTurn() throws(StoreError) {
    var patience = Patience(options.timeout)
    while try !backing.tryLock(.turn, .exclusive) {
      if patience.wait() { continue }
      let holder = try backing.holder(of: .turn, against: .exclusive)
      throw patience.busy(holder, "has held the writer's turn").naming(name)
    }
  }

  /// The last holder of the turn died in it, or a sync failed: readers go on with
  /// what was published, and the state is rebuilt beside it.
  private func takeOver() throws(StoreError) {
    if backing.isShared {
      // Its superblocks would be mixed with those of a checkpoint under way.
      try enterCheckpoint()
      defer { leaveCheckpoint() }
      try takeOverEntered()
    } else if live[LivePage.busy] != 0 {
      // Nobody else writes here: the failure was this handle's own.
      throw StoreError(.damaged, "\(name): an earlier change failed half-way; reopen the store")
    }
  }

  /// The same with lock C.
  private func takeOverEntered() throws(StoreError) {
    backing.forgetFailedSync()
    let (block, bothAgree) = try SuperblockPair(source.fixed).current()
    let recovery = Recovery(
      source: source, backing: backing, clock: clock, isTakeover: true, isPrivate: false)
    let end = try recovery.examine(block)
    if let file = backing as? FileBacking { try recovery.rehearse(file, block, end) }
    try recovery.rebuild(block, bothAgree: bothAgree, end)
  }

  /// What this handle remembered of the table's pages belongs to a tree of before. A recovery
  /// has stored again what was not durable.
  private func startAfresh() {
    backing.forgetFailedSync()
    unsafe writer.pointee.space = SpaceTable(working: writer.pointee.working, backing: backing)
    let isInherited = isNew && joinedOthers && live[LivePage.recoveries] == recoveriesWhenJoined
    unsafe writer.pointee.log.inheritance =
      isInherited
      ? LogWriter.Inheritance(
        sequence: SequenceNumber(number: live[LivePage.sequence]),
        epoch: Epoch(number: live[LivePage.epoch]))
      : nil
    isNew = false
    knownRecoveries = live[LivePage.recoveries]
  }

  /// Recovers the store if pages of the index cannot be vouched for as they are: those that
  /// were stored before this handle could be told of errors, and those that somebody died
  /// over who was syncing them. They are made anew, of the log.
  ///
  /// Under the turn, with nothing pending, and with lock C.
  func makeDoubtfulPagesAnew() throws(StoreError) {
    guard backing.isShared, inheritsPages || live[LivePage.syncFailed] != 0 else { return }
    try takeOverEntered()
    startAfresh()
    unsafe writer.pointee.working.refresh()
    live[LivePage.busy] = UInt64(processIdentifier)
  }

  func sync() throws(StoreError) {
    try checkOpen()
    guard backing.isShared, options.access == .readWrite else { return }
    try withTurn { (writer: inout Writer) throws(StoreError) in
      try writer.log.sync(upTo: writer.log.tail)
    }
  }

  /// Cuts the file off behind what is used, if nobody else has it open. Under the
  /// turn, right after a checkpoint: both superblocks know no more than this.
  ///
  /// A handle that views the file without lock A, since somebody was cutting it off, has a pin.
  func cutOffEnd() throws(StoreError) {
    let end = Int(live[LivePage.highWater]) * Layout.unitBytes
    guard backing.isShared, try backing.sizes().file > end,
      try backing.tryLock(.attached, .exclusive)
    else { return }
    // Whoever opens the store for writing waits for it, also if the file cannot be cut off. It fails
    // for want of the system's memory at most, for a moment.
    defer {
      var attempts = 8
      while (try? backing.tryLock(.attached, .shared)) != true, attempts > 0 {
        attempts -= 1
        pause(microseconds: 100)
      }
    }
    guard try backing.lowestPin() == nil else { return }
    unsafe writer.pointee.space.reserve.forget()
    try backing.cutOff(at: end)
  }

  // MARK: Closing

  /// Makes the log since the last checkpoint short if it is worth it, and lets go
  /// of all locks. Calls after the first do nothing.
  func shutDown() throws(StoreError) {
    defer { withExtendedLifetime(self) {} }
    guard isOpen.exchange(false, ordering: .sequentiallyConsistent),
      kvmap_process_generation() == processGeneration
    else { return }
    maintenance.stop()
    while isCheckpointing.load(ordering: .acquiring) { pause(microseconds: 200) }
    defer {
      (backing as? PrivateBacking)?.letGo(pinned)
      lockMutex()
      endGroup()
      // A thread that waited for the turn may have begun one meanwhile; now nobody can.
      while isCheckpointing.load(ordering: .acquiring) { pause(microseconds: 200) }
      for lock in [LockName.turn, .vouched, .valid, .attached] { try? backing.unlock(lock) }
      mutex.unlock()
    }
    guard backing.isShared, options.access == .readWrite, !backing.isLost else { return }
    try finish()
  }

  /// Whether pages of the index are others', who could have been told of errors that this handle
  /// was not told of. Under the turn.
  private var inheritsPages: Bool {
    guard let inheritance = unsafe writer.pointee.log.inheritance else { return false }
    return live[LivePage.durableEpoch] < inheritance.epoch.number
  }

  /// Whether a checkpoint at the end is left to others: those who are still there can vouch
  /// for what they stored as it is.
  private func isCheckpointForOthers() throws(StoreError) -> Bool {
    guard inheritsPages else { return false }
    return try backing.isLockedByOthers(.vouched, .exclusive)
  }

  private func finish() throws(StoreError) {
    let isLong = live[LivePage.logSinceCheckpoint] > Self.checkpointAtClose
    guard isLong || options.durability != .none else { return }
    // If somebody else is writing, a checkpoint is theirs to make; but what this
    // handle promised to make durable it waits for.
    guard try enterTurn(waits: options.durability != .none, isClosing: true) else { return }
    do throws(StoreError) {
      if isLong, try !isCheckpointForOthers() {
        var isDone = try checkpoint()
        if unsafe !writer.pointee.space.unrecorded.isEmpty { isDone = try checkpoint() }
        if isDone { try cutOffEnd() }
      }
      if options.durability != .none { try unsafe writer.pointee.log.sync(upTo: writer.pointee.log.tail) }
    } catch {
      let error = lossOr(error)
      returnTurn(after: error)
      throw error.naming(name)
    }
    returnTurn(after: nil)
  }

  /// Anything but the CUTs of openings. What is in a checkpoint is known to be
  /// there: damage to it is told, while damage to the very last record of a log
  /// looks like a commit that a crash cut off.
  private static let checkpointAtClose: UInt64 = 64
}
