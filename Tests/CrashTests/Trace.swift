/// What happened to a simulated file, in order.
final class Trace {
  /// Bytes that were stored at an offset; they lie in the trace's own memory.
  struct Store {
    var offset: Int
    var count: Int
    var start: Int
  }

  enum Event {
    case store(Store)
    case grow(to: Int)
    /// What lies after it has been cut off.
    case cut(at: Int)
    /// The range has disk space from now on, or none any more.
    case real(first: Int, end: Int)
    case givenBack(first: Int, end: Int)
    case sync(first: Int, end: Int)
    /// A sync that reported an error. What it wrote nevertheless follows from the seed.
    case failedSync(first: Int, end: Int, seed: UInt64)
    /// The system tried to write what is dirty and could not, and told somebody of it who has
    /// nothing to do with the store. What it wrote nevertheless follows from the seed.
    case lostWrites(seed: UInt64)
    /// A commit is about to be made; its number counts from 1.
    case begun(Int)
    /// All commits up to this one were acknowledged as durable.
    case durable(Int)
    /// This commit did not happen, and must not be found from now on.
    case void(Int)
  }

  private(set) var events: [Event] = []
  /// What the store was doing, for each event.
  private(set) var activities: [Activity] = []
  private(set) var bytes: [UInt8] = []
  var activity = Activity.recovery

  var count: Int { events.count }

  func append(_ event: Event) {
    events.append(event)
    activities.append(activity)
  }

  func appendStore(_ content: UnsafeRawBufferPointer, at offset: Int) {
    append(.store(Store(offset: offset, count: content.count, start: bytes.count)))
    unsafe bytes.append(contentsOf: content)
  }

  /// Does something that is told apart from what is being done otherwise.
  func during(_ special: Activity, _ body: () -> Void) {
    let before = activity
    activity = special
    body()
    activity = before
  }

  /// Calls `body` with the bytes of a part of a store.
  func withBytes(_ start: Int, _ count: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    unsafe bytes.withUnsafeBytes { all in
      unsafe body(UnsafeRawBufferPointer(rebasing: all[start..<start + count]))
    }
  }

  /// Says what the events from `start` on turned out to be.
  func relabel(from start: Int, as activity: Activity) {
    for index in start..<activities.count { activities[index] = activity }
  }

  /// Forgets all events from `end` on.
  func cut(at end: Int) {
    events.removeSubrange(end...)
    activities.removeSubrange(end...)
  }
}

/// What a store does at an instant at which it may crash.
enum Activity: String, CaseIterable {
  case creation, put, overwrite, conditional, expiring, largeValue, reuse, remove, transaction,
    abandoned, group
  case bucketSplit, directorySplit, overflow, segment, growth
  case sync, checkpoint, checkpointBeside, compaction, moving, merging, givingBack, cuttingOff
  case close, recovery, recoveryAfterDeath
  case takeover, takeoverAfterFailure, afterTakeover, retry
}
