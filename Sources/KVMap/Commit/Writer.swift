import Synchronization

/// Changes the store, one commit at a time; used by whoever holds the turn.
///
/// Each change goes through the same steps. *Prepare*: pages are copied or split,
/// space is found and made real; anything may fail and nothing is lost. *Append*:
/// the records are written, which cannot fail. *Sync*, if asked for. *Publish*:
/// slots and counters are stored, which cannot fail either.
struct Writer: ~Copyable {
  let working: WorkingMemory
  let backing: any Backing
  /// Whether changes reach a file that others may read.
  let isShared: Bool
  let clock: Clock
  var space: SpaceTable
  let index: WritableIndex
  var log: LogWriter
  let mover: MoveWriter
  /// Bytes that commits have added to the log and compaction has not looked at.
  private var written = 0
  /// Commits that are in the log and will become durable and visible together.
  var group: CommitGroup?
  /// Set while a commit is in the log and not yet in the index.
  var isHalfDone = false
  /// Set if the last removal failed because the log has no room for it.
  private(set) var lacksLog = false
  /// Bytes of large values written since the last commit.
  private var extentBytes: UInt64 = 0

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

  /// Sees to it that the store can grow by a value of so many bytes, and by what goes with
  /// it. Before anything is looked up: a private view may have to be copied for that.
  func reserveAddressSpace(for bytes: Int) throws(StoreError) {
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
    var condition: PutCondition
    var expiry: UInt64?
    var isDurable: Bool
    /// The version of a value that another store had before; nil for a new one.
    var version: UInt64?
  }

  /// False if the condition was not met.
  mutating func put(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest
  ) throws(StoreError) -> Bool {
    try reserveAddressSpace(for: value.byteCount)
    if let group { return try putInGroup(key, hash, value, request, group) }
    if request.condition != .always, try !isMet(request.condition, by: liveMatch(hash, key)) {
      if request.isDurable { try log.sync(upTo: log.tail) }
      return false
    }
    return try taking(for: .adding) { writer throws(StoreError) in
      try writer.add(key, hash, value, request)
      return true
    }
  }

