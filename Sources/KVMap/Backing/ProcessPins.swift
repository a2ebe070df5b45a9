import Synchronization

/// The epochs that this handle pins, with a count for each: the threads of a process share one
/// lock for each epoch.
///
/// The lock shows a pin to the writers of other handles. The handle's own writer looks at the
/// lowest pinned epoch, which is kept in memory.
final class ProcessPins: @unchecked Sendable {
  // Sendable: `counts` is accessed only with `lock` held.
  private let backing: any Backing
  private let source: MemorySource
  let lock = Lock()
  private var counts: [UInt64: Int] = [:]

  init(_ backing: any Backing, _ source: MemorySource) {
    self.backing = backing
    self.source = source
  }

  /// Pins the working epoch and returns it. Nothing of the current state is reused before
  /// `unpin`.
  func pinCurrent() throws(StoreError) -> Epoch {
    while true {
      let epoch = source.shared[.epoch]
      if try pin(epoch) { return epoch }
    }
  }

  /// Pins an epoch. Returns false, with nothing pinned, if that may be too late for it.
  func pin(_ epoch: Epoch) throws(StoreError) -> Bool {
    try lock.withLock { () throws(StoreError) in
      if counts[epoch.number, default: 0] == 0 { try backing.locks.pin(epoch) }
      counts[epoch.number, default: 0] += 1
      noteLowest()
    }
    // This thread takes the pin and then loads the floor; a writer stores the floor and then
    // looks at the pins. So at least one of the two sees the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if source.shared[.pinFloor] <= epoch { return true }
    try unpin(epoch)
    return false
  }

  /// Undoes one call of `pin` or `pinCurrent`.
  func unpin(_ epoch: Epoch) throws(StoreError) {
    try lock.withLock { () throws(StoreError) in
      let left = counts[epoch.number, default: 1] - 1
      counts[epoch.number] = left > 0 ? left : nil
      noteLowest()
      if left <= 0 { try backing.locks.unpin(epoch) }
    }
  }

  private func noteLowest() {
    source.local.lowestPin = counts.keys.min() ?? .max
  }
}
