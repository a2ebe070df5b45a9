import Synchronization

/// Changes the store, one commit at a time; used with the write lock.
///
/// Each change goes through the same steps. *Prepare*: pages are copied or split, space is found,
/// and disk space is allocated; any of this may fail, and nothing is lost. *Append*: the records
/// are written, which cannot fail. *Sync*, if asked for. *Publish*: slots and counters are
/// stored, which cannot fail either.
struct Writer: ~Copyable {
  let working: WorkingMemory
  let backing: any Backing
  /// Whether changes reach a file that other processes may read.
  let isShared: Bool
  let clock: Clock
  var space: SpaceTable
  let index: WritableIndex
  var log: LogWriter
  let mover: MoveWriter
  /// Bytes that commits have added to the log and that compaction has not counted yet.
  private var written = 0
  /// The open group: commits that are in the log and will become durable and visible together.
  var group: CommitGroup?
  /// What is known of the records that are pending.
  var notes = PendingNotes()
  /// Set while a commit is in the log but not yet in the index. If it stays set, the next turn
  /// begins with recovery.
  var isHalfDone = false
  /// Set if the last removal failed because the log has no room for it.
  private(set) var lacksLog = false
  /// Bytes of large values written since the last commit.
  private var extentBytes: UInt64 = 0
  /// How many of the last segments of the log compaction leaves alone, beside the one that is open.
  var keptSegments: UInt64 = 0

  var memory: StoreMemory { working.memory }
  var shared: SharedState { memory.shared }

  init(_ source: MemorySource, backing: any Backing, clock: Clock) {
    working = WorkingMemory(source)
    self.backing = backing
    isShared = backing.isShared
    self.clock = clock
    space = SpaceTable(working: working, backing: backing)
    index = WritableIndex(working: working)
    log = LogWriter(working: working, backing: backing)
    mover = MoveWriter(working: working, backing: backing)
  }

  deinit { working.deallocate() }

  /// Ensures that the store can grow by a value of `bytes` bytes, and by what goes with it.
  /// Called before anything is looked up: a private view may be copied to another address for
  /// that.
  func reserveAddressSpace(for bytes: Int) throws(Store.Error) {
    if isShared { return }
    try backing.reserveAddressSpace(by: bytes)
    working.refresh()
  }

  /// Takes note of what a checkpoint has made durable.
  @inline(__always)
  func adoptCheckpoint() { log.adoptCheckpoint() }

  // MARK: Single commits

  /// What a put needs to know besides key and value.
  struct PutRequest {
    var condition: Store.PutCondition
    var expiry: UInt64?
    var isDurable: Bool
    /// The version of a value that another store had before; nil for a new one.
    var version: UInt64?
  }

  /// Commits a put. Returns false if the condition was not met.
  mutating func put(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest
  ) throws(Store.Error) -> Bool {
    try reserveAddressSpace(for: value.byteCount)
    if let group { return try putInGroup(key, hash, value, request, group) }
    if request.condition != .always, try !isMet(request.condition, by: liveMatch(hash, key)) {
      if request.isDurable { try log.sync(upTo: log.tail) }
      return false
    }
    return try taking(for: .adding) { writer throws(Store.Error) in
      try writer.add(key, hash, value, request)
      return true
    }
  }

  private mutating func add(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest
  ) throws(Store.Error) {
    try ensureReserve()
    var fields = LogWriter.Fields(expiry: request.expiry, version: request.version)
    var tail = log.tail
    let mark = log.mark(tail)
    let start: Position
    let header: RecordHeader
    let prepared: Prepared
    do {
      prepared = try prepare(key, hash, needsSlot: true)
      fields.external = try writeExtent(value)
      let size = LogWriter.header(
        .put, fields, sequence: tail.sequence, keyLength: key.byteCount, valueLength: value.byteCount
      ).storedBytes
      try makeRoom(size, &tail)
      start = tail.position
      header = log.append(.put, fields, key: key, value: value, &tail)
    } catch {
      try undo(fields, mark)
      throw error
    }
    try enterLog(tail, isDurable: request.isDurable)
    try publish(prepared, hash, Record(memory, start, header))
    complete(tail)
  }

