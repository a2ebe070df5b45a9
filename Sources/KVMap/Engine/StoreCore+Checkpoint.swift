import Synchronization

/// Checkpoints: when one is due, and who writes it.
extension StoreCore {
  // MARK: When

  /// Has a checkpoint written if one is due. Returns for how many milliseconds writing should
  /// pause.
  @inline(__always)
  func checkpointIfDue(_ turn: borrowing WriteTurn) throws(Store.Error) -> Int {
    let length = shared[.logSinceCheckpoint]
    if turn.throttle.isTooSoon(length) { return 0 }
    return try checkpointIfDue(turn, length)
  }

  @inline(never)
  private func checkpointIfDue(_ turn: borrowing WriteTurn, _ length: UInt64) throws(Store.Error) -> Int {
    let quarters = quartersOfDue()
    let isShort =
      isCheckpointing.load(ordering: .relaxed)
      && turn.throttle.isShortOfSpace { takesMoreThanPromised(turn) }
    let times = max(quarters > 4 ? quarters - 4 : 0, isShort ? 1 : 0)
    let wait = times > 0 ? turn.throttle.milliseconds(for: length, times: times) : 0
    if quarters < 4 {
      if wait == 0 { turn.throttle.noteNothingDue(at: length) }
      return wait
    }
    // If the log is shorter than when a checkpoint was requested, others have written one since.
    let asked = turn.throttle.lengthWhenAsked
    if length >= asked, length - asked < SpacePromise.leastLog { return wait }
    turn.throttle.lengthWhenAsked = length
    if options.checkpoints == .background, backing.isShared, maintenance.requestCheckpoint(self) {
      return wait
    }
    try checkpoint(turn, .skip)
    return 0
  }

  /// How much has happened since the last checkpoint, in quarters of what makes one due.
  private func quartersOfDue() -> UInt64 {
    let shared = shared
    return max(
      shared[.logSinceCheckpoint] / (promise.checkpointLog(shared) / 4),
      shared[.releasedPages] / (SpacePromise.releasedPages(shared) / 4))
  }

  /// Whether the file takes a little more space than is promised, while a checkpoint is being
  /// written that will free some: what is written meanwhile would come on top.
  ///
  /// False while something is pinned, and after much was removed: then waiting would not help.
  private func takesMoreThanPromised(_ turn: borrowing WriteTurn) -> Bool {
    let shared = shared
    guard turn.writer.space.reuse.limit.number >= shared[.durableEpoch].number,
      let allocated = try? backing.sizes().allocated
    else { return false }
    // Corrupt counters must not overflow.
    let most = Layout.largestFile
    let held = min(shared[.liveBytes], most) + min(shared[.indexPages], most >> 12) << 12
    let promised = promise.bytes(forHolding: Int(held))
    return allocated > promised && allocated < promised + promised / 4
  }

  /// Slows down a writer that the disk cannot keep up with, at most until the next checkpoint
  /// begins or this one has ended. Without the write lock.
  @inline(never)
  func pauseWriting(forMilliseconds milliseconds: Int) {
    let pause = WritePause(self, milliseconds)
    repeat { KVMap.pause(microseconds: 500) } while pause.goesOn
  }

  /// As `pauseWriting`, for a task.
  func pauseTask(forMilliseconds milliseconds: Int) async {
    let pause = WritePause(self, milliseconds)
    repeat { try? await Task.sleep(for: .microseconds(500)) } while pause.goesOn && !Task.isCancelled
  }

  /// The pause of a writer that the disk cannot keep up with.
  private struct WritePause {
    private let core: StoreCore
    private let deadline: ContinuousClock.Instant
    private let epoch: Epoch

    init(_ core: StoreCore, _ milliseconds: Int) {
      self.core = core
      deadline = ContinuousClock.now + .milliseconds(milliseconds)
      epoch = core.shared[.epoch]
    }

    var goesOn: Bool {
      core.shared[.epoch] == epoch
        && (core.isCheckpointing.load(ordering: .acquiring) || core.quartersOfDue() > 4)
        && ContinuousClock.now < deadline
    }
  }

  // MARK: Writing one

  /// What to do about a checkpoint that another handle or thread is writing.
  enum OtherCheckpoint {
    /// Leave it at that one.
    case skip
    /// Wait until it is written, and write one after it.
    case wait
  }

