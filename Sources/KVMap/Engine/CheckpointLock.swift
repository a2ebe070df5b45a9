import Synchronization

/// The right to write a checkpoint: lock C among handles, a flag among the threads of this one. It
/// ends where this value does.
///
/// It is taken with the write lock and kept without it: while a checkpoint is sealed and synced,
/// others write. Recovery beside readers needs it too, and waits for it with the write lock. That
/// wait ends, since the holder of C waits for nobody.
struct CheckpointLock: ~Copyable {
  /// The handle that holds it. Closing the handle waits until this value has ended.
  private unowned(unsafe) let core: StoreCore

  /// Nil if another handle, or another thread of this one, has it.
  init?(ifFree core: StoreCore) throws(Store.Error) {
    guard try Self.take(core) else { return nil }
    unsafe self.core = core
  }

  /// Blocks until nobody writes a checkpoint.
  ///
  /// - Throws: `busy` if that lasts longer than the timeout.
  init(waitingFor core: StoreCore) throws(Store.Error) {
    try core.waitingForCheckpoint { () throws(Store.Error) -> Void? in try Self.take(core) ? () : nil }
    unsafe self.core = core
  }

  deinit {
    try? unsafe core.backing.locks.unlock(.checkpoint)
    unsafe core.isCheckpointing.store(false, ordering: .releasing)
  }

  private static func take(_ core: StoreCore) throws(Store.Error) -> Bool {
    let (isFree, _) = core.isCheckpointing.compareExchange(
      expected: false, desired: true, ordering: .acquiringAndReleasing)
    guard isFree else { return false }
    do throws(Store.Error) {
      if try core.backing.locks.tryLock(.checkpoint, .exclusive) {
        core.noteSyncOfTheDead()
        return true
      }
    } catch {
      core.isCheckpointing.store(false, ordering: .releasing)
      throw error
    }
    core.isCheckpointing.store(false, ordering: .releasing)
    return false
  }
}

extension StoreCore {
  /// Counts a sync as failed if it was announced by a process that has died: that process may be
  /// the only one that was told of an error.
  fileprivate func noteSyncOfTheDead() {
    if shared[.announcedSync] == 0 { return }
    shared[.syncFailed] = 1
    shared[.announcedSync] = 0
  }

  /// Calls `attempt` until it returns a value; it returns nil while it meets a checkpoint that is
  /// being written.
  ///
  /// - Throws: `busy` if that lasts longer than the timeout.
  func waitingForCheckpoint<R: ~Copyable>(
    _ attempt: () throws(Store.Error) -> R?
  ) throws(Store.Error) -> R {
    var patience = Patience(options.timeout)
    while true {
      if let result = try attempt() { return result }
      if patience.wait() { continue }
      // The lock belongs to the handle: if no other handle has it, another thread of this one does.
      let holder = try backing.locks.holder(of: .checkpoint, against: .exclusive) ?? processIdentifier
      throw patience.busy(holder, "is writing a checkpoint").naming(name)
    }
  }
}
