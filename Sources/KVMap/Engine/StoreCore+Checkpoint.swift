import Synchronization

/// Checkpoints: when one is due, who writes it, and lock C.
///
/// C is taken within a turn and kept without it: while the checkpoint is sealed and
/// synced, others write. A takeover needs it too, and waits for it within its turn; that
/// cannot last, since who holds C waits for nobody.
extension StoreCore {
  // MARK: When

  /// With less, nothing needs to be looked at.
  private static let leastLookedAt: UInt64 = 64 << 10

  /// Has a checkpoint written if one is due; returns for how many milliseconds writing
  /// should pause.
  @inline(__always)
  func checkpointIfDue() throws(StoreError) -> Int {
    let length = live[LivePage.logSinceCheckpoint]
    if length < Self.leastLookedAt { return 0 }
    return try checkpointIfDue(length)
  }

  @inline(never)
  private func checkpointIfDue(_ length: UInt64) throws(StoreError) -> Int {
    let quarters = quartersOfDue()
    let times = max(quarters > 4 ? quarters - 4 : 0, isShortOfSpace() ? 1 : 0)
    let wait = times > 0 ? milliseconds(for: length, times: times) : 0
    if quarters < 4 { return wait }
    // Less than then: others have written one since.
    if length >= lengthWhenAsked, length - lengthWhenAsked < Checkpoint.leastLog { return wait }
    lengthWhenAsked = length
    if options.checkpoints == .background, backing.isShared, maintenance.requestCheckpoint(self) {
      return wait
    }
    try checkpoint()
    return 0
  }

  /// What has happened since the last checkpoint, in quarters of what makes one due.
  private func quartersOfDue() -> UInt64 {
    let live = live
    return max(
      live[LivePage.logSinceCheckpoint] / (Checkpoint.dueAfter(live) / 4),
      live[LivePage.releasedPages] / (Checkpoint.dueAfterReleasing(live) / 4))
  }

  // MARK: Pace

  /// A commit that has written this much pauses for a millisecond, or for several, the
  /// further writing has got ahead of the disk.
  private static let bytesPerMillisecond: UInt64 = 16 << 10
  /// Also a checkpoint that never ends does not bring writing to a standstill.
  private static let mostTimes: UInt64 = 16
  private static let longestPause: UInt64 = 10_000

  private func milliseconds(for length: UInt64, times factor: UInt64) -> Int {
    guard length > lengthAtTurn else { return 0 }
    let written = length - lengthAtTurn
    let pause = (1 + written / Self.bytesPerMillisecond) * min(factor, Self.mostTimes)
    return Int(min(pause, Self.longestPause))
  }

  /// Whether a checkpoint is about to free space, and the file takes a little more than is
  /// promised: what is written meanwhile would come on top of that. Looked at now and then.
  ///
  /// Not while something is pinned, or after much was removed: then it would not help.
  private func isShortOfSpace() -> Bool {
    guard isCheckpointing.load(ordering: .relaxed) else { return false }
    looksForSpace &+= 1
    if looksForSpace % 32 == 0 { wasShortOfSpace = takesMoreThanPromised() }
    return wasShortOfSpace
  }

  private func takesMoreThanPromised() -> Bool {
    let live = live
    guard unsafe writer.pointee.space.reuse.limit.number >= live[LivePage.durableEpoch],
      let allocated = try? backing.sizes().allocated
    else { return false }
    // Nonsense in the live page must not overflow.
    let most = Layout.largestFile
    let held = min(live[LivePage.liveBytes], most) + min(live[LivePage.indexPages], most >> 12) << 12
    let promised = Compactor.promisedBytes(forHolding: Int(held))
    return allocated > promised && allocated < promised + promised / 4
  }

  /// Slows down a writer that the disk cannot keep up with; only until the next checkpoint
  /// begins, or this one has ended.
  @inline(never)
  func pauseWriting(forMilliseconds milliseconds: Int) {
    let deadline = ContinuousClock.now + .milliseconds(milliseconds)
    let epoch = live[LivePage.epoch]
    repeat {
      pause(microseconds: 500)
    } while live[LivePage.epoch] == epoch
      && (isCheckpointing.load(ordering: .acquiring) || quartersOfDue() > 4)
      && ContinuousClock.now < deadline
  }

  // MARK: Writing one

  /// Under the turn, from beginning to end. False if one is being written already.
  @discardableResult
  func checkpoint() throws(StoreError) -> Bool {
    guard try tryEnterCheckpoint() else { return false }
    try checkpointEntered()
    return true
  }

  /// The same with lock C, which is let go of in any case.
  func checkpointEntered() throws(StoreError) {
    try finishCheckpoint(try beginEntered())
    unsafe writer.pointee.log.adoptCheckpoint()
  }

