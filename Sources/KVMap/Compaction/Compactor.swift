import Synchronization

/// What a process knows about the space that can be reclaimed, and how much of that work is due.
///
/// Compaction empties segments by moving their live records elsewhere: the emptiest segment first,
/// since it gives the most space for the least copying (Rosenblum and Ousterhout, 1992, "greedy").
/// Each commit does a little, in proportion to what it wrote. The space table is looked through
/// once in each epoch, a few hundred units with each commit; in between, the numbers here are
/// estimates.
struct Compactor {
  /// A segment that is worth emptying.
  struct Candidate {
    var segment: Unit
    var live: Int
  }

  /// The durable checkpoint at which the last look through the table began.
  private(set) var checkpoint: UInt64 = 0
  /// The next unit to look at; nil when the look is complete.
  var cursor: UInt64?
  /// Segments worth emptying, the emptiest last.
  var candidates: [Candidate] = []
  /// Free units that still have disk space, in the order of the file.
  var spare: [Range<UInt64>] = []
  /// How many units `spare` holds.
  var spareUnits = 0
  /// Live bytes in the segments that were looked at, less those that have probably expired.
  var liveBytes = 0
  /// Bytes of the segments that were looked at.
  var segmentBytes = 0
  /// Bytes of disk that hold neither segments nor index pages in use: free units that keep their
  /// disk space, and pages that wait for reuse.
  var otherBytes = 0
  /// Segments with damage: records that cannot be read cannot be moved.
  var damaged: Set<UInt64> = []
  /// Up to where the index has been prefetched for the records of the victim.
  var lookedAt = 0
  /// Bytes of copying that are due.
  var credit = 0
  /// Whether the disk is full, or the system cannot punch: then nothing more is done in this epoch.
  var isPaused = false

  /// The running calls that compact the whole store.
  let calls: FullCompactions
  /// Bytes of records, large values and buckets that this handle has moved.
  var movedBytes = 0

  let promise: SpacePromise

  init(_ calls: FullCompactions, _ promise: SpacePromise) {
    self.calls = calls
    self.promise = promise
  }

  /// Begins a look through the table. `taken`: units that were allocated in the epoch before.
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

  /// Reclaims a little space, in proportion to what the last commit has written. `moves`: whether
  /// records may be moved now.
  @inline(__always)
  mutating func step(_ writer: inout Writer, moves: Bool) throws(Store.Error) {
    let garbage = Int(clamping: writer.shared[.garbage])
    if checkpoint == writer.shared[.durableEpoch].number, cursor == nil,
      !hasTooMuchSpare, garbage <= allowedGarbage
    {
      return
    }
    try stepNow(&writer, garbage, moves: moves)
  }

  @inline(never)
  private mutating func stepNow(_ writer: inout Writer, _ garbage: Int, moves: Bool) throws(Store.Error) {
    if calls.areUnderWay { return }
    var steps = takeSteps(taken: writer.space.takenUnits)
    if checkpoint != writer.shared[.durableEpoch].number { try beginLook(&writer) }
    if isPaused { return }
    // Compaction leaves the reserve to removals.
    let before = writer.space.reserve.exchangePurpose(.adding)
    defer { _ = writer.space.reserve.exchangePurpose(before) }
    do throws(Store.Error) {
      try takeSteps(&writer, &steps)
      if cursor != nil || hasTooMuchSpare { return }
      if moves, !isPaused { try moveSomeRecords(&writer, garbage) }
    } catch {
      // A commit that succeeded does not fail because compaction cannot go on.
      guard error.code == .diskFull || error.code == .damaged else { throw error }
      isPaused = true
    }
  }