  private mutating func add(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest
  ) throws(StoreError) {
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

  /// Runs `body`, whose space is taken for that purpose.
  @inline(__always)
  mutating func taking<R>(
    for purpose: SpaceReserve.Purpose, _ body: (inout Writer) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let before = space.reserve.exchangePurpose(purpose)
    defer { _ = space.reserve.exchangePurpose(before) }
    return try body(&self)
  }

  /// Sees to it that the reserve is there that the present purpose has to leave.
  mutating func ensureReserve() throws(StoreError) {
    try space.reserve.ensure(above: space.highWater, memory, backing)
  }

  /// False if there was nothing to remove.
  mutating func remove(
    _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(StoreError) -> Bool {
    lacksLog = false
    try reserveAddressSpace(for: 0)
    if let group { return try removeInGroup(key, hash, group) }
    guard let found = try IndexReader(memory: memory).find(hash, key) else {
      if isDurable { try log.sync(upTo: log.tail) }
      return false
    }
    let wasLive = try !isExpired(found)
    try taking(for: .removing) { writer throws(StoreError) in
      try writer.appendRemoval(key, hash, isDurable: isDurable)
    }
    return wasLive
  }

  private mutating func appendRemoval(
    _ key: RawSpan, _ hash: KeyHash, isDurable: Bool
  ) throws(StoreError) {
    var tail = log.tail
    let mark = log.mark(tail)
    let prepared: Prepared
    do throws(StoreError) {
      prepared = try prepare(key, hash, needsSlot: false)
      do throws(StoreError) {
        try makeRoom(
          (RecordHeader.byteCount + key.byteCount + 7) & ~7, reserve: LogWriter.recoveryReserve, &tail)
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

  /// Removes a key without a record, for want of log. The checkpoint that has to follow,
  /// in the same turn, is what makes it happen: a crash before it undoes it, and the
  /// writer is half done until then.
  mutating func removeBeforeCheckpoint(
    _ key: RawSpan, _ hash: KeyHash
  ) throws(StoreError) -> Bool {
    guard let found = try IndexReader(memory: memory).find(hash, key) else { return false }
    let wasLive = try !isExpired(found)
    try taking(for: .removing) { writer throws(StoreError) in
      let prepared = try writer.prepare(key, hash, needsSlot: false)
      try writer.space.flushReleases()
      writer.isHalfDone = true
      try writer.unpublish(prepared)
    }
    return wasLive
  }

  /// Puts back what a commit that failed before it was appended has changed.
  private mutating func undo(_ fields: LogWriter.Fields, _ mark: LogWriter.Mark) throws(StoreError) {
    if let extent = fields.external { try space.releaseUnits(Position(offset: extent.offset).unit) }
    try log.rollBack(to: mark, space: &space)
  }

  /// What was appended is a commit from here on: whatever fails now, the next
  /// turn begins with recovery. Nothing is published over pages that were lost.
  mutating func enterLog(_ tail: LogWriter.Tail, isDurable: Bool) throws(StoreError) {
    isHalfDone = true
    if isDurable { try log.sync(upTo: tail) }
    if isLost { throw StoreError(.lost, "the mapping of the file was lost") }
  }

  mutating func complete(_ tail: LogWriter.Tail) {
    let before = shared[.tail].offset
    log.tail = tail
    shared[.published] = tail.position
    // Across segments this undercounts by what was written to those before; it
    // only decides when the next checkpoint is due.
    let segment = shared[.segment].number * UInt64(Layout.unitBytes)
    let isSame = before >= segment && before <= tail.position.offset
    let grown = tail.position.offset - (isSame ? before : segment)
    shared.raise(.logSinceCheckpoint, by: grown + extentBytes)
    written += Int(grown)
    extentBytes = 0
    isHalfDone = false
  }

  /// Bytes that commits have added to the log since the last call.
  mutating func takeWritten() -> Int {
    defer { written = 0 }
    return written
  }

  /// Whether the mapping was lost by now, for use after stores.
  private var isLost: Bool {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return unsafe memory.local.pointee.isLost
  }

  /// Merges the bucket that a key was removed from if it has become sparse.
  /// Looking how full a page is reads all of it: that is done for one key in
  /// sixteen, by bits of its hash that nothing else depends on.
  ///
  /// The removal is done, or sure to be: it does not fail because tidying up does.
  /// Whatever stops a merge stops it between two steps, each of which leaves the
  /// index whole and its pages entered, or listed to be.
  mutating func mergeAfterRemoval(_ hash: KeyHash) throws(StoreError) {
    guard (hash.bits >> 16) & 15 == 0 else { return }
    do {
      try space.taking(for: .adding) { space throws(StoreError) in
        try index.mergeBucket(hash, space: &space)
        try space.flushReleases()
      }
    } catch {
      guard error.code != .lost else { throw error }
    }
  }

  // MARK: Finding

  func isMet(_ condition: PutCondition, by match: IndexReader.Match?) -> Bool {
    switch condition {
    case .always: true
    case .absent: match == nil
    case .present: match != nil
    case .version(let version): match.map { $0.record(memory).version } == version
    }
  }

  func isExpired(_ match: IndexReader.Match) throws(StoreError) -> Bool {
    try match.record(memory).isExpired(clock)
  }

  func liveMatch(_ hash: KeyHash, _ key: RawSpan) throws(StoreError) -> IndexReader.Match? {
    guard let match = try IndexReader(memory: memory).find(hash, key) else { return nil }
    return try isExpired(match) ? nil : match
  }

  // MARK: Steps

  /// Where a key's slot is (or will be), all of it writable, and what is there now.
  struct Prepared {
    var slotOffset: Int
    var old: IndexReader.Match?
  }

  mutating func prepare(
    _ key: RawSpan, _ hash: KeyHash, needsSlot: Bool
  ) throws(StoreError) -> Prepared {
    let path = try index.writablePath(hash, space: &space)
    let bucket = path.bucket.page
    if memory.header(bucket).overflow.number != 0 {
      try index.makeOverflowWritable(bucket, space: &space)
    }
    if let old = try index.find(
      hash, key, in: bucket, pending: false, passingDamage: space.isRecovering)
    {
      try prepareRelease(old)
      return Prepared(slotOffset: old.slotOffset, old: old)
    }
    guard needsSlot else { return Prepared(slotOffset: 0, old: nil) }
    return Prepared(slotOffset: try index.emptySlot(hash, path, space: &space), old: nil)
  }

  /// Makes the table's entries for a record that will no longer be live writable.
  mutating func prepareRelease(_ match: IndexReader.Match) throws(StoreError) {
    _ = try space.writableEntry(match.position.unit)
    if let extent = try extentToRelease(match) {
      guard try space.row(extent.first, of: [.extent]) == extent.count else {
        throw .damaged(
          "space table", at: Int(extent.first.position.offset), "the large value there is not entered")
      }
      try space.makeWritable(extent)
    }
  }

  /// The run that ends with a record. Where recovery replaces one that is damaged,
  /// it is unknown, and stays entered.
  private func extentToRelease(
    _ match: IndexReader.Match
  ) throws(StoreError) -> (first: Unit, count: Int)? {
    guard match.header.flags.contains(.external) else { return nil }
    if space.isRecovering,
      !match.record(memory).isIntact
    {
      return nil
    }
    return try match.record(memory).extent()
  }

  mutating func makeRoom(
    _ stored: Int, reserve: Int = LogWriter.reserve, _ tail: inout LogWriter.Tail
  ) throws(StoreError) {
    try log.makeRoom(for: stored, reserve: reserve, tail: &tail, space: &space)
    _ = try space.writableEntry(tail.position.unit)
    try space.flushReleases()
  }

  /// Room for a record that the index never leads to: the space table counts no bytes of
  /// it, so that a store without anything to replay opens without taking a page.
  mutating func makeRoomForCut(_ tail: inout LogWriter.Tail) throws(StoreError) {
    try log.makeRoom(for: RecordHeader.byteCount + 16, reserve: 0, tail: &tail, space: &space)
    try space.flushReleases()
  }

  /// Writes a value too large for the log into a run of units of its own.
  mutating func writeExtent(
    _ value: RawSpan
  ) throws(StoreError) -> (offset: UInt64, length: Int, checksum: UInt64)? {
    if value.byteCount <= Layout.largestInlineValue { return nil }
    let count = (value.byteCount + Layout.unitBytes - 1) / Layout.unitBytes
    let unit = try space.allocate(count, as: .extent)
    let offset = Int(unit.position.offset)
    do {
      let pages = (value.byteCount + Layout.pageBytes - 1) / Layout.pageBytes
      try backing.allocate(offset: offset, count: pages * Layout.pageBytes, order: .random)
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

  /// Lets the index lead to a new record. Everything was prepared.
  mutating func publish(
    _ prepared: Prepared, _ hash: KeyHash, _ record: Record
  ) throws(StoreError) {
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

  /// Takes a key out of the index. Everything was prepared.
  mutating func unpublish(_ prepared: Prepared) throws(StoreError) {
    guard let old = prepared.old else { return }
    memory.bytes.storeRelease(Slot.empty.bits, prepared.slotOffset)
    shared.lower(.recordCount, by: 1)
    try retire(old)
  }

  /// Accounts for a record that the index no longer leads to.
  private mutating func retire(_ old: IndexReader.Match) throws(StoreError) {
    try space.removeRecord(
      old.position.unit, bytes: old.header.storedBytes, expires: old.header.flags.contains(.expires))
    shared.raise(.garbage, by: UInt64(old.header.storedBytes))
    shared.lower(.liveBytes, by: UInt64(old.header.liveBytes))
    if let extent = try extentToRelease(old) { try space.releaseUnits(extent.first) }
  }
}
