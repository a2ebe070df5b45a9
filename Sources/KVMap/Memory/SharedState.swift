/// The words that running processes share: the working state of the store.
///
/// Trusted only while some process holds lock V continuously; after that it is
/// rebuilt from a superblock and the log, whatever it says. Readers' words,
/// writer's words and sync's words lie on cache lines of their own.
///
/// Recovery builds the new state in a second set of the same words, so that
/// readers keep what they have until it is complete.
struct SharedState {
  let bytes: MappedBytes
  /// Where this set of words begins in the file.
  let start: Int

  static let publicOffset = Layout.liveOffset
  static let shadowOffset = Layout.liveOffset + Layout.pageBytes / 2
  static let byteCount = 512
  /// Changes with the meaning of any word: programs that differ in it cannot have a store
  /// open at once. The file's format is not concerned.
  static let layoutVersion: UInt64 = 5

  @inline(__always)
  subscript<Value>(word: SharedWord<Value>) -> Value {
    /// Acquire: pairs with the release of the setter.
    @inline(__always) get { Value(word: bytes.loadAcquire(start &+ word.offset)) }
    @inline(__always) nonmutating set { bytes.storeRelease(newValue.word, start &+ word.offset) }
  }

  /// Ends the working epoch: its pages are not changed any more. With the write lock.
  func freeze() {
    let epoch = self[.epoch]
    frozen = FrozenState(epoch: epoch, root: self[.root], count: self[.recordCount])
    self[.epoch] = epoch.next
  }

  /// The state at the end of an epoch.
  struct FrozenState {
    var epoch: Epoch
    var root: PagePointer
    var count: UInt64
  }

  static let frozenRoots = [SharedWord<PagePointer>(352), SharedWord<PagePointer>(368)]
  static let frozenCounts = [SharedWord<UInt64>(360), SharedWord<UInt64>(376)]

  /// The last state that was frozen. Whoever gets it beside a writer has to see afterwards that
  /// the word `frozen` is the same as before.
  var frozen: FrozenState {
    get {
      let word = self[.frozen]
      let pair = Int(word & 1)
      return FrozenState(
        epoch: Epoch(number: word >> 1), root: self[Self.frozenRoots[pair]],
        count: self[Self.frozenCounts[pair]])
    }
    nonmutating set {
      // Into the other pair: a process that dies here leaves the last state as it was.
      let pair = 1 - Int(self[.frozen] & 1)
      self[Self.frozenRoots[pair]] = newValue.root
      self[Self.frozenCounts[pair]] = newValue.count
      self[.frozen] = newValue.epoch.number << 1 | UInt64(pair)
    }
  }

  /// Takes over a state that recovery has built, for everybody to see. The root comes last but
  /// one, and any mixture of old and new words before it reads the old tree rightly. What made
  /// recovery necessary is forgotten after all else: a process that dies in between leaves
  /// words that do not belong together, and the next writer has to begin again.
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
    return words.map(\.offset) + frozenRoots.map(\.offset) + frozenCounts.map(\.offset) + [root.offset]
  }()

  /// Adds to a counter. Without a trap, whatever a damaged file had it set to.
  func raise(_ word: SharedWord<UInt64>, by amount: UInt64) { self[word] = self[word] &+ amount }

  /// Takes from a counter. A damaged file may have set it too low.
  func lower(_ word: SharedWord<UInt64>, by amount: UInt64) {
    let value = self[word]
    self[word] = value - min(amount, value)
  }

  /// Stores such that no later load of this thread is done before.
  func storeAndFence<Value>(_ value: Value, _ word: SharedWord<Value>) {
    bytes.storeSequentiallyConsistent(value.word, start + word.offset)
  }
}

/// What fills a word of the shared state.
protocol WordValue {
  init(word: UInt64)
  var word: UInt64 { get }
}

