import Synchronization

/// The epochs this handle pins, each counted: the threads of a process share one
/// lock for each epoch.
///
/// The lock tells the writers of other handles; this handle's own is told by the
/// lowest of them, in memory.
final class ProcessPins: @unchecked Sendable {
  // Sendable: `counts` is touched only under `lock`.
  private let backing: any Backing
  private let source: MemorySource
  let lock = Lock()
  private var counts: [UInt64: Int] = [:]

  init(_ backing: any Backing, _ source: MemorySource) {
    self.backing = backing
    self.source = source
  }

  /// Pins what is current, such that nothing current is reused before `unpin`.
  func pinCurrent() throws(StoreError) -> Epoch {
    while true {
      let epoch = source.shared[.epoch]
      if try pin(epoch) { return epoch }
    }
  }

  /// Pins an epoch; false, and nothing is pinned, if it may be too late for that.
  func pin(_ epoch: Epoch) throws(StoreError) -> Bool {
    try lock.withLock { () throws(StoreError) in
      if counts[epoch.number, default: 0] == 0 { try backing.locks.pin(epoch) }
      counts[epoch.number, default: 0] += 1
      noteLowest()
    }
    // The pin first, then the floor: a writer stores the floor first and then
    // looks at the pins, so one of the two notices.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if source.shared[.pinFloor] <= epoch { return true }
    try unpin(epoch)
    return false
  }

  func unpin(_ epoch: Epoch) throws(StoreError) {
    try lock.withLock { () throws(StoreError) in
      let left = counts[epoch.number, default: 1] - 1
      counts[epoch.number] = left > 0 ? left : nil
      noteLowest()
      if left <= 0 { try backing.locks.unpin(epoch) }
    }
  }

  private func noteLowest() {
    unsafe source.local.pointee.lowestPin.store(
      counts.keys.min() ?? .max, ordering: .sequentiallyConsistent)
  }
}
