import Synchronization

/// The right to write a checkpoint: lock C among handles, a flag among the threads of this one.
/// It ends where this value does.
///
/// It is taken with the write lock and kept without it: while a checkpoint is sealed and synced,
/// others write. A recovery beside readers needs it too, and waits for it with the write lock;
/// that cannot last, since the holder of C waits for nobody.
struct CheckpointLock: ~Copyable {
  /// The handle's: whoever closes it waits until this has ended.
  private unowned(unsafe) let core: StoreCore

  /// Nil if somebody else has it.
  init?(ifFree core: StoreCore) throws(StoreError) {
    guard try Self.take(core) else { return nil }
    unsafe self.core = core
  }

  /// Blocks until nobody writes a checkpoint.
  ///
  /// - Throws: `busy` if that lasts longer than the timeout.
  init(waitingFor core: StoreCore) throws(StoreError) {
    try core.waitingForCheckpoint { () throws(StoreError) -> Void? in try Self.take(core) ? () : nil }
    unsafe self.core = core
  }

  deinit {
    try? unsafe core.backing.locks.unlock(.checkpoint)
    unsafe core.isCheckpointing.store(false, ordering: .releasing)
  }

  private static func take(_ core: StoreCore) throws(StoreError) -> Bool {
    let (isFree, _) = core.isCheckpointing.compareExchange(
      expected: false, desired: true, ordering: .acquiringAndReleasing)
    guard isFree else { return false }
    do throws(StoreError) {
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
  /// A sync that was announced, and whose process is gone, counts as failed: that process may be
  /// the only one that was told of an error.
  fileprivate func noteSyncOfTheDead() {
    if shared[.announcedSync] == 0 { return }
    shared[.syncFailed] = 1
    shared[.announcedSync] = 0
  }

  /// Tries again until `attempt` meets no checkpoint that is being written.
  func waitingForCheckpoint<R: ~Copyable>(
    _ attempt: () throws(StoreError) -> R?
  ) throws(StoreError) -> R {
    var patience = Patience(options.timeout)
    while true {
      if let result = try attempt() { return result }
      if patience.wait() { continue }
      // The lock is the handle's: if nobody else has it, another thread does.
      let holder = try backing.locks.holder(of: .checkpoint, against: .exclusive) ?? processIdentifier
      throw patience.busy(holder, "is writing a checkpoint").naming(name)
    }
  }
}
