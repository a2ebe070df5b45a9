/// Rebuilds the working state from a superblock and the log after it.
///
/// Recovery runs alone, when no handle vouches for the shared state; or beside readers, when a
/// writer has died with the write lock. It changes nothing that the last checkpoint or the log
/// needs, so it can be interrupted anywhere: the next recovery starts from the same state.
struct Recovery {
  let source: MemorySource
  let backing: any Backing
  let clock: Clock
  let mode: Mode

  enum Mode: Equatable {
    /// Lock V is held exclusively: nobody else trusts the shared state.
    case alone
    /// A writer has died with the write lock, or its sync failed: readers go on with what was
    /// published.
    case besideReaders
    /// For a private view: appends no CUT and syncs nothing.
    case privateView
    /// Only finds out, in private memory, whether recovery will succeed.
    case dryRun(besideReaders: Bool)

    var isBesideReaders: Bool { self == .besideReaders || self == .dryRun(besideReaders: true) }
    var isPrivate: Bool { self == .privateView }
    var writesFile: Bool { self == .alone || self == .besideReaders }
  }

  private var memory: StoreMemory { source.memory }

  /// Runs to the end or throws with nothing published.
  func run(_ block: Superblock, bothAgree: Bool) throws(Store.Error) {
    try rebuild(block, bothAgree: bothAgree, examine(block))
  }

  /// Recovers a private copy. Any page that recovery reads may be damaged, pages of the space table
  /// above all. If the damage is met here, not a byte of the file has changed.
  func dryRun(_ block: Superblock, _ end: LogScanner.End) throws(Store.Error) {
    var room = PrivateBacking.leastRoom
    while true {
      guard let copy = try backing.privateView(room: room) else { return }
      let trial = Recovery(
        source: copy.mapping.source(seed: block.seed), backing: copy, clock: clock,
        mode: .dryRun(besideReaders: mode.isBesideReaders))
      do throws(Store.Error) {
        return try trial.rebuild(block, bothAgree: true, end)
      } catch {
        guard let more = copy.room(after: error, room) else { throw error }
        room = more
      }
    }
  }

  /// Returns where the log ends. Throws if anything that says so is damaged. Changes nothing.
  func examine(_ block: Superblock) throws(Store.Error) -> LogScanner.End {
    let published = source.shared
    let used = Int(block.highWater.number) * Layout.unitBytes
    // Map the whole file. What was written last may lie beyond what the checkpoint knows of, and
    // where nothing is mapped the log would seem to end.
    let length = try backing.sizes().file
    _ = try backing.extendMapping(to: length / Layout.unitBytes * Layout.unitBytes)
    if used > backing.mappedBytes {
      guard try backing.extendMapping(to: used) else {
        throw Store.Error(
          .damaged,
          "the file ends before offset \(UInt64(used).hexadecimal), but its last checkpoint uses it up to there: "
            + "it was cut short; restore it from a backup")
      }
    }
    let start = LogWriter.Tail(
      position: block.logPosition, sequence: block.sequence, chain: block.chain)
    var scanner = LogScanner(memory: source.shadow.memory, tail: start, segment: block.segment)
    scanner.scan()
    while let place = scanner.damageBeyondEnd(backing.dataRanges) {
      // A writer may have appended records since the end was found, if this is a private view.
      if scanner.scanOn() { continue }
      let end = scanner.end
      throw .damaged(
        "log", at: Int(end.tail.position.offset),
        "a record that was durable should be here, since the one at \(place.offset.hexadecimal) was "
          + "written after it")
    }
    let end = scanner.end
    if mode.isBesideReaders, end.tail.position.offset != published[.published].offset,
      !reaches(published[.published].offset, start, block, end)
    {
      throw .damaged(
        "log", at: Int(end.tail.position.offset), "it ends before records that were published")
    }
    guard end.header != nil else {
      throw .damaged(
        "log segment", at: Int(end.segment.position.offset), "its header is not what was written")
    }
    try checkBounds(block, end)
    try checkWhatReplayTouches(block, end)
    return end
  }

  /// Throws if the numbers at the log's end leave no room to go on. No program that writes them
  /// correctly comes near these bounds.
  private func checkBounds(_ block: Superblock, _ end: LogScanner.End) throws(Store.Error) {
    let known = max(block.highWater.number, UInt64(backing.mappedBytes / Layout.unitBytes))
    guard end.highWater <= known + max(known, Self.mostUnitsBeyondEnd) else {
      throw .damaged(
        "log segment", at: Int(end.segment.position.offset),
        "the segment that is to follow it lies far beyond the end of the file")
    }
    guard mode.isPrivate || block.epoch.number < Epoch.limit.number - Self.leastEpochsLeft else {
      throw .damaged("superblock", at: 0, "there are no epochs left to go on with")
    }
    guard
      mode.isPrivate || end.tail.sequence.number < SequenceNumber.limit.number - Self.leastSequenceNumbersLeft
    else {
      throw .damaged(
        "log", at: Int(end.tail.position.offset), "there are no sequence numbers left to go on with")
    }
  }

