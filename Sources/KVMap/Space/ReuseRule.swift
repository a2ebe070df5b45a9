import Synchronization

/// When released space may be used again: the one place that says so.
///
/// A page or unit released in epoch r may be rewritten or given back only if
///
/// - r is not later than the checkpoint that is durable in *both* superblocks:
///   else a crash falls back to a checkpoint that still needs it;
/// - r is earlier than every epoch pinned by a snapshot or private reader of this or
///   any other process: the floor is stored first, then the pins are looked at, while a
///   new pin is taken first and then compared with the floor, so that one of
///   the two sees the other;
/// - no reader of this process that may have found it is still inside a call;
/// - readers of other processes have been told: the checkpoint raised the
///   generation before anything it freed is rewritten, and they look again.
struct ReuseRule: ~Copyable {
  /// Everything released in this epoch or before may be used again.
  private(set) var limit = Epoch(number: 0)

  /// A limit that waits for the readers to leave that were inside at some moment.
  private var waiting: (limit: Epoch, since: ReaderGate.Moment)?

  /// The durable checkpoint that pins kept from counting, and how often it was passed
  /// over since. Looking at pins is a system call for each.
  private var held: (durable: Epoch, times: Int)?

  /// Looks again at checkpoints, pins and readers.
  mutating func refresh(_ memory: StoreMemory, _ backing: any Backing) throws(StoreError) {
    let durable = memory.shared[.durableEpoch]
    if let (candidate, moment) = waiting {
      guard unsafe memory.local.pointee.readers.haveLeft(since: moment) else { return }
      limit = candidate
      waiting = nil
    }
    guard durable > limit else { return }
    if let held, held.durable == durable, held.times < 255 {
      self.held = (durable, held.times + 1)
      return
    }
    var candidate = durable
    // The floor stays there whatever is pinned below: the pin may have come too late for
    // what was allowed before, and must not find that it came in time.
    memory.shared.storeAndFence(candidate.next, .pinFloor)
    held = nil
    if let pin = try Self.lowestPin(memory, backing), pin <= candidate {
      candidate = Epoch(number: pin.number - min(pin.number, 1))
      held = (durable, 0)
    }
    guard candidate > limit else { return }
    let moment = unsafe memory.local.pointee.readers.now
    if unsafe memory.local.pointee.readers.haveLeft(since: moment) {
      limit = candidate
    } else {
      waiting = (candidate, moment)
    }
  }

  /// The lowest epoch that anybody pins.
  static func lowestPin(
    _ memory: StoreMemory, _ backing: any Backing
  ) throws(StoreError) -> Epoch? {
    let own = unsafe memory.local.pointee.lowestPin.load(ordering: .sequentiallyConsistent)
    let lowest = min(own, try backing.locks.lowestPin()?.number ?? .max)
    return lowest == .max ? nil : Epoch(number: lowest)
  }
}
