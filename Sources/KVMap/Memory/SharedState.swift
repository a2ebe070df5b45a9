/// The shared state: words through which running processes share the working state of the store.
///
/// It is trusted only while lock `valid` has been held without a gap by some process. After that,
/// recovery rebuilds it from a superblock and the log, whatever it says. The words of readers, of
/// the writer and of syncs lie on separate cache lines.
///
/// Recovery builds the new state in a second set of the same words, the shadow, so that readers
/// keep the old one until the new one is complete.
struct SharedState {
  let bytes: MappedBytes
  /// Where this set of words begins in the file, in bytes.
  let start: Int

  static let publicOffset = Layout.liveOffset
  static let shadowOffset = Layout.liveOffset + Layout.pageBytes / 2
  static let byteCount = 512
  /// Changes whenever the meaning of a word changes: programs with different versions cannot have
  /// a store open at once. The version of the file format does not depend on it.
  static let layoutVersion: UInt64 = 10

  @inline(__always)
  subscript<Value>(word: SharedWord<Value>) -> Value {
    /// Acquire: pairs with the release of the setter.
    @inline(__always) get { Value(word: bytes.loadAcquire(start &+ word.offset)) }
    @inline(__always) nonmutating set { bytes.storeRelease(newValue.word, start &+ word.offset) }
  }

  /// Ends the working epoch and begins the next; pages of the old one no longer change. Only with
  /// the write lock.
  func freeze() {
    let epoch = self[.epoch]
    frozen = FrozenState(
      epoch: epoch, root: self[.root], count: self[.recordCount], next: self[.sequence])
    self[.epoch] = epoch.next
  }

  /// The state at the end of an epoch.
  struct FrozenState {
    var epoch: Epoch
    var root: PagePointer
    var count: UInt64
    /// The number of the first record that is not in it.
    var next: SequenceNumber
  }

  static let frozenRoots = [SharedWord<PagePointer>(352), SharedWord<PagePointer>(368)]
  static let frozenCounts = [SharedWord<UInt64>(360), SharedWord<UInt64>(376)]

  static let frozenSequences = [SharedWord<SequenceNumber>(440), SharedWord<SequenceNumber>(488)]

  /// The last state that was frozen. A reader without the write lock must check afterwards that
  /// the word `frozen` has not changed.
  var frozen: FrozenState {
    get {
      let word = self[.frozen]
      let pair = Int(word & 1)
      return FrozenState(
        epoch: Epoch(number: word >> 1), root: self[Self.frozenRoots[pair]],
        count: self[Self.frozenCounts[pair]], next: self[Self.frozenSequences[pair]])
    }
    nonmutating set {
      // Into the other pair, so that a process that dies here leaves the last state as it was.
      let pair = 1 - Int(self[.frozen] & 1)
      self[Self.frozenRoots[pair]] = newValue.root
      self[Self.frozenCounts[pair]] = newValue.count
      self[Self.frozenSequences[pair]] = newValue.next
      self[.frozen] = newValue.epoch.number << 1 | UInt64(pair)
    }
  }

  /// Replaces these words by the state that recovery has built.
  ///
  /// The root comes late: while it is the old one, any mixture of old and new words reads the old
  /// tree correctly. `syncFailed` and `busy`, which made recovery necessary, are cleared last: a
  /// process that dies before that leaves words that do not belong together, and the next writer
  /// recovers again.
  func publish(_ new: SharedState) {
    let generation = self[.generation] &+ 1
    let recoveries = self[.recoveries] &+ 1
    let root = new[.root]
    for offset in stride(from: 0, to: Self.byteCount, by: 8) where !Self.publishedApart.contains(offset) {
      let word = SharedWord<UInt64>(offset)
      self[word] = new[word]
    }
    frozen = new.frozen
    self[.recoveries] = recoveries
    self[.root] = root
    self[.generation] = generation
    self[.syncFailed] = 0
    self[.busy] = 0
  }

  private static let publishedApart: [Int] = {
    let words: [SharedWord<UInt64>] = [.generation, .busy, .recoveries, .syncFailed, .frozen]
    let root: SharedWord<PagePointer> = .root
    return words.map(\.offset) + frozenRoots.map(\.offset) + frozenCounts.map(\.offset)
      + frozenSequences.map(\.offset) + [root.offset]
  }()

