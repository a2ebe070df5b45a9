@testable import KVMap

/// A checkpoint that is frozen and not written yet, with its lock.
final class BegunCheckpoint {
  let core: StoreCore
  let block: Superblock
  private var frozen: StoreCore.FrozenCheckpoint?

  /// Nil if another process or handle writes one.
  init?(_ core: StoreCore) throws(Store.Error) {
    let turn = try core.enterWaiting()
    let frozen = try core.conclude(turn) { turn throws(Store.Error) -> StoreCore.FrozenCheckpoint? in
      guard let lock = try CheckpointLock(ifFree: core) else { return nil }
      return try core.freeze(turn, lock)
    }
    guard let frozen else { return nil }
    self.core = core
    block = frozen.block
    self.frozen = consume frozen
  }

  /// Writes it, once.
  func finish() throws(Store.Error) {
    guard let frozen = frozen.take() else { return }
    try core.finish(frozen)
  }

  /// Releases the lock without writing it.
  func drop() { frozen = nil }
}