  /// Writes a checkpoint with the write lock held from beginning to end. Returns false if one that
  /// is being written is enough.
  @discardableResult
  func checkpoint(_ turn: borrowing WriteTurn, _ other: OtherCheckpoint) throws(Store.Error) -> Bool {
    switch other {
    case .skip:
      guard let lock = try CheckpointLock(ifFree: self) else { return false }
      try checkpoint(turn, lock)
    case .wait:
      // The other checkpoint needs no write lock to end.
      try checkpoint(turn, CheckpointLock(waitingFor: self))
    }
    return true
  }

  func checkpoint(_ turn: borrowing WriteTurn, _ lock: consuming CheckpointLock) throws(Store.Error) {
    try finish(try freeze(turn, lock))
    turn.writer.adoptCheckpoint()
  }

  /// Writes a checkpoint, with the write lock held only while the state is noted. Waits for a
  /// checkpoint that is being written.
  func checkpoint() throws(Store.Error) {
    let frozen = try waitingForCheckpoint { () throws(Store.Error) -> FrozenCheckpoint? in
      try withWriteLock { turn throws(Store.Error) -> FrozenCheckpoint? in
        guard let lock = try CheckpointLock(ifFree: self) else { return nil }
        return try freeze(turn, lock)
      }
    }
    do throws(Store.Error) { try finish(frozen) } catch { throw lossOr(error).naming(name) }
  }

  /// A state that has been noted and is not durable yet.
  struct FrozenCheckpoint: ~Copyable {
    let block: Superblock
    let lock: CheckpointLock
  }

  /// Notes the state and begins a new epoch.
  func freeze(
    _ turn: borrowing WriteTurn, _ lock: consuming CheckpointLock
  ) throws(Store.Error) -> FrozenCheckpoint {
    try rebuildDoubtfulPages(turn, lock)
    try flushReleasesIfThereIsRoom(turn)
    if backing.isShared { try turn.writer.space.trimEnd() }
    turn.throttle.reset()
    let block = Checkpoint(source: source, backing: backing, previous: superblock).freeze()
    return FrozenCheckpoint(block: block, lock: lock)
  }

  /// Makes the noted state durable, with or without the write lock. Waits for nobody.
  func finish(_ frozen: consuming FrozenCheckpoint) throws(Store.Error) {
    // This thread is not counted as a reader and may be without the write lock, so it holds the
    // mapping.
    let hold = mapping.hold()
    defer { mapping.release(hold) }
    let block = frozen.block
    let checkpoint = Checkpoint(source: source, backing: backing, previous: superblock)
    // Without a file nothing has to be durable; a new epoch lets space be reused.
    if backing.isShared {
      // If this process dies during the sync, it may be the only one that was told of an error.
      shared[.announcedSync] = UInt64(processIdentifier)
      do throws(Store.Error) {
        try checkpoint.seal(block, after: shared[.durableEpoch])
        try checkpoint.repairSuperblocks()
        try checkpoint.persist(block)
      } catch {
        noteFailure(lossOr(error))
        shared[.announcedSync] = 0
        throw error
      }
      shared[.announcedSync] = 0
    }
    checkpoint.publishReuse(block)
  }

  /// Makes both superblocks name the same checkpoint, after its writer died between the two. Does
  /// nothing if another process holds the write lock or writes a checkpoint.
  func repairSuperblocksIfFree() throws(Store.Error) {
    guard let turn = try enter(.ifFree) else { return }
    try conclude(turn) { _ throws(Store.Error) in
      guard let lock = try CheckpointLock(ifFree: self) else { return }
      try Checkpoint(source: source, backing: backing, previous: superblock).repairSuperblocks()
      withExtendedLifetime(lock) {}
    }
  }

  /// Enters the released pages in the space table. On a full disk there may be no page for that:
  /// then they stay listed, and are entered after the checkpoint, which frees other pages.
  private func flushReleasesIfThereIsRoom(_ turn: borrowing WriteTurn) throws(Store.Error) {
    do throws(Store.Error) {
      try turn.writer.space.flushReleases()
    } catch {
      guard error.code == .diskFull else { throw error }
    }
  }
}