  /// Adds to a counter. Wraps instead of trapping: a damaged file may have set the counter to
  /// anything.
  func raise(_ word: SharedWord<UInt64>, by amount: UInt64) { self[word] = self[word] &+ amount }

  /// Subtracts from a counter, down to 0 at most: a damaged file may have set it too low.
  func lower(_ word: SharedWord<UInt64>, by amount: UInt64) {
    let value = self[word]
    self[word] = value - min(amount, value)
  }

  /// Loads a word in the one order of all sequentially consistent loads and stores.
  @inline(__always)
  func loadSequentiallyConsistent<Value>(_ word: SharedWord<Value>) -> Value {
    Value(word: bytes.loadSequentiallyConsistent(start &+ word.offset))
  }

  /// Stores a word so that no later load of this thread happens before it.
  func storeAndFence<Value>(_ value: Value, _ word: SharedWord<Value>) {
    bytes.storeSequentiallyConsistent(value.word, start + word.offset)
  }
}

/// What a word of the shared state can hold.
protocol WordValue {
  init(word: UInt64)
  var word: UInt64 { get }
}

/// A word of the shared state: its offset in bytes, and the type of what it holds.
struct SharedWord<Value: WordValue>: Equatable {
  let offset: Int
  init(_ offset: Int) { self.offset = offset }
}

extension SharedWord {
  // Read by every get.

  /// Rises before pages that readers may still see are reused.
  static var generation: SharedWord<UInt64> { .init(0) }
  /// Root of the working directory.
  static var root: SharedWord<PagePointer> { .init(8) }
  /// The working epoch.
  static var epoch: SharedWord<Epoch> { .init(16) }
  /// Pages up to this epoch have checksums.
  static var sealedEpoch: SharedWord<Epoch> { .init(24) }
  /// All units in use lie before this one.
  static var highWater: SharedWord<Unit> { .init(32) }
  /// Space released in epochs before this one may be reused, so pinning one of them fails.
  static var pinFloor: SharedWord<Epoch> { .init(40) }
  /// The version of the layout of these words.
  static var layout: SharedWord<UInt64> { .init(48) }

  // Written by every commit.

  /// Where the next record goes.
  static var tail: SharedWord<Position> { .init(128) }
  /// The sequence number of the next record.
  static var sequence: SharedWord<SequenceNumber> { .init(136) }
  /// The chain before the next record.
  static var chain: SharedWord<UInt64> { .init(144) }
  /// The index shows all records before this position.
  static var published: SharedWord<Position> { .init(152) }
  /// The process whose turn is under way, 0 for none. A process that dies in its turn leaves it
  /// set.
  static var busy: SharedWord<UInt64> { .init(160) }
  /// No live record expires before this time, in milliseconds since 1970; see `Superblock`.
  static var earliestExpiry: SharedWord<UInt64> { .init(168) }
  /// Records in the index.
  static var recordCount: SharedWord<UInt64> { .init(176) }
  /// Bytes of the live records as stored, large values included.
  static var liveBytes: SharedWord<UInt64> { .init(184) }

  // Written when compaction moves a record.

  /// The segment that receives moved records, 0 for none.
  static var moveSegment: SharedWord<Unit> { .init(192) }
  /// Where the next moved record goes.
  static var moveTail: SharedWord<Position> { .init(200) }
  /// `moveSegment` certainly has disk space up to this position.
  static var moveReady: SharedWord<Position> { .init(208) }
  /// The victim, the segment that compaction is emptying, 0 for none.
  static var victim: SharedWord<Unit> { .init(216) }
  /// The victim's records before this position have been looked at.
  static var victimOffset: SharedWord<Position> { .init(224) }
  /// Bytes in segments that belong to no live record, estimated.
  static var garbage: SharedWord<UInt64> { .init(232) }
  /// Pages of the index released since the last checkpoint.
  static var releasedPages: SharedWord<UInt64> { .init(240) }

  // Written by the writer from time to time.

