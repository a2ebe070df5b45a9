import CMappedMemory
import Synchronization

/// Closing a handle, and truncating the file.
extension StoreCore {
  /// Writes a checkpoint if that saves the next opening work, and releases all locks. Calls after
  /// the first do nothing.
  func shutDown() throws(Store.Error) {
    defer { withExtendedLifetime(self) {} }
    guard isOpen.exchange(false, ordering: .sequentiallyConsistent),
      kvmap_process_generation() == processGeneration
    else { return }
    maintenance.stop()
    // Those of this handle see that it is closed.
    if options.access != .readOnly { shared.wakeWaiting() }
    waitForOwnCheckpoint()
    defer { letGo() }
    guard backing.isShared, options.access == .readWrite, !backing.isLost else { return }
    try persist()
  }

  private func waitForOwnCheckpoint() {
    while isCheckpointing.load(ordering: .acquiring) { pause(microseconds: 200) }
  }

  private func letGo() {
    pins.keepAnnounced()
    backing.letGo(pinned)
    let turn = writeLock.enter()
    endGroup(turn)
    // A thread that waited for the write lock may have begun a checkpoint meanwhile; now nobody
    // can.
    waitForOwnCheckpoint()
    writeLock.close(turn)
    for lock in [LockName.vouched, .valid, .attached] { try? backing.locks.unlock(lock) }
  }

  /// Writes a checkpoint if there is any log since the last one. What a checkpoint has is known to
  /// exist, so damage to it is reported, while damage to the very last record of a log looks like a
  /// commit that a crash interrupted.
  private func persist() throws(Store.Error) {
    let hasLog = shared[.logSinceCheckpoint] > 0
    guard hasLog || options.durability != .none else { return }
    // If another process is writing, the checkpoint is its job. But what this handle promised to
    // make durable, it waits for.
    guard let turn = try enter(options.durability == .none ? .closingIfFree : .closing) else { return }
    try conclude(turn) { turn throws(Store.Error) in
      let isForOthers = hasLog ? try leavesCheckpointToOthers(turn) : false
      if hasLog, !isForOthers {
        var isDone = try checkpoint(turn, .skip)
        if !turn.writer.space.pendingReleases.isEmpty { isDone = try checkpoint(turn, .skip) }
        if isDone { try truncateEnd(turn) }
      }
      if isForOthers || options.durability != .none {
        try turn.writer.log.sync(upTo: turn.writer.log.tail)
      }
    }
  }

  /// Truncates the file after what is used, if no other handle has it open. Right after a
  /// checkpoint: both superblocks say then that no more is used.
  func truncateEnd(_ turn: borrowing WriteTurn) throws(Store.Error) {
    let end = Int(shared[.highWater].number) * Layout.unitBytes
    guard backing.isShared, try backing.sizes().file > end,
      try backing.locks.tryLock(.attached, .exclusive)
    else { return }
    // Lock A must be shared again on every path: opening for writing waits for it. Taking it can
    // fail for a moment, when the kernel has no memory.
    defer {
      var attempts = 8
      while (try? backing.locks.tryLock(.attached, .shared)) != true, attempts > 0 {
        attempts -= 1
        pause(microseconds: 100)
      }
    }
    // A handle that was opened during a truncation has no lock A, but a pin; so has one that was
    // closed while a thread of it reads.
    guard try backing.locks.lowestPin() == nil else { return }
    turn.writer.space.reserve.forget()
    try backing.truncate(to: end)
  }
}
