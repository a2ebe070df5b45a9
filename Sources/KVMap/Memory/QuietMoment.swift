import Synchronization

/// A moment in which nobody had the write lock. If it is the same before and after something was read
/// of the index, nothing was changed meanwhile.
struct QuietMoment: Equatable {
  // Every change ends with another log tail, or, without a record, with another epoch.
  private let tail: Position
  private let epoch: Epoch

  /// nil if a change is under way. A change stores its process, then slots, then the tail, and then
  /// clears the process. These loads come in the other order, so whoever has seen one of the slots gets
  /// nil, or another tail.
  init?(_ shared: SharedState) {
    // What was read before comes before these loads.
    atomicMemoryFence(ordering: .acquiring)
    guard shared[.busy] == 0 else { return nil }
    tail = shared[.tail]
    epoch = shared[.epoch]
  }
}
