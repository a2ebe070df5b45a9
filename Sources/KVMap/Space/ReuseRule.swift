import Synchronization

/// Decides when released space may be reused; no other code decides that.
///
/// A page or unit that was released in epoch r may be rewritten or punched only if all of this
/// holds:
///
/// - r is not later than the checkpoint that is durable in *both* superblocks. Otherwise a
///   recovery could start from a checkpoint that still needs the space;
/// - r is earlier than every epoch that a snapshot or a private view of any process pins. A
///   writer stores the pin floor first and then looks at the pins; a new pin is taken first and
///   then compared with the floor. So at least one of the two sees the other;
/// - no reader of this process that may have found the space is still inside a call;
/// - readers of other processes can tell: the checkpoint raised the generation before anything it
///   freed is rewritten, so they look again.
struct ReuseRule: ~Copyable {
  /// Everything released in this epoch or before may be reused.
  private(set) var limit = Epoch(number: 0)

  /// The next limit, which applies once all readers that were inside at that moment have left.
  private var waiting: (limit: Epoch, since: ReaderGate.Moment)?

  /// The durable checkpoint that pins keep from becoming the limit, and how many calls of
  /// `refresh` have skipped it since. Looking at pins takes a system call for each.
  private var held: (durable: Epoch, times: Int)?

  /// Raises the limit as far as checkpoints, pins and readers allow now. Waits for nobody.
  mutating func refresh(_ memory: StoreMemory, _ backing: any Backing) throws(Store.Error) {
    let durable = memory.shared[.durableEpoch]
    if let (candidate, moment) = waiting {
      guard memory.local.readers.haveLeft(since: moment) else { return }
      limit = candidate
      waiting = nil
    }
    guard durable > limit else { return }
    if let held, held.durable == durable, held.times < 255 {
      self.held = (durable, held.times + 1)
      return
    }
    var candidate = durable
    // The floor stays there whatever is pinned below it: such a pin may have come too late for
    // space that an earlier limit allowed to be reused, and then it must fail.
    memory.shared.storeAndFence(candidate.next, .pinFloor)
    held = nil
    if let pin = try Self.lowestPin(memory, backing), pin <= candidate {
      candidate = Epoch(number: pin.number - min(pin.number, 1))
      held = (durable, 0)
    }
    guard candidate > limit else { return }
    let moment = memory.local.readers.now
    if memory.local.readers.haveLeft(since: moment) {
      limit = candidate
    } else {
      waiting = (candidate, moment)
    }
  }

  /// The lowest epoch that this handle pins by a lock, or any other in any way; nil if there is
  /// none.
  static func lowestPin(
    _ memory: StoreMemory, _ backing: any Backing
  ) throws(Store.Error) -> Epoch? {
    let lowest = min(
      memory.local.lowestPin, try backing.locks.lowestPin()?.number ?? .max,
      try announcedPin(memory, backing)?.epoch.number ?? .max)
    return lowest == .max ? nil : Epoch(number: lowest)
  }

  /// The lowest epoch that readers of other handles have announced in their slots, and the process.
  static func announcedPin(
    _ memory: StoreMemory, _ backing: any Backing
  ) throws(Store.Error) -> (epoch: Epoch, process: Int32)? {
    guard backing.isShared else { return nil }
    return try ReaderSlots(bytes: memory.fixed).lowestPin { slot throws(Store.Error) in
      try backing.locks.isReaderSlotTaken(slot)
    }
  }
}