  /// Runs `body`; the space it takes is for `purpose`.
  @inline(__always)
  mutating func taking<R>(
    for purpose: SpaceReserve.Purpose, _ body: (inout Writer) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    let before = space.reserve.exchangePurpose(purpose)
    defer { _ = space.reserve.exchangePurpose(before) }
    return try body(&self)
  }

  /// Ensures that the reserve that the present purpose has to leave has disk space.
  mutating func ensureReserve() throws(Store.Error) {
    try space.reserve.ensure(above: space.highWater, memory, backing)
  }

  /// Commits a removal. Returns false if the key was absent or expired.
  mutating func remove(
    _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(Store.Error) -> Bool {
    lacksLog = false
    try reserveAddressSpace(for: 0)
    if let group { return try removeInGroup(key, hash, group) }
    guard let found = try IndexReader(memory: memory).find(hash, key) else {
      if isDurable { try log.sync(upTo: log.tail) }
      return false
    }
    let wasLive = try !isExpired(found)
    try taking(for: .removing) { writer throws(Store.Error) in
      try writer.appendRemoval(key, hash, found, isDurable: isDurable)
    }
    return wasLive
  }

  private mutating func appendRemoval(
    _ key: RawSpan, _ hash: KeyHash, _ found: IndexReader.Match, isDurable: Bool
  ) throws(Store.Error) {
    var tail = log.tail
    let mark = log.mark(tail)
    let prepared: Prepared
    do throws(Store.Error) {
      prepared = try prepareRemoval(of: found, hash)
      do throws(Store.Error) {
        try makeRoom(
          (RecordHeader.byteCount + key.byteCount + 7) & ~7, headroom: LogWriter.recoveryHeadroom, &tail)
      } catch {
        lacksLog = error.code == .diskFull
        throw error
      }
      _ = log.append(.delete, LogWriter.Fields(), key: key, value: RawSpan(), &tail)
    } catch {
      try undo(LogWriter.Fields(), mark)
      throw error
    }
    try enterLog(tail, isDurable: isDurable)
    try unpublish(prepared)
    complete(tail)
    try mergeAfterRemoval(hash)
  }

  /// Removes a key without a record, because the log has no room for one. A checkpoint must
  /// follow in the same turn, and makes the removal durable. A crash before that undoes it, and
  /// the writer is half done until then.
  mutating func removeBeforeCheckpoint(
    _ key: RawSpan, _ hash: KeyHash
  ) throws(Store.Error) -> Bool {
    guard let found = try IndexReader(memory: memory).find(hash, key) else { return false }
    let wasLive = try !isExpired(found)
    try taking(for: .removing) { writer throws(Store.Error) in
      let prepared = try writer.prepareRemoval(of: found, hash)
      try writer.space.flushReleases()
      writer.isHalfDone = true
      try writer.unpublish(prepared)
    }
    return wasLive
  }

  /// Undoes what a commit has changed that failed before its record was appended.
  private mutating func undo(_ fields: LogWriter.Fields, _ mark: LogWriter.Mark) throws(Store.Error) {
    if let extent = fields.external { try space.releaseUnits(Position(offset: extent.offset).unit) }
    try log.rollBack(to: mark, space: &space)
  }

  /// From here on what was appended is a commit: if anything fails now, the next turn begins with
  /// recovery. With `isDurable`, syncs the log up to `tail`. Throws `lost` if the mapping was
  /// lost, so that nothing is published then.
  mutating func enterLog(_ tail: LogWriter.Tail, isDurable: Bool) throws(Store.Error) {
    isHalfDone = true
    if isDurable { try log.sync(upTo: tail) }
    if isLost { throw Store.Error(.lost, "the mapping of the file was lost") }
  }

  /// Ends a commit: stores the tail, and counts what was written.
  mutating func complete(_ tail: LogWriter.Tail) {
    let before = shared[.tail].offset
    log.tail = tail
    shared[.published] = tail.position
    // If the commit goes over several segments, only the bytes in the last one are counted. The
    // count only decides when the next checkpoint is due.
    let segment = shared[.segment].number * UInt64(Layout.unitBytes)
    let isSame = before >= segment && before <= tail.position.offset
    let grown = tail.position.offset - (isSame ? before : segment)
    shared.raise(.logSinceCheckpoint, by: grown + extentBytes)
    written += Int(grown)
    extentBytes = 0
    isHalfDone = false
    shared.signalCommit()
  }

  /// Bytes that commits have added to the log since the last call.
  mutating func takeWritten() -> Int {
    defer { written = 0 }
    return written
  }

  /// Whether the mapping has been lost by now. For use after stores.
  private var isLost: Bool {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return memory.local.isLost
  }

  /// Merges the bucket that a key was removed from, if it has become sparse. Counting the slots
  /// of a page reads all of it, so this is done for one key in sixteen, by bits of its hash that
  /// nothing else depends on.
  ///
  /// The removal is done, or sure to be, so it does not fail if the merge does; only `lost` is
  /// thrown. A merge that fails stops between two steps. Each step leaves the index consistent,
  /// and the pages that it releases are recorded, or in the list of those to be recorded.
  mutating func mergeAfterRemoval(_ hash: KeyHash) throws(Store.Error) {
    guard (hash.bits >> 16) & 15 == 0 else { return }
    do {
      try space.taking(for: .adding) { space throws(Store.Error) in
        try index.mergeBucket(hash, space: &space)
        try space.flushReleases()
      }
    } catch {
      guard error.code != .lost else { throw error }
    }
  }

  // MARK: Finding

  func isMet(_ condition: Store.PutCondition, by match: IndexReader.Match?) -> Bool {
    switch condition {
    case .always: true
    case .absent: match == nil
    case .present: match != nil
    case .version(let version): match.map { $0.record(memory).version } == version
    }
  }

  func isExpired(_ match: IndexReader.Match) throws(Store.Error) -> Bool {
    try match.record(memory).isExpired(clock)
  }

  func liveMatch(_ hash: KeyHash, _ key: RawSpan) throws(Store.Error) -> IndexReader.Match? {
    guard let match = try IndexReader(memory: memory).find(hash, key) else { return nil }
    return try isExpired(match) ? nil : match
  }

  // MARK: Steps

  /// Where the slot of a key is or will be, in a writable page, and what is there now.
  struct Prepared {
    var slotOffset: Int
    var old: IndexReader.Match?
  }

  /// Makes writable what a change of `key` stores into. If the key is absent, finds an empty slot
  /// for it with `needsSlot`; without, the slot is 0.
  mutating func prepare(
    _ key: RawSpan, _ hash: KeyHash, needsSlot: Bool
  ) throws(Store.Error) -> Prepared {
    let pointer = try writableBucket(hash)
    let bucket = pointer.page
    if let old = try index.find(
      hash, key, in: bucket, pending: false, passingDamage: space.isRecovering)
    {
      try prepareRelease(old)
      return Prepared(slotOffset: old.slotOffset, old: old)
    }
    guard needsSlot else { return Prepared(slotOffset: 0, old: nil) }
    return Prepared(slotOffset: try index.emptySlot(hash, pointer, space: &space), old: nil)
  }

  /// The same to remove a record that was found.
  private mutating func prepareRemoval(
    of found: IndexReader.Match, _ hash: KeyHash
  ) throws(Store.Error) -> Prepared {
    let bucket = try writableBucket(hash).page
    guard let slot = try index.slotOffset(found.slot, foundAt: found.slotOffset, in: bucket, hash) else {
      return Prepared(slotOffset: 0, old: nil)
    }
    var old = found
    old.slotOffset = slot
    try prepareRelease(old)
    return Prepared(slotOffset: slot, old: old)
  }

  /// The bucket of `hash`, made writable with its overflow pages.
  @inline(__always)
  mutating func writableBucket(_ hash: KeyHash) throws(Store.Error) -> PagePointer {
    let bucket = try index.writableBucket(hash, space: &space)
    if memory.header(bucket.page).overflow.number != 0 {
      try index.makeOverflowWritable(bucket.page, space: &space)
    }
    return bucket
  }

  /// Makes the space table's entries writable for a record that will no longer be live.
  mutating func prepareRelease(_ match: IndexReader.Match) throws(Store.Error) {
    _ = try space.writableEntry(match.position.unit)
    if let extent = try extentToRelease(match) {
      guard try space.row(extent.first, of: [.extent]) == extent.count else {
        throw .damaged(
          "space table", at: Int(extent.first.position.offset), "it has no entry for the large value there")
      }
      try space.makeWritable(extent)
    }
  }

  /// The extent that is released with a record; nil if it has none. If recovery replaces a
  /// damaged record, its extent is unknown and stays allocated.
  @inline(__always)
  private mutating func extentToRelease(
    _ match: IndexReader.Match
  ) throws(Store.Error) -> (first: Unit, count: Int)? {
    guard match.header.flags.contains(.external) else { return nil }
    return try largeExtentToRelease(match)
  }

  @inline(never)
  private mutating func largeExtentToRelease(
    _ match: IndexReader.Match
  ) throws(Store.Error) -> (first: Unit, count: Int)? {
    if space.isRecovering, !match.record(memory).isIntact { return nil }
    return try match.record(memory).extent()
  }

  /// Ensures that a record of `stored` bytes can be appended and counted.
  mutating func makeRoom(
    _ stored: Int, headroom: Int = LogWriter.headroom, _ tail: inout LogWriter.Tail
  ) throws(Store.Error) {
    try log.makeRoom(for: stored, headroom: headroom, tail: &tail, space: &space)
    _ = try space.writableEntry(tail.position.unit)
    try space.flushReleases()
  }

  /// Ensures room for a CUT. The index never points to it, so the space table counts no bytes for
  /// it, and a store with nothing to replay opens without taking a page.
  mutating func makeRoomForCut(_ tail: inout LogWriter.Tail) throws(Store.Error) {
    try log.makeRoomForCut(&tail, space: &space)
    try space.flushReleases()
  }

  /// Writes a value that is too large for the log into an extent of its own; nil if it is not.
  mutating func writeExtent(
    _ value: RawSpan
  ) throws(Store.Error) -> (offset: UInt64, length: Int, checksum: UInt64)? {
    if value.byteCount <= Layout.largestInlineValue { return nil }
    let count = (value.byteCount + Layout.unitBytes - 1) / Layout.unitBytes
    let unit = try space.allocate(count, as: .extent)
    let offset = Int(unit.position.offset)
    do {
      try backing.allocate(
        offset: offset, count: Int(Layout.endOfPage(UInt64(value.byteCount))))
    } catch {
      try space.releaseUnits(unit)
      throw error
    }
    memory.bytes.copy(value, to: offset)
    shared[.extentEpoch] = shared[.epoch]
    extentBytes += UInt64(value.byteCount)
    let checksum = Checksum.compute(
      memory.bytes, offset, count: value.byteCount, seed: memory.seed, place: UInt64(offset))
    return (UInt64(offset), value.byteCount, checksum)
  }

  /// Makes the index point to a new record. Everything was prepared.
  mutating func publish(
    _ prepared: Prepared, _ hash: KeyHash, _ record: Record
  ) throws(Store.Error) {
    memory.bytes.storeRelease(
      Slot(tag: hash.tag, position: record.position).bits, prepared.slotOffset)
    try space.addRecord(
      record.position.unit, bytes: record.storedBytes, expiry: record.expiry)
    shared.raise(.liveBytes, by: UInt64(record.liveBytes))
    if let old = prepared.old {
      try retire(old)
    } else {
      shared.raise(.recordCount, by: 1)
    }
  }

  /// Removes a key from the index. Everything was prepared.
  mutating func unpublish(_ prepared: Prepared) throws(Store.Error) {
    guard let old = prepared.old else { return }
    memory.bytes.storeRelease(Slot.empty.bits, prepared.slotOffset)
    shared.lower(.recordCount, by: 1)
    try retire(old)
  }

  /// Accounts for a record that the index no longer points to.
  private mutating func retire(_ old: IndexReader.Match) throws(Store.Error) {
    try space.removeRecord(
      old.position.unit, bytes: old.header.storedBytes, expires: old.header.flags.contains(.expires))
    shared.raise(.garbage, by: UInt64(old.header.storedBytes))
    shared.lower(.liveBytes, by: UInt64(old.header.liveBytes))
    if let extent = try extentToRelease(old) { try space.releaseUnits(extent.first) }
  }
}
