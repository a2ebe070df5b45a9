/// The words that running processes share: the working state of the store.
///
/// Trusted only while some process holds lock V continuously; after that it is
/// rebuilt from a superblock and the log, whatever it says. Readers' words,
/// writer's words and sync's words lie on cache lines of their own.
///
/// Recovery builds the new state in a second set of the same words, so that
/// readers keep what they have until it is complete.
struct LivePage {
  let bytes: MappedBytes
  /// Where this set of words begins in the file.
  let start: Int

  static let publicOffset = Layout.liveOffset
  static let shadowOffset = Layout.liveOffset + Layout.pageBytes / 2
  static let byteCount = 512
  /// Changes with the meaning of any word: programs that differ in it cannot have a store
  /// open at once. The file's format is not concerned.
  static let layoutVersion: UInt64 = 5

  /// A word at an offset of the live page.
  struct Word {
    let offset: Int
    init(_ offset: Int) { self.offset = offset }
  }

  // Read by every get.
  static let generation = Word(0)  // rises before pages that readers may still see are reused
  static let root = Word(8)  // working root of the directory
  static let epoch = Word(16)  // working epoch
  static let sealedEpoch = Word(24)  // pages up to here have checksums
  static let highWater = Word(32)  // units in use
  static let pinFloor = Word(40)  // epochs below may be reused: new pins below fail
  static let layout = Word(48)  // version of these words

  // Written by every commit.
  static let tail = Word(128)  // where the next record goes
  static let sequence = Word(136)
  static let chain = Word(144)
  static let published = Word(152)  // the index shows all records before this position
  static let busy = Word(160)  // not 0: a transaction is under way
  static let earliestExpiry = Word(168)  // no live record expires before
  static let recordCount = Word(176)
  static let liveBytes = Word(184)

  // Written when compaction moves a record.
  static let moveSegment = Word(192)  // unit of the segment that takes moved records, 0 for none
  static let moveTail = Word(200)  // where the next one goes
  static let moveReady = Word(208)  // end of that segment's bytes that surely have disk space
  static let victim = Word(216)  // unit of the segment that is being emptied, 0 for none
  static let victimOffset = Word(224)  // its records before this offset have been looked at
  static let garbage = Word(232)  // bytes of segments that hold no live record, estimated
  static let releasedPages = Word(240)  // of the index, since the last checkpoint

  // Written now and then by the writer.
  static let segment = Word(256)  // unit the current segment begins at
  static let segmentOrdinal = Word(264)
  static let nextSegment = Word(272)  // unit of the segment that follows
  static let ready = Word(280)  // end of the segment's bytes that surely have disk space
  static let spaceRoot = Word(288)
  static let indexPages = Word(296)
  static let logSinceCheckpoint = Word(304)  // bytes
  static let runEpoch = Word(312)  // of the last large value that no sync of all has followed, 0 for none
  static let quarantine = Word(320)  // free space may still be seen by readers of this epoch
  static let recoveries = Word(328)  // rises when a process has recovered the store
  static let nextReady = Word(336)  // unit of the next segment once its beginning has disk space
  static let frozen = Word(344)  // twice the last epoch that ended, and which of the next pairs it has
  static let frozenRoots = [Word(352), Word(368)]  // root of the directory at its end
  static let frozenCounts = [Word(360), Word(376)]  // and the number of records

  // Written by whoever syncs the log, in its turn.
  static let durable = Word(384)  // records before this position are durable
  static let durableSegment = Word(392)  // segment `durable` lies in
  static let durableSequence = Word(400)  // sequence number of the record that follows
  static let syncFailed = Word(408)  // not 0: nobody writes before recovery

  // Written by whoever holds lock C.
  static let durableEpoch = Word(448)  // the checkpoint in both superblocks
  static let checkpointPosition = Word(456)  // log position of that checkpoint
  static let checkpointSegment = Word(464)  // segment it lies in
  static let checkpointSequence = Word(472)  // sequence number of the record that follows
  static let announcedSync = Word(480)  // process that syncs for a checkpoint, 0 for none

  @inline(__always)
  subscript(word: Word) -> UInt64 {
    /// Acquire: pairs with the release of the setter.
    @inline(__always) get { bytes.loadAcquire(start &+ word.offset) }
    @inline(__always) nonmutating set { bytes.storeRelease(newValue, start &+ word.offset) }
  }

  /// Ends the working epoch: its pages are not changed any more. Under the turn.
  func freeze() {
    let epoch = self[Self.epoch]
    frozen = FrozenState(
      epoch: Epoch(number: epoch), root: PagePointer(bits: self[Self.root]), count: self[Self.recordCount])
    self[Self.epoch] = epoch + 1
  }

  /// The state at the end of an epoch.
  struct FrozenState {
    var epoch: Epoch
    var root: PagePointer
    var count: UInt64
  }

  /// The last state that was frozen. Who gets it beside a writer has to see afterwards that
  /// the word `frozen` is the same as before.
  var frozen: FrozenState {
    get {
      let word = self[Self.frozen]
      let pair = Int(word & 1)
      return FrozenState(
        epoch: Epoch(number: word >> 1), root: PagePointer(bits: self[Self.frozenRoots[pair]]),
        count: self[Self.frozenCounts[pair]])
    }
    nonmutating set {
      // Into the other pair: whoever dies here leaves the last state as it was.
      let pair = 1 - Int(self[Self.frozen] & 1)
      self[Self.frozenRoots[pair]] = newValue.root.bits
      self[Self.frozenCounts[pair]] = newValue.count
      self[Self.frozen] = newValue.epoch.number << 1 | UInt64(pair)
    }
  }

  /// Adds to a counter. Without a trap, whatever a damaged file had it set to.
  func raise(_ word: Word, by amount: UInt64) { self[word] = self[word] &+ amount }

  /// Takes from a counter. A damaged file may have set it too low.
  func lower(_ word: Word, by amount: UInt64) {
    let value = self[word]
    self[word] = value - min(amount, value)
  }

  /// Stores such that no later load of this thread is done before.
  func storeAndFence(_ value: UInt64, _ word: Word) {
    bytes.storeSequentiallyConsistent(value, start + word.offset)
  }
}