  /// How far beyond the end of the file the next segment may lie, in units: the file may have grown
  /// by this much when power failed, without that being durable. 1 GiB.
  private static let mostUnitsBeyondEnd: UInt64 = (1 << 30) / UInt64(Layout.unitBytes)

  /// More epochs than one opening can use.
  private static let leastEpochsLeft: UInt64 = 1 << 60
  /// More sequence numbers than one opening can use.
  private static let leastSequenceNumbersLeft: UInt64 = 1 << 40

  /// Makes the store what the superblock and the log say it is.
  func rebuild(_ block: Superblock, bothAgree: Bool, _ end: LogScanner.End) throws(Store.Error) {
    guard let header = end.header else { return }
    let start = LogWriter.Tail(
      position: block.logPosition, sequence: block.sequence, chain: block.chain)
    if mode.writesFile { try repairSuperblocks(block, bothAgree) }
    if mode == .besideReaders {
      Checkpoint(source: source, backing: backing, previous: block).sealWorkingTree()
    }
    let target = source.shadow
    begin(target, block, end, source.shared)
    try replay(target, block, start, end, header)
    // From now on the rebuilt state is the last frozen one, which a snapshot of a read-only handle
    // shows.
    target.shared.freeze()
    // The epoch that is about to be published, not the one before: a reader that pins meanwhile may
    // see this epoch and the old root.
    if mode.isBesideReaders { target.shared[.quarantine] = target.shared[.epoch] }
    source.shared.publish(target.shared)
  }

  /// Makes both superblocks point to the checkpoint that counts: an older one would point to pages
  /// that are about to be reused.
  ///
  /// That they agree in memory does not mean that they agree on the disk. If the sync of one
  /// failed, the system may have treated it as clean ever since, and no later sync would write it.
  /// So both are stored again in any case. The next sync of the file writes them, and it comes
  /// before either of them changes.
  private func repairSuperblocks(
    _ block: Superblock, _ bothAgree: Bool
  ) throws(Store.Error) {
    // A program that knows only the older version must not read the log that follows.
    if !bothAgree || block.isOfOlderVersion || (mode.isBesideReaders && source.shared[.syncFailed] != 0) {
      try Checkpoint(source: source, backing: backing, previous: block).writeSuperblocks(block)
    } else {
      for offset in SuperblockPair.offsets {
        source.fixed.dirtyAgain(offset, count: Superblock.byteCount)
      }
    }
  }

  /// Whether a record of the log begins at this offset, before the log's end.
  private func reaches(
    _ offset: UInt64, _ start: LogWriter.Tail, _ block: Superblock, _ end: LogScanner.End
  ) -> Bool {
    var walk = LogWalk(memory: memory, from: start.position, upTo: end.tail.position)
    while let record = try? walk.next() {
      if record.position.offset == offset { return true }
    }
    return false
  }

  /// Checks every page from which replay will start, so that damage is met before anything is
  /// written: a store that is refused is not changed.
  private func checkWhatReplayTouches(
    _ block: Superblock, _ end: LogScanner.End
  ) throws(Store.Error) {
    let tree = CheckpointReader(memory: memory, block: block)
    // A private view appends no CUT, so without records to replay it needs no entry of the space
    // table.
    if !mode.isPrivate { try tree.checkSpace(end.tail.position.unit) }
    var walk = LogWalk(memory: memory, from: block.logPosition, upTo: end.tail.position)
    while let record = try walk.next() {
      try tree.checkSpace(record.position.unit)
      guard record.kind == .put || record.kind == .delete else { continue }
      try tree.checkBucket(record.keyHash)
    }
  }