  /// Looks through the table and punches spare units, in at most `steps` steps.
  private mutating func takeSteps(_ writer: inout Writer, _ steps: inout Int) throws(Store.Error) {
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

  /// Garbage that compaction leaves alone: the less garbage there is, the more copying each
  /// reclaimed byte costs.
  private(set) var allowedGarbage = 2 * Layout.segmentBytes

  /// Ends a look through the table. Garbage may take the part of the promised space that nothing
  /// else takes.
  ///
  /// - Parameters:
  ///   - indexBytes: bytes of the index pages in use.
  ///   - checkpointLog: bytes of log that make a checkpoint due.
  mutating func endLook(indexBytes: Int, checkpointLog: Int) {
    cursor = nil
    candidates.sort { $0.live > $1.live }
    let held = liveBytes + indexBytes
    let promised = promise.bytes(forHolding: held)
    if segmentBytes + indexBytes + otherBytes > promised - promised / 16 {
      allowedSpareUnits = Int(Layout.segmentUnits)
    }
    allowedGarbage = garbageToAllow(
      left: promised - held - max(otherBytes / 2, 2 * indexBytes), checkpointLog: checkpointLog)
  }

  /// How much garbage fits into the space that is left, in bytes.
  ///
  /// Beside the garbage, that space has to hold the segments that were emptied and are not free
  /// before the next checkpoint is durable: about one and a half times what is written and moved
  /// between two checkpoints. If records are overwritten at random, about `live / (2 garbage)` bytes
  /// are moved for each byte written. So the most garbage that fits solves `garbage + 3/2 log (1 +
  /// live / (2 garbage)) = left`. If none fits, the sum is least at the root of `3/4 log live`.
  private func garbageToAllow(left: Int, checkpointLog: Int) -> Int {
    let (live, log) = (Double(liveBytes), Double(checkpointLog))
    let room = Double(left) - 1.5 * log
    let product = 0.75 * log * live
    let discriminant = room * room - 4 * product
    let best = room > 0 && discriminant > 0 ? (room + discriminant.squareRoot()) / 2 : product.squareRoot()
    let most = promise.use == .compact ? live * 2 / 5 : live
    return Int(min(max(best, live / 6), most)) + 2 * Layout.segmentBytes
  }

  /// Free units that keep their disk space: half as many as the last epoch allocated, plus one
  /// segment; only that segment if the file takes almost what is promised. The others are punched,
  /// and allocated again when they are needed.
  private(set) var allowedSpareUnits = 0

  /// A segment fuller than this is left as it is, unless the whole store is compacted.
  static let fullest = Layout.segmentBytes / 10 * 9

  /// Bytes to copy for each byte that was written: the more garbage, the more.
  func moveRatio(_ garbage: Int) -> Int {
    if garbage <= allowedGarbage { return 0 }
    return min(4, 2 + (garbage - allowedGarbage) * 8 / allowedGarbage)
  }

  /// The most live bytes in a segment that the first round of a whole compaction empties.
  static let fullestOfAll = Layout.segmentBytes / 100 * 97

  var hasTooMuchSpare: Bool { spareUnits > allowedSpareUnits }

  /// How many units one step looks at. A step that punches handles one segment instead.
  static let unitsForOneStep = 256

  /// How many steps a commit takes: one, plus four for each segment's worth of units allocated
  /// since the last call, extents included. `taken`: units allocated in this epoch.
  mutating func takeSteps(taken: Int) -> Int {
    defer { takenBefore = taken }
    return 1 + max(0, taken - takenBefore) * 4 / Int(Layout.segmentUnits)
  }
  private var takenBefore = 0

  /// Credit does not add up beyond this: no commit copies more.
  static let mostCredit = 32_768
}

/// How many calls of a handle compact its whole store: meanwhile the handle's commits leave
/// compaction to them. Counted without the write lock, so that a call can always end.
final class FullCompactions: Sendable {
  private let count = Atomic<Int>(0)

  var areUnderWay: Bool { count.load(ordering: .relaxed) > 0 }
  func begin() { count.wrappingAdd(1, ordering: .relaxed) }
  func end() { count.wrappingSubtract(1, ordering: .relaxed) }
}
