import CMappedMemory
import Synchronization

/// The epochs that this handle pins.
///
/// What is pinned while a call runs is announced in a reader slot, where that is possible. What is
/// pinned for longer, and what finds no slot, is pinned by a lock: one for each epoch, which the
/// threads of the process share and count. Either shows the pin to the writers of other handles. The
/// handle's own writer knows its readers by the `ReaderGate`, and the lowest epoch that a lock pins
/// by a word in memory.
final class ProcessPins: @unchecked Sendable {
  // Sendable: `counts` is accessed only with `lock` held.
  private let backing: any Backing
  private let source: MemorySource
  private let slots: ReaderSlots
  private let processGeneration = kvmap_process_generation()
  let lock = Lock()
  private var counts: [UInt64: Int] = [:]
  private let slot = Atomic<Int>(notAskedFor)

  private static let notAskedFor = -1
  private static let noSlot = -2

  /// An epoch that is pinned until `unpin`.
  struct Pin {
    let epoch: Epoch
    /// Where in the reader slots; nil if by a lock.
    fileprivate let slotWord: Int?
  }

  init(_ backing: any Backing, _ source: MemorySource) {
    self.backing = backing
    self.source = source
    slots = ReaderSlots(bytes: source.fixed)
  }

  // MARK: While a call runs

  /// Pins the working epoch. Nothing of the current state is reused before `unpin`. The caller is
  /// counted as a reader.
  @inline(__always)
  func pinCurrent() throws(Store.Error) -> Pin {
    let slot = slot.load(ordering: .acquiring)
    if slot >= 0, let pin = pinCurrent(in: slot) { return pin }
    return try pinCurrentElsewhere(slot)
  }

  @inline(__always)
  private func pinCurrent(in slot: Int) -> Pin? {
    while true {
      let epoch = source.shared[.epoch]
      guard let word = slots.pin(epoch, in: slot) else { return nil }
      // This thread stores the pin and then loads the floor; a writer stores the floor and then
      // loads the pins, all of it sequentially consistent. So at least one of the two sees the
      // other.
      if source.shared.loadSequentiallyConsistent(.pinFloor) <= epoch {
        return Pin(epoch: epoch, slotWord: word)
      }
      slots.unpin(word)
    }
  }

  @inline(never)
  private func pinCurrentElsewhere(_ slot: Int) throws(Store.Error) -> Pin {
    if slot == Self.notAskedFor, let slot = takeSlot(), let pin = pinCurrent(in: slot) { return pin }
    while true {
      let epoch = source.shared[.epoch]
      if try pin(epoch) { return Pin(epoch: epoch, slotWord: nil) }
    }
  }

  /// Takes a slot for as long as the handle lives; nil if there is none.
  private func takeSlot() -> Int? {
    lock.withLock {
      let present = slot.load(ordering: .relaxed)
      if present != Self.notAskedFor { return present >= 0 ? present : nil }
      guard let taken = try? backing.locks.takeReaderSlot() else {
        slot.store(Self.noSlot, ordering: .relaxed)
        return nil
      }
      slots.clear(taken, process: ProcessIdentifier.current)
      slot.store(taken, ordering: .releasing)
      return taken
    }
  }

  /// Undoes one call of `pinCurrent`.
  @inline(__always)
  func unpin(_ pin: Pin) throws(Store.Error) {
    guard let word = pin.slotWord else { return try unpin(pin.epoch) }
    // A forked child shares the slot, but is none of the readers that are counted there.
    if kvmap_process_generation() == processGeneration { slots.unpin(word) }
  }

  /// Pins by a lock, for as long as the backing lives, what calls still read while the handle is
  /// closed: another process may then build the shared state anew, with empty slots. It may also
  /// begin in an earlier epoch than was announced here, so the pin is of the first epoch of all.
  func keepAnnounced() {
    if lowestAnnounced != nil { try? addPin(Epoch(number: 0)) }
  }

  /// The lowest epoch that calls of this handle pin now; nil if there is none.
  var lowestAnnounced: Epoch? {
    let slot = slot.load(ordering: .acquiring)
    return slot >= 0 ? slots.lowestPin(of: slot) : nil
  }

  // MARK: For longer

  /// Pins an epoch. Returns false, with nothing pinned, if that may be too late for it.
  func pin(_ epoch: Epoch) throws(Store.Error) -> Bool {
    try addPin(epoch)
    // This thread takes the pin and then loads the floor; a writer stores the floor and then
    // looks at the pins. So at least one of the two sees the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if source.shared[.pinFloor] <= epoch { return true }
    try unpin(epoch)
    return false
  }

  private func addPin(_ epoch: Epoch) throws(Store.Error) {
    try lock.withLock { () throws(Store.Error) in
      if counts[epoch.number, default: 0] == 0 { try backing.locks.pin(epoch) }
      counts[epoch.number, default: 0] += 1
      noteLowest()
    }
  }

  /// Undoes one call of `pin`.
  func unpin(_ epoch: Epoch) throws(Store.Error) {
    try lock.withLock { () throws(Store.Error) in
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