  /// Under the turn; waits for one that is being written, which needs no turn for that.
  func checkpointAfterOthers() throws(StoreError) {
    try enterCheckpoint()
    try checkpointEntered()
  }

  /// Not under the turn: has it only for the moment in which the state is noted.
  /// Waits for a checkpoint that is being written, and writes one after it.
  func checkpointBeside() throws(StoreError) {
    let block = try waitingForCheckpoint { () throws(StoreError) in try beginCheckpointInTurn() }
    do throws(StoreError) {
      try finishCheckpoint(block)
    } catch {
      let error = lossOr(error)
      noteFailure(error)
      throw error.naming(name)
    }
  }

  private func beginCheckpointInTurn() throws(StoreError) -> Superblock? {
    var block: Superblock?
    do throws(StoreError) {
      try withTurn { _ throws(StoreError) in block = try beginCheckpoint() }
    } catch {
      // The turn may end badly although the checkpoint has begun.
      if block != nil { leaveCheckpoint() }
      throw error
    }
    return block
  }

  /// Tries again until `attempt` meets no checkpoint that is being written.
  func waitingForCheckpoint<R>(_ attempt: () throws(StoreError) -> R?) throws(StoreError) -> R {
    var patience = Patience(options.timeout)
    while true {
      if let result = try attempt() { return result }
      if patience.wait() { continue }
      // The lock is the handle's: if nobody else has it, another thread does.
      let holder = try backing.holder(of: .checkpoint, against: .exclusive) ?? processIdentifier
      throw patience.busy(holder, "has been writing a checkpoint").naming(name)
    }
  }

  /// Under the turn: notes the state and begins a new epoch. Nil if a checkpoint is
  /// being written already. Lock C is held afterwards, to be let go of by
  /// `finishCheckpoint`.
  func beginCheckpoint() throws(StoreError) -> Superblock? {
    try tryEnterCheckpoint() ? beginEntered() : nil
  }

  private func beginEntered() throws(StoreError) -> Superblock {
    do throws(StoreError) {
      try makeDoubtfulPagesAnew()
      try recordReleasesIfThereIsRoom()
      if backing.isShared { try unsafe writer.pointee.space.trimEnd() }
    } catch {
      leaveCheckpoint()
      throw error
    }
    lengthWhenAsked = .max
    wasShortOfSpace = false
    return Checkpoint(source: source, backing: backing, previous: superblock).freeze()
  }

  /// With or without the turn: makes durable what was noted. Waits for nobody.
  func finishCheckpoint(_ block: Superblock) throws(StoreError) {
    defer { leaveCheckpoint() }
    // Neither a reader that is counted nor, mostly, the one who writes.
    let hold = backing.mapping.hold()
    defer { backing.mapping.release(hold) }
    let checkpoint = Checkpoint(source: source, backing: backing, previous: superblock)
    // Without a file nothing has to be durable; a new epoch lets space be reused.
    if backing.isShared {
      // A process that dies over the sync may be the only one that was told of an error.
      live[LivePage.announcedSync] = UInt64(processIdentifier)
      do throws(StoreError) {
        try checkpoint.seal(block, after: Epoch(number: live[LivePage.durableEpoch]))
        try checkpoint.settleSuperblocks()
        try checkpoint.record(block)
      } catch {
        noteFailure(lossOr(error))
        live[LivePage.announcedSync] = 0
        throw error
      }
      live[LivePage.announcedSync] = 0
    }
    checkpoint.release(block)
  }

  /// Under the turn: as the beginning of every checkpoint does it.
  func settleSuperblocks() throws(StoreError) {
    guard try tryEnterCheckpoint() else { return }
    defer { leaveCheckpoint() }
    try Checkpoint(source: source, backing: backing, previous: superblock).settleSuperblocks()
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

  // MARK: Lock C

  /// The lock is the handle's: its threads are kept apart by the flag.
  private func tryEnterCheckpoint() throws(StoreError) -> Bool {
    guard
      isCheckpointing.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing)
        .exchanged
    else { return false }
    do throws(StoreError) {
      if try backing.tryLock(.checkpoint, .exclusive) {
        if live[LivePage.announcedSync] != 0 {
          live[LivePage.syncFailed] = 1
          live[LivePage.announcedSync] = 0
        }
        return true
      }
    } catch {
      isCheckpointing.store(false, ordering: .releasing)
      throw error
    }
    isCheckpointing.store(false, ordering: .releasing)
    return false
  }

  /// Waits until nobody writes a checkpoint, and sees to it that nobody begins one.
  func enterCheckpoint() throws(StoreError) {
    try waitingForCheckpoint { () throws(StoreError) -> Void? in try tryEnterCheckpoint() ? () : nil }
  }

  func leaveCheckpoint() {
    try? backing.unlock(.checkpoint)
    isCheckpointing.store(false, ordering: .releasing)
  }
}
