/// When released space may be used again: the one place that says so.
///
/// A page or unit released in epoch r may be rewritten or given back only if
///
/// - r is not later than the checkpoint that is durable in *both* superblocks:
///   else a crash falls back to a checkpoint that still needs it;
/// - r is earlier than every epoch pinned by a snapshot or private reader of any
///   process: the floor is stored first, then the pins are looked at, while a
///   new pin is taken first and then compared with the floor, so that one of
///   the two sees the other;
/// - no reader of this process that may have found it is still inside a call;
/// - readers of other processes have been told: the checkpoint raised the
///   generation before anything it freed is rewritten, and they look again.
struct ReuseRule: ~Copyable {
  /// Everything released in this epoch or before may be used again.
  private(set) var limit = Epoch(number: 0)

  /// A limit that waits for the readers counted under `parity` to leave.
  private var waiting: (limit: Epoch, parity: Int)?

  /// Forgets what was found out; another process may have recovered the store.
  mutating func reset() {
    limit = Epoch(number: 0)
    waiting = nil
  }

  /// Looks again at checkpoints, pins and readers.
  mutating func refresh(_ memory: StoreMemory, _ backing: any Backing) throws(StoreError) {
    let durable = Epoch(number: memory.live[LivePage.durableEpoch])
    if let (candidate, parity) = waiting {
      guard unsafe memory.local.pointee.readers.isEmpty(parity: parity) else { return }
      limit = candidate
      waiting = nil
    }
    guard durable > limit else { return }
    var candidate = durable
    memory.live.storeAndFence(candidate.number + 1, LivePage.pinFloor)
    if let pin = try backing.lowestPin(), pin <= candidate {
      candidate = Epoch(number: pin.number - min(pin.number, 1))
      memory.live.storeAndFence(candidate.number + 1, LivePage.pinFloor)
    }
    guard candidate > limit else { return }
    let parity = unsafe memory.local.pointee.readers.flip()
    if unsafe memory.local.pointee.readers.isEmpty(parity: parity) {
      limit = candidate
    } else {
      waiting = (candidate, parity)
    }
  }
}
