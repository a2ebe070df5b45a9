import Synchronization

/// The epochs this handle pins, each counted: the threads of a process share one
/// lock for each epoch.
final class ProcessPins: Sendable {
  private let backing: any Backing
  private let counts = Mutex<[UInt64: Int]>([:])

  init(_ backing: any Backing) { self.backing = backing }

  /// Pins what is current, such that nothing current is reused before `unpin`.
  func pin(_ memory: StoreMemory) throws(StoreError) -> Epoch {
    while true {
      let epoch = Epoch(number: memory.live[LivePage.epoch])
      try counts.withLock { counts throws(StoreError) in
        if counts[epoch.number, default: 0] == 0 { try backing.pin(epoch) }
        counts[epoch.number, default: 0] += 1
      }
      // The lock first, then the floor: a writer stores the floor first and then
      // looks at the locks, so one of the two notices.
      if memory.live[LivePage.pinFloor] <= epoch.number { return epoch }
      try unpin(epoch)
    }
  }

  func unpin(_ epoch: Epoch) throws(StoreError) {
    try counts.withLock { counts throws(StoreError) in
      let left = counts[epoch.number, default: 1] - 1
      counts[epoch.number] = left > 0 ? left : nil
      if left <= 0 { try backing.unpin(epoch) }
    }
  }
}
