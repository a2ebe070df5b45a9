import Synchronization

/// What a process knows of the space that can be won back, and how much of that
/// is due.
///
/// Segments are emptied by moving what still lives in them elsewhere: the emptiest
/// first, since they give the most for the least copying (Rosenblum and Ousterhout,
/// 1992, "greedy"). A little is done with each commit, in proportion to what it
/// wrote. The table is looked through once in each epoch, a few hundred units
/// with each commit; in between, this is an estimate.
struct Compactor {
  /// A segment that is worth emptying.
  struct Candidate {
    var segment: Unit
    var live: Int
  }

  /// The checkpoint after which the table is looked through.
  private(set) var checkpoint: UInt64 = 0
  /// The next unit to look at; nil when all have been.
  var cursor: UInt64?
  /// Segments worth emptying, the emptiest last.
  var candidates: [Candidate] = []
  /// Free units that still have disk space, in order of the file.
  var spare: [Range<UInt64>] = []
  var spareUnits = 0
  var liveBytes = 0
  var segmentBytes = 0
  /// Bytes of disk that are neither in segments nor in pages of the index in use: free
  /// ones that keep their space, and pages that wait to be reused.
  var otherBytes = 0
  /// Segments with damage: what cannot be read cannot be moved.
  var damaged: Set<UInt64> = []
  /// Bytes that may be copied before the next commit.
  var credit = 0
  /// The disk is full, or the system cannot give space back: no more in this epoch.
  var isPaused = false

  /// Calls that compact all of the store.
  let calls: FullCompactions
  /// Bytes of records, large values and buckets that were moved, since the process began.
  var movedBytes = 0

  init(_ calls: FullCompactions) { self.calls = calls }

  /// Begins to look through the table; `taken` units were allocated in the epoch before.
  mutating func begin(_ checkpoint: UInt64, taken: Int) {
    self.checkpoint = checkpoint
    takenBefore = 0
    allowedSpareUnits = taken / 2 + Int(Layout.segmentUnits)
    cursor = Layout.firstFreeUnit
    candidates.removeAll(keepingCapacity: true)
    spare.removeAll(keepingCapacity: true)
    spareUnits = 0
    liveBytes = 0
    segmentBytes = 0
    otherBytes = 0
    credit = 0
    isPaused = false
  }

  // MARK: With each commit

  /// Wins back a little space, in proportion to what the last commit has written; without
  /// moving records if that is not the time for it.
  @inline(__always)
  mutating func step(_ writer: inout Writer, moves: Bool) throws(StoreError) {
    let garbage = Int(clamping: writer.shared[.garbage])
    if checkpoint == writer.shared[.durableEpoch].number, cursor == nil,
      !hasTooMuchSpare, garbage <= allowedGarbage
    {
      return
    }
    try stepNow(&writer, garbage, moves: moves)
  }

  @inline(never)
  private mutating func stepNow(_ writer: inout Writer, _ garbage: Int, moves: Bool) throws(StoreError) {
    if calls.areUnderWay { return }
    var steps = takeSteps(taken: writer.space.takenUnits)
    if checkpoint != writer.shared[.durableEpoch].number { try beginLook(&writer) }
    if isPaused { return }
    // Tidying up leaves the reserve to removals.
    let before = writer.space.reserve.exchangePurpose(.adding)
    defer { _ = writer.space.reserve.exchangePurpose(before) }
    do throws(StoreError) {
      try takeSteps(&writer, &steps)
      if cursor != nil || hasTooMuchSpare { return }
      if moves, !isPaused { try moveSomeRecords(&writer, garbage) }
    } catch {
      // A commit that succeeded is not undone because there is no room to tidy up.
      guard error.code == .diskFull || error.code == .damaged else { throw error }
      isPaused = true
    }
  }

  /// Looks through the table and punches what is too much, for so many steps at most.
  private mutating func takeSteps(_ writer: inout Writer, _ steps: inout Int) throws(StoreError) {
    while steps > 0, !isPaused {
      if cursor != nil {
        try lookAtUnits(&writer, Compactor.unitsForOneStep)
      } else if hasTooMuchSpare {
        try punchSpare(&writer)
      } else {
        return
      }
      steps -= 1
    }
  }

  // MARK: How much is due

  /// Garbage that is left alone, since each byte that is won costs more copying the less
  /// there is.
  private(set) var allowedGarbage = 2 * Layout.segmentBytes

  /// Bytes of disk that the file of a store is to take at most, in the long run, which
  /// holds so many bytes of records and index. What is promised is 4 MiB more.
  static func promisedBytes(forHolding held: Int) -> Int { held + held / 2 + (12 << 20) }

  /// The table has been looked through. The index has so many pages in use, and a
  /// checkpoint is due after so much log.
  ///
  /// What of the promise nothing else takes is left to garbage.
  mutating func endLook(indexBytes: Int, checkpointLog: Int) {
    cursor = nil
    candidates.sort { $0.live > $1.live }
    let held = liveBytes + indexBytes
    let promised = Self.promisedBytes(forHolding: held)
    if segmentBytes + indexBytes + otherBytes > promised - promised / 16 {
      allowedSpareUnits = Int(Layout.segmentUnits)
    }
    // Shortly before a checkpoint is durable there may be all pages of the index twice
    // more, as it has them and as the last one has; and the segments that were emptied
    // since that last one, of which moving has taken twice as many as the log.
    let expected = 2 * indexBytes + 2 * 3 * checkpointLog
    let left = promised - held - max(otherBytes, expected)
    let segments = 2 * Layout.segmentBytes
    allowedGarbage = min(max(left - segments, liveBytes / 6), liveBytes / 5 * 2) + segments
  }

  /// Free units that keep their disk space: half as many as the last epoch took, and one
  /// segment; only that if the file takes almost what is promised. The rest is punched,
  /// and asked for again.
  private(set) var allowedSpareUnits = 0

  /// A segment fuller than this is left as it is.
  static let fullest = Layout.segmentBytes / 10 * 9

  /// Bytes to copy for each byte that was written: more, the more garbage there is.
  func moveRatio(_ garbage: Int) -> Int {
    if garbage <= allowedGarbage { return 0 }
    return min(4, 2 + (garbage - allowedGarbage) * 8 / allowedGarbage)
  }

  /// What a segment holds at most that is emptied when all of the store is compacted.
  static let fullestOfAll = Layout.segmentBytes / 100 * 97

  var hasTooMuchSpare: Bool { spareUnits > allowedSpareUnits }

  /// How many units one step looks at; another one gives a segment back.
  static let unitsForOneStep = 256

  /// How many steps a commit takes: one, and four more for each segment that it took, extents
  /// of large values included. So many units have been taken in this epoch.
  mutating func takeSteps(taken: Int) -> Int {
    defer { takenBefore = taken }
    return 1 + max(0, taken - takenBefore) * 4 / Int(Layout.segmentUnits)
  }
  private var takenBefore = 0

  /// Credit is not saved up: no commit copies more than this.
  static let mostCredit = 32_768
}

/// How many calls of a handle compact all of its store: meanwhile its commits leave
/// that to them. Counted without the write lock, so that a call always ends.
final class FullCompactions: Sendable {
  private let count = Atomic<Int>(0)

  var areUnderWay: Bool { count.load(ordering: .relaxed) > 0 }
  func begin() { count.wrappingAdd(1, ordering: .relaxed) }
  func end() { count.wrappingSubtract(1, ordering: .relaxed) }
}