  /// Sets the new shared state to the state of the checkpoint.
  private func begin(
    _ target: MemorySource, _ block: Superblock, _ end: LogScanner.End, _ published: SharedState
  ) {
    let shared = target.shared
    target.fixed.zero(SharedState.shadowOffset, count: SharedState.byteCount)
    let working = mode.isBesideReaders ? published[.epoch] : block.epoch
    shared[.layout] = SharedState.layoutVersion
    shared[.epoch] = Epoch(number: max(working, block.epoch).next.number)
    shared[.sealedEpoch] = block.epoch
    shared[.durableEpoch] = block.epoch
    // A pin that came too late for what was reused before recovery still comes too late.
    shared[.pinFloor] = mode.isBesideReaders ? published[.pinFloor] : Epoch(number: 0)
    shared[.root] = block.root
    shared[.spaceRoot] = block.spaceRoot
    shared[.recordCount] = block.recordCount
    shared[.liveBytes] = block.liveBytes
    shared[.indexPages] = block.indexPages
    shared[.earliestExpiry] = block.earliestExpiry
    shared[.highWater] = Unit(
      number: max(
        block.highWater.number, end.highWater, mode.isBesideReaders ? published[.highWater].number : 0))
    shared[.checkpointPosition] = block.logPosition
    shared[.checkpointSegment] = block.segment
    shared[.checkpointSequence] = block.sequence
    shared[.durable] = block.logPosition
    shared[.durableSegment] = block.segment
    shared[.durableSequence] = block.sequence
  }

  /// Applies the records since the checkpoint again.
  private func replay(
    _ target: MemorySource, _ block: Superblock, _ start: LogWriter.Tail, _ end: LogScanner.End,
    _ header: SegmentHeader
  ) throws(Store.Error) {
    let shared = target.shared
    try backing.grow(to: Int(shared[.highWater].number) * Layout.unitBytes)
    var writer = Writer(target, backing: backing, clock: clock)
    writer.space.isRecovering = true
    writer.space.takesReleasedPages = !mode.isBesideReaders && !mode.isPrivate
    var walk = writer.log.walk(from: start.position, upTo: end.tail.position)
    var length: UInt64 = 0
    while let record = try walk.next() {
      try writer.replay(record)
      length += UInt64(record.liveBytes)
      if mode.writesFile { writer.log.storeAgain(record) }
    }
    shared[.tail] = end.tail.position
    shared[.sequence] = end.tail.sequence
    shared[.chain] = end.tail.chain
    shared[.segment] = end.segment
    shared[.segmentOrdinal] = header.ordinal
    shared[.nextSegment] = header.next
    shared[.ready] = Position(offset: readyEnd(end))
    shared[.logSinceCheckpoint] = length
    if let number = pendingCut(block, end) {
      shared[.pendingCut] = number
    } else if !mode.isPrivate {
      try cut(&writer)
    }
    shared[.published] = shared[.tail]
  }

  /// The number of the CUT that the first commit begins with; nil if recovery appends CUT itself.
  ///
  /// If no record was read that could still be lost, there is nothing to sync but the CUT. It need not be
  /// durable before the first commit if its number is made of the time: should a power failure undo
  /// both, the next recovery has a higher number. It would come to any other number again.
  func pendingCut(_ block: Superblock, _ end: LogScanner.End) -> SequenceNumber? {
    guard mode == .alone, end.isEmpty(after: block) else { return nil }
    return end.tail.sequence.dated(clock.now())
  }

  /// Up to where the segment surely has disk space. What was allocated after the checkpoint may
  /// have been lost, so only the part in use counts.
  private func readyEnd(_ end: LogScanner.End) -> UInt64 {
    let page = UInt64(Layout.pageBytes)
    return (end.tail.position.offset + page - 1) / page * page
  }

  /// Appends a CUT, which ends whatever the crash left in the log, and makes everything up to it
  /// durable.
  private func cut(_ writer: inout Writer) throws(Store.Error) {
    var tail = writer.log.tail
    try writer.makeRoomForCut(&tail)
    writer.log.appendCut(tail.sequence.cut(at: clock.now()), isEnd: true, &tail)
    try writer.log.sync(upTo: tail)
    writer.log.tail = tail
  }
}

extension Writer {
  /// Applies a record of the log again.
  mutating func replay(_ record: Record) throws(Store.Error) {
    switch record.kind {
    case .put:
      let key = record.key
      let hash = KeyHash(key, seed: memory.seed)
      if record.isExternal {
        let extent = try record.extent()
        try space.claim(extent.first, extent.count, as: .extent)
      }
      let prepared = try prepare(key, hash, needsSlot: true)
      _ = try space.writableEntry(record.position.unit)
      try space.flushReleases()
      try publish(prepared, hash, record)
    case .delete:
      let key = record.key
      let prepared = try prepare(key, KeyHash(key, seed: memory.seed), needsSlot: false)
      try space.flushReleases()
      try unpublish(prepared)
    case .link:
      // The table has the segment that opens here already: it was entered when the segment before
      // it opened. Now enter the one that this segment names.
      let opened = Int(record.linkTarget)
      guard let header = SegmentHeader(memory.bytes, at: opened, seed: memory.seed) else {
        throw .damaged("log segment", at: opened, "its header is not what was written")
      }
      try space.claim(header.next, Int(Layout.segmentUnits), as: .segment)
    case .cut, .move, nil:
      break
    }
  }
}
