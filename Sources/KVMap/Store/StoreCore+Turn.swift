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
    tidyUp()
    returnTurn(after: nil)
    return result
  }

  /// What a commit does for the store besides: a little compaction, and a
  /// checkpoint if one is due. The commit is done; what fails here is tried again
  /// later, and if a sync failed the next turn begins with recovery.
  @inline(__always)
  func tidyUp() {
    do throws(StoreError) {
      if options.access == .readWrite { try unsafe writer.pointee.compactAfterCommit() }
      try checkpointIfDue()
    } catch {
      let error = lossOr(error)
      if error.code == .outcomeUnknown || error.code == .lost { memory.live[LivePage.syncFailed] = 1 }
    }
  }

  /// Blocks until this thread has the turn among the threads of this process and
  /// this process among all; recovers first if its last holder died in it.
  @inline(__always)
  func takeTurn() throws(StoreError) {
    try checkOpen()
    try checkNotInTransaction()
    _ = try enterTurn(waits: true)
  }

  /// False if another process has the turn and `waits` is false.
  @inline(__always)
  private func enterTurn(waits: Bool) throws(StoreError) -> Bool {
    unsafe pthread_mutex_lock(mutex)
    owner.store(Self.thread, ordering: .relaxed)
    do {
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

  private func leaveMutex() {
    owner.store(0, ordering: .relaxed)
    unsafe pthread_mutex_unlock(mutex)
  }

  /// Sees to it that what this handle knows is what the store is now.
  @inline(__always)
  private func beginTurn() throws(StoreError) {
    let live = memory.live
    try checkNotLost()
    if live[LivePage.busy] | live[LivePage.syncFailed] != 0 { try takeOver() }
    if live[LivePage.recoveries] != knownRecoveries { try startAfresh() }
    let end = Int(live[LivePage.highWater]) * Layout.unitBytes
    if end > memory.mappedBytes {
      _ = try backing.extendMapping(to: end)
      memory.noteMapped(backing.mappedBytes)
    }
    try checkPlace()
    live[LivePage.busy] = UInt64(processIdentifier)
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
    guard try file.isAt(path) else {
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
    let live = memory.live
    // After a loss, what was published may not have reached the pages of the file.
    if error?.code == .outcomeUnknown || error?.code == .lost { live[LivePage.syncFailed] = 1 }
    if unsafe error == nil || !writer.pointee.isHalfDone {
      // Pages that were copied in vain: others must not find the originals in use.
      if unsafe !writer.pointee.space.unrecorded.isEmpty {
        try? unsafe writer.pointee.space.recordReleases()
      }
      live[LivePage.busy] = 0
    }
    unsafe writer.pointee.isHalfDone = false
    if !holdsTurn {
      live[LivePage.holder] = 0
      try? backing.unlock(.turn)
    }
    leaveMutex()
  }

  @inline(__always)
  private func acquireTurn(waits: Bool) throws(StoreError) -> Bool {
    if try !backing.tryLock(.turn, .exclusive) {
      if !waits { return false }
      try waitForTurn()
    }
    memory.live[LivePage.holder] = UInt64(processIdentifier)
    return true
  }

  /// Asks again, ever less often, until the timeout.
  @inline(never)
  private func waitForTurn() throws(StoreError) {
    let deadline = ContinuousClock.now + options.timeout
    var microseconds = 20
    while try !backing.tryLock(.turn, .exclusive) {
      if ContinuousClock.now >= deadline {
        let holder = Int32(clamping: memory.live[LivePage.holder])
        let who = holder == 0 ? "another process" : "process \(holder)"
        throw StoreError(
          .busy,
          "\(name): \(who) has held the writer's turn for longer than \(options.timeout); "
            + "try again, wait longer, or end that process",
          holder: holder == 0 ? nil : holder)
      }
      pause(microseconds: microseconds)
      microseconds = min(microseconds * 2, 2_000)
    }
  }

  /// The last holder of the turn died in it, or a sync failed: readers go on with
  /// what was published, and the state is rebuilt beside it.
  private func takeOver() throws(StoreError) {
    if backing.isShared {
      let (block, bothAgree) = try Recovery.chooseSuperblock(memory.bytes)
      try Recovery(
        memory: memory, backing: backing, clock: clock, isTakeover: true, isPrivate: false
      ).run(block, bothAgree: bothAgree)
    } else if memory.live[LivePage.busy] != 0 {
      // Nobody else writes here: the failure was this handle's own.
      throw StoreError(.damaged, "\(name): an earlier change failed half-way; reopen the store")
    }
  }

  /// What this handle remembered of the table's pages belongs to a tree of before.
  private func startAfresh() throws(StoreError) {
    unsafe writer.pointee.space = SpaceTable(memory: memory, backing: backing)
    knownRecoveries = memory.live[LivePage.recoveries]
  }

  // MARK: Checkpoints

  /// How much log is written before a checkpoint is due: in proportion to the
  /// store, so that each byte is checkpointed a bounded number of times, and
  /// bounded itself, because recovery has to read it.
  private var checkpointThreshold: UInt64 {
    let live = memory.live
    let index = live[LivePage.indexPages] * UInt64(Layout.pageBytes)
    return min(max(live[LivePage.liveBytes] / 14, Self.leastCheckpointLog), max(32 << 20, index))
  }

  /// Replayed in some 60 ms; a checkpoint of less would sync more often than it helps.
  private static let leastCheckpointLog: UInt64 = 4 << 20

  @inline(__always)
  private func checkpointIfDue() throws(StoreError) {
    let length = memory.live[LivePage.logSinceCheckpoint]
    if length < Self.leastCheckpointLog || length < nextCheckpoint || length < checkpointThreshold { return }
    nextCheckpoint = length + (4 << 20)
    try checkpoint()
    nextCheckpoint = 0
  }

  /// Under the turn. False if another process is writing one.
  @discardableResult
  func checkpoint() throws(StoreError) -> Bool {
    guard backing.isShared else {
      try checkpointInMemory()
      return true
    }
    // Who holds the turn only tries C: its holder may be waiting for the turn.
    guard try backing.tryLock(.checkpoint, .exclusive) else { return false }
    defer { try? backing.unlock(.checkpoint) }
    try recordReleasesIfThereIsRoom()
    try unsafe writer.pointee.space.trimEnd()
    let durable = Epoch(number: memory.live[LivePage.durableEpoch])
    let checkpoint = Checkpoint(memory: memory, backing: backing, previous: superblock)
    let block = checkpoint.freeze()
    try checkpoint.seal(block, after: durable)
    try checkpoint.record(block)
    checkpoint.release(block)
    memory.live[LivePage.durable] = block.logPosition.offset
    memory.live[LivePage.durableSegment] = block.segment.number
    memory.live[LivePage.unsyncedRuns] = 0
    return true
  }

  /// Without a file nothing has to be durable; a new epoch lets space be reused.
  private func checkpointInMemory() throws(StoreError) {
    try unsafe writer.pointee.space.recordReleases()
    let checkpoint = Checkpoint(memory: memory, backing: backing, previous: superblock)
    checkpoint.release(checkpoint.freeze())
  }

  func sync() throws(StoreError) {
    try checkOpen()
    guard backing.isShared, options.access == .readWrite else { return }
    try withTurn { (writer: inout Writer) throws(StoreError) in
      try writer.log.sync(upTo: writer.log.tail.position)
    }
  }

  /// Cuts the file off behind what is used, if nobody else has it open. Under the
  /// turn, right after a checkpoint: both superblocks know no more than this.
  func cutOffEnd() throws(StoreError) {
    let end = Int(memory.live[LivePage.highWater]) * Layout.unitBytes
    guard backing.isShared, try backing.sizes().file > end,
      try backing.tryLock(.attached, .exclusive)
    else { return }
    memory.noteCutOff(min(end, memory.mappedBytes))
    unsafe writer.pointee.space.reserve.forget()
    try backing.cutOff(at: end)
    _ = try backing.tryLock(.attached, .shared)
  }

  // MARK: Closing

  /// Makes the log since the last checkpoint short if it is worth it, and lets go
  /// of all locks. Calls after the first do nothing.
  func shutDown() throws(StoreError) {
    defer { withExtendedLifetime(self) {} }
    syncer?.stop()
    guard isOpen.exchange(false, ordering: .sequentiallyConsistent),
      kvmap_process_generation() == processGeneration
    else { return }
    defer {
      (backing as? PrivateBacking)?.letGo(pinned)
      for lock in [LockName.turn, .vouched, .valid, .attached] { try? backing.unlock(lock) }
    }
    guard backing.isShared, options.access == .readWrite, !backing.isLost else { return }
    try finish()
  }

  private func finish() throws(StoreError) {
    let isLong = memory.live[LivePage.logSinceCheckpoint] > Self.checkpointAtClose
    guard isLong || options.durability != .none else { return }
    // If somebody else is writing, a checkpoint is theirs to make; but what this
    // handle promised to make durable it waits for.
    guard try enterTurn(waits: options.durability != .none) else { return }
    do throws(StoreError) {
      if isLong {
        var isDone = try checkpoint()
        if unsafe !writer.pointee.space.unrecorded.isEmpty { isDone = try checkpoint() }
        if isDone { try cutOffEnd() }
      }
      try unsafe writer.pointee.log.sync(upTo: writer.pointee.log.tail.position)
    } catch {
      returnTurn(after: error)
      throw error.naming(name)
    }
    returnTurn(after: nil)
  }

  /// On a full disk there may be no page to enter released pages in. They stay listed,
  /// and are entered after the checkpoint, which makes others free.
  private func recordReleasesIfThereIsRoom() throws(StoreError) {
    do throws(StoreError) {
      try unsafe writer.pointee.space.recordReleases()
    } catch {
      guard error.code == .diskFull else { throw error }
    }
  }

  /// Anything but the CUTs of openings. What is in a checkpoint is known to be
  /// there: damage to it is told, while damage to the very last record of a log
  /// looks like a commit that a crash cut off.
  private static let checkpointAtClose: UInt64 = 64
}