/// A word at an offset of the shared state, and what it holds.
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
  /// Epochs before this one may be reused: pinning one of them fails.
  static var pinFloor: SharedWord<Epoch> { .init(40) }
  /// Version of these words.
  static var layout: SharedWord<UInt64> { .init(48) }

  // Written by every commit.

  /// Where the next record goes.
  static var tail: SharedWord<Position> { .init(128) }
  /// Its sequence number.
  static var sequence: SharedWord<SequenceNumber> { .init(136) }
  /// The chain that it continues.
  static var chain: SharedWord<UInt64> { .init(144) }
  /// The index shows all records before this position.
  static var published: SharedWord<Position> { .init(152) }
  /// The process whose transaction is under way, 0 for none.
  static var busy: SharedWord<UInt64> { .init(160) }
  /// No live record expires before this time, in milliseconds since 1970; see `Superblock`.
  static var earliestExpiry: SharedWord<UInt64> { .init(168) }
  static var recordCount: SharedWord<UInt64> { .init(176) }
  /// Bytes of the live records as stored, large values included.
  static var liveBytes: SharedWord<UInt64> { .init(184) }

  // Written when compaction moves a record.

  /// The segment that takes moved records, 0 for none.
  static var moveSegment: SharedWord<Unit> { .init(192) }
  /// Where the next one goes.
  static var moveTail: SharedWord<Position> { .init(200) }
  /// End of that segment's bytes that surely have disk space.
  static var moveReady: SharedWord<Position> { .init(208) }
  /// The segment that is being emptied, 0 for none.
  static var victim: SharedWord<Unit> { .init(216) }
  /// Its records before this offset have been looked at.
  static var victimOffset: SharedWord<Position> { .init(224) }
  /// Bytes of segments that hold no live record, estimated.
  static var garbage: SharedWord<UInt64> { .init(232) }
  /// Pages of the index released since the last checkpoint.
  static var releasedPages: SharedWord<UInt64> { .init(240) }

  // Written now and then by the writer.

  /// The segment that the log's tail lies in.
  static var segment: SharedWord<Unit> { .init(256) }
  static var segmentOrdinal: SharedWord<UInt64> { .init(264) }
  /// The segment that follows.
  static var nextSegment: SharedWord<Unit> { .init(272) }
  /// End of the segment's bytes that surely have disk space.
  static var ready: SharedWord<Position> { .init(280) }
  static var spaceRoot: SharedWord<PagePointer> { .init(288) }
  static var indexPages: SharedWord<UInt64> { .init(296) }
  /// Bytes of log since the last checkpoint.
  static var logSinceCheckpoint: SharedWord<UInt64> { .init(304) }
  /// Of the last large value that no sync of all has followed, 0 for none.
  static var extentEpoch: SharedWord<Epoch> { .init(312) }
  /// Free space may still be seen by readers of this epoch.
  static var quarantine: SharedWord<Epoch> { .init(320) }
  /// Rises when a process has recovered the store.
  static var recoveries: SharedWord<UInt64> { .init(328) }
  /// The next segment once its beginning has disk space.
  static var nextReady: SharedWord<Unit> { .init(336) }
  /// Twice the last epoch that ended, and which of the two pairs that follow it has: root of the
  /// directory at its end, and the number of records.
  static var frozen: SharedWord<UInt64> { .init(344) }

  // Written by the process that syncs the log, with the write lock.

  /// Records before this position are durable.
  static var durable: SharedWord<Position> { .init(384) }
  /// The segment that `durable` lies in.
  static var durableSegment: SharedWord<Unit> { .init(392) }
  /// Sequence number of the record that follows.
  static var durableSequence: SharedWord<SequenceNumber> { .init(400) }
  /// Not 0: nobody writes before recovery.
  static var syncFailed: SharedWord<UInt64> { .init(408) }

  // Written by the holder of lock C.

  /// The checkpoint in both superblocks.
  static var durableEpoch: SharedWord<Epoch> { .init(448) }
  /// Log position of that checkpoint.
  static var checkpointPosition: SharedWord<Position> { .init(456) }
  /// The segment it lies in.
  static var checkpointSegment: SharedWord<Unit> { .init(464) }
  /// Sequence number of the record that follows.
  static var checkpointSequence: SharedWord<SequenceNumber> { .init(472) }
  /// The process that syncs for a checkpoint, 0 for none.
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
