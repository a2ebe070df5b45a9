/// What happened to a simulated file, in order.
final class Trace {
  /// Bytes that were stored at an offset. The trace has a copy of them.
  struct Store {
    var offset: Int
    var count: Int
    var start: Int
  }

  enum Event {
    case store(Store)
    case grow(to: Int)
    case truncate(to: Int)
    case allocate(first: Int, end: Int)
    case punch(first: Int, end: Int)
    case sync(first: Int, end: Int)
    /// A sync that reported an error. The seed decides what it wrote nevertheless.
    case failedSync(first: Int, end: Int, seed: UInt64)
    /// The system failed to write dirty pages, and reported that to a program that has nothing
    /// to do with the store. The seed decides what it wrote nevertheless.
    case lostWrites(seed: UInt64)
    /// A commit is about to be made. Numbers begin with 1.
    case begun(Int)
    /// All commits up to this one were acknowledged as durable.
    case durable(Int)
    /// This commit did not happen, and must not be found later.
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

  /// Runs `body` as a part of the present activity that counts as one of its own.
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

  /// Corrects the activity of the events from `start` on.
  func relabel(from start: Int, as activity: Activity) {
    for index in start..<activities.count { activities[index] = activity }
  }

  /// Forgets all events from `end` on.
  func cut(at end: Int) {
    events.removeSubrange(end...)
    activities.removeSubrange(end...)
  }
}

/// What a store is doing at an instant at which it may crash.
enum Activity: String, CaseIterable {
  case creation, put, overwrite, conditional, expiring, largeValue, reuse, remove, transaction,
    abandoned, group
  case bucketSplit, directorySplit, overflow, segment, growth
  case sync, checkpoint, checkpointBeside, compaction, moving, merging, punching, truncating
  case close, recovery, recoveryAfterDeath
  case takeover, takeoverAfterFailure, afterTakeover, retry
}