  /// The segment that the log's tail lies in.
  static var segment: SharedWord<Unit> { .init(256) }
  /// The ordinal of `segment`.
  static var segmentOrdinal: SharedWord<UInt64> { .init(264) }
  /// The segment in which the log continues after `segment`.
  static var nextSegment: SharedWord<Unit> { .init(272) }
  /// `segment` certainly has disk space up to this position.
  static var ready: SharedWord<Position> { .init(280) }
  /// Root of the space table.
  static var spaceRoot: SharedWord<PagePointer> { .init(288) }
  /// Pages in use by index and space table.
  static var indexPages: SharedWord<UInt64> { .init(296) }
  /// Bytes of log since the last checkpoint.
  static var logSinceCheckpoint: SharedWord<UInt64> { .init(304) }
  /// The epoch of the last large value that no sync of the whole file has followed, 0 for none.
  static var extentEpoch: SharedWord<Epoch> { .init(312) }
  /// Readers of this epoch may still see free space, so none is reused before the reuse limit
  /// reaches it.
  static var quarantine: SharedWord<Epoch> { .init(320) }
  /// Rises with each recovery.
  static var recoveries: SharedWord<UInt64> { .init(328) }
  /// Equals `nextSegment` once the beginning of that segment has disk space.
  static var nextReady: SharedWord<Unit> { .init(336) }
  /// Twice the last epoch that ended, plus 1 if the second of the two pairs after this word
  /// belongs to it. A pair is the root of the directory at the end of an epoch, and the number of
  /// records then.
  static var frozen: SharedWord<UInt64> { .init(344) }

  // Written by the process that syncs the log, with the write lock.

  /// Records before this position are durable.
  static var durable: SharedWord<Position> { .init(384) }
  /// The segment that `durable` lies in.
  static var durableSegment: SharedWord<Unit> { .init(392) }
  /// Sequence number of the record at `durable`.
  static var durableSequence: SharedWord<SequenceNumber> { .init(400) }
  /// Not 0: a sync has failed, and nothing is written before a recovery.
  static var syncFailed: SharedWord<UInt64> { .init(408) }

  // Written by handles that wait for the write lock, and by those that get it.

  /// Not 0: a handle waits for the write lock.
  static var writeLockWanted: SharedWord<UInt64> { .init(416) }
  /// How often the write lock went from one handle to another or the same.
  static var writeLockGrants: SharedWord<UInt64> { .init(424) }

  // Written by those who wait for commits, and by the commit that wakes them.

  /// Not 0: somebody waits for commits.
  static var commitAwaited: SharedWord<UInt64> { .init(432) }

  // Written by recovery, and by the first commit after it.

  /// Not 0: the first commit begins with a CUT of this number, which recovery has not appended.
  static var pendingCut: SharedWord<SequenceNumber> { .init(248) }

  // Written with lock `checkpoint`.

  /// The epoch of the checkpoint that is in both superblocks.
  static var durableEpoch: SharedWord<Epoch> { .init(448) }
  /// Log position of that checkpoint.
  static var checkpointPosition: SharedWord<Position> { .init(456) }
  /// The segment that `checkpointPosition` lies in.
  static var checkpointSegment: SharedWord<Unit> { .init(464) }
  /// Sequence number of the record at `checkpointPosition`.
  static var checkpointSequence: SharedWord<SequenceNumber> { .init(472) }
  /// The process that syncs for a checkpoint, 0 for none. If it dies, the next holder of the lock
  /// treats that sync as failed.
  static var announcedSync: SharedWord<UInt64> { .init(480) }
}

extension UInt64: WordValue {
  @inline(__always) init(word: UInt64) { self = word }
  @inline(__always) var word: UInt64 { self }
}
extension Epoch: WordValue {
  @inline(__always) init(word: UInt64) { number = word }
  @inline(__always) var word: UInt64 { number }
}
extension Unit: WordValue {
  @inline(__always) init(word: UInt64) { number = word }
  @inline(__always) var word: UInt64 { number }
}
extension SequenceNumber: WordValue {
  @inline(__always) init(word: UInt64) { number = word }
  @inline(__always) var word: UInt64 { number }
}
extension Position: WordValue {
  @inline(__always) init(word: UInt64) { offset = word }
  @inline(__always) var word: UInt64 { offset }
}
extension PagePointer: WordValue {
  @inline(__always) init(word: UInt64) { bits = word }
  @inline(__always) var word: UInt64 { bits }
}
