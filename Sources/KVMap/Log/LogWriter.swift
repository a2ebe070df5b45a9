/// Appends records to the log and makes it durable; used with the write lock.
///
/// Appended records count once a record with END follows the last commit without a gap. So an
/// append is undone by leaving the tail where it was: `Tail` is a plain value, which is stored in
/// the shared state when a commit is complete.
struct LogWriter {
  let working: WorkingMemory
  let backing: any Backing

  var memory: StoreMemory { working.memory }
  private var bytes: MappedBytes { memory.bytes }
  private var shared: SharedState { memory.shared }

  /// The log and index pages that other handles had stored before this handle first wrote. The
  /// system reports a write error only to files that were open then, so a sync of this handle
  /// proves nothing about them: this handle stores them again before it calls them durable.
  struct Inheritance {
    /// Sequence number of the record that follows them.
    var sequence: SequenceNumber
    /// The working epoch then: index pages of epochs up to this one are among them.
    var epoch: Epoch
  }
  /// nil if nothing was inherited, or a recovery has stored it again.
  var inheritance: Inheritance?

  init(working: WorkingMemory, backing: any Backing) {
    self.working = working
    self.backing = backing
  }

  /// The end of the log: where the next record goes, its sequence number, and the chain before
  /// it.
  struct Tail {
    var position: Position
    var sequence: SequenceNumber
    var chain: UInt64
  }

  /// The optional fields of a record, and whether it ends a commit.
  struct Fields {
    var expiry: UInt64?
    var version: UInt64?
    /// The offset of a large value, its length in bytes, and its checksum.
    var external: (offset: UInt64, length: Int, checksum: UInt64)?
    var isEnd = true

    /// Writes the fields that are set into the record at `offset`, after its header.
    @inline(__always)
    func encode(_ header: RecordHeader, _ bytes: MappedBytes, at offset: Int) {
      if let expiry { bytes.store64(expiry, offset + header.expiryOffset) }
      if let version { bytes.store64(version, offset + header.versionOffset) }
      if let external {
        bytes.store64(external.offset, offset + header.externalOffset)
        bytes.store64(external.checksum, offset + header.externalOffset + 8)
      }
    }
  }

  /// The tail in the shared state.
  var tail: Tail {
    get {
      Tail(
        position: shared[.tail],
        sequence: shared[.sequence], chain: shared[.chain])
    }
    nonmutating set {
      shared[.tail] = newValue.position
      shared[.sequence] = newValue.sequence
      shared[.chain] = newValue.chain
      if shared[.pendingCut].number != 0 { shared[.pendingCut] = SequenceNumber(number: 0) }
    }
  }

  /// How many bytes of disk space are allocated at a time. A larger piece may have disk space in
  /// part, which some file systems give away before they find that the rest has none.
  private static let readyChunk: UInt64 = 65_536

  private var segmentEnd: UInt64 {
    shared[.segment].number * UInt64(Layout.unitBytes) + UInt64(Layout.segmentBytes)
  }

  // MARK: Room

  /// Ensures that a record of `stored` bytes can be written at the tail: moves on to the next
  /// segment if this one is too full, and allocates disk space. If it throws, the caller rolls
  /// the log back to an earlier mark.
  ///
  /// `reserve` more bytes are allocated, in the next segment if this one ends before, so that
  /// changes that ask for no reserve still find room on a full disk.
  func makeRoom(
    for stored: Int, headroom: Int, tail: inout Tail, space: inout SpaceTable
  ) throws(Store.Error) {
    if shared[.pendingCut].number != 0 { try beginWithCut(&tail, space: &space) }
    try makeRoomAtTail(for: stored, headroom: headroom, tail: &tail, space: &space)
  }

  /// Appends the CUT that recovery has left to the first commit, if this is its first record, LINK
  /// apart. The CUT belongs to that commit.
  @inline(never)
  private func beginWithCut(_ tail: inout Tail, space: inout SpaceTable) throws(Store.Error) {
    guard tail.sequence == shared[.sequence] else { return }
    try makeRoomForCut(&tail, space: &space)
    // LINK takes a number as well.
    appendCut(max(shared[.pendingCut], tail.sequence.next), isEnd: false, &tail)
  }

  /// Ensures that a CUT can be written at the tail.
  func makeRoomForCut(_ tail: inout Tail, space: inout SpaceTable) throws(Store.Error) {
    try makeRoomAtTail(for: RecordHeader.byteCount + 16, headroom: 0, tail: &tail, space: &space)
  }

  @inline(__always)
  private func makeRoomAtTail(
    for stored: Int, headroom: Int, tail: inout Tail, space: inout SpaceTable
  ) throws(Store.Error) {
    // The end of each segment is kept for the CUTs of recoveries: on a full disk there may be no
    // segment to move on to.
    let kept = headroom > 0 ? Self.recoveryHeadroom : 0
    if tail.position.offset + UInt64(stored + RecordHeader.linkBytes + kept) > segmentEnd {
      try nextSegment(tail: &tail, space: &space)
    }
    let end = tail.position.offset + UInt64(stored + RecordHeader.linkBytes)
    try makeReady(upTo: min(end + UInt64(headroom), segmentEnd))
    if headroom > 0, end + UInt64(headroom) > segmentEnd { try makeNextReady() }
  }

  /// Bytes of log that puts leave to removals.
  static let headroom = 32_768
  /// Bytes of log that removals leave to recoveries, each of which appends a CUT.
  static let recoveryHeadroom = 4_096

  /// The offset up to which the next segment certainly has disk space.
  var nextReadyEnd: UInt64 {
    let next = shared[.nextSegment].number
    let start = Unit(number: next).position.offset
    return shared[.nextReady].number == next ? start + Self.readyChunk : start
  }

  /// From now on, relies on no more disk space in the open segment and in the next one than a put
  /// has to leave. The rest may then be punched.
  func forgetRoom() {
    let needed = shared[.tail].offset + UInt64(RecordHeader.linkBytes + Self.headroom)
    if needed < segmentEnd { shared[.nextReady] = Unit(number: 0) }
    shared[.ready] = Position(offset: min(shared[.ready].offset, Layout.endOfPage(needed)))
  }

  private func makeNextReady() throws(Store.Error) {
    let next = shared[.nextSegment].number
    if shared[.nextReady].number == next { return }
    let start = Int(Unit(number: next).position.offset)
    try backing.allocate(offset: start, count: Int(Self.readyChunk))
    shared[.nextReady] = Unit(number: next)
  }

  @inline(__always)
  private func makeReady(upTo end: UInt64) throws(Store.Error) {
    if end > shared[.ready].offset { try allocateReady(upTo: end) }
  }

  @inline(never)
  private func allocateReady(upTo end: UInt64) throws(Store.Error) {
    let ready = shared[.ready].offset
    let chunks = (end + Self.readyChunk - 1) / Self.readyChunk
    let target = min(chunks * Self.readyChunk, segmentEnd)
    try backing.allocate(offset: Int(ready), count: Int(target - ready))
    shared[.ready] = Position(offset: target)
  }

  /// Moves on to the next segment although this one has room, so that this one can be emptied.
  /// The LINK is a commit of its own. If this throws, the caller rolls the log back.
  func leaveSegment(tail: inout Tail, space: inout SpaceTable) throws(Store.Error) {
    try makeRoom(for: 0, headroom: 0, tail: &tail, space: &space)
    try nextSegment(isEnd: true, tail: &tail, space: &space)
  }

  /// Writes LINK and opens the segment that was chosen when this one opened.
  private func nextSegment(
    isEnd: Bool = false, tail: inout Tail, space: inout SpaceTable
  ) throws(Store.Error) {
    let next = shared[.nextSegment]
    let ordinal = shared[.segmentOrdinal] + 1
    // What can fail comes first: allocating the segment after the next, and disk space.
    let purpose = space.reserve.purpose
    // The reserve is not meant for a segment that only a removal needs.
    let following = try space.taking(for: purpose == .removing ? .adding : purpose) {
      space throws(Store.Error) in
      let following = try space.allocate(Int(Layout.segmentUnits), as: .segment)
      do throws(Store.Error) {
        try makeNextReady()
      } catch {
        try space.releaseUnits(following)
        throw error
      }
      return following
    }
    let start = next.position.offset
    let link = begin(.link, Fields(isEnd: isEnd), keyLength: 0, valueLength: 8, tail)
    bytes.store64(start, Int(tail.position.offset) + link.valueOffset)
    finish(link, &tail)
    SegmentHeader(ordinal: ordinal, next: following, sequence: tail.sequence).encode(
      bytes, at: Int(start), seed: memory.seed)
    tail.position = Position(offset: start + UInt64(SegmentHeader.byteCount))
    shared[.nextSegment] = following
    shared[.segmentOrdinal] = ordinal
    shared[.segment] = next
    shared[.ready] = Position(offset: start + Self.readyChunk)
  }

  // MARK: Records

  /// The header of a record with these fields; checksum and chain are 0. It gives the size.
  static func header(
    _ kind: RecordKind, _ fields: Fields, sequence: SequenceNumber, keyLength: Int, valueLength: Int
  ) -> RecordHeader {
    var flags: RecordHeader.Flags = []
    if fields.isEnd { flags.insert(.end) }
    if fields.expiry != nil { flags.insert(.expires) }
    if fields.version != nil { flags.insert(.versioned) }
    if fields.external != nil { flags.insert(.external) }
    return RecordHeader(
      kind: kind, flags: flags, sequence: sequence, keyLength: keyLength, valueLength: valueLength)
  }

  /// Appends a record. Room for it was made, so this cannot fail.
  @inline(__always)
  func append(
    _ kind: RecordKind, _ fields: Fields, key: RawSpan, value: RawSpan, _ tail: inout Tail
  ) -> RecordHeader {
    let external = fields.external != nil
    let header = begin(
      kind, fields, keyLength: key.byteCount,
      valueLength: external ? externalLength(fields) : value.byteCount, tail)
    let offset = Int(tail.position.offset)
    bytes.copy(key, to: offset + header.keyOffset)
    if !external { bytes.copy(value, to: offset + header.valueOffset) }
    finish(header, &tail)
    return header
  }

  private func externalLength(_ fields: Fields) -> Int { fields.external.map(\.length) ?? 0 }

  /// Appends a CUT, which closes the log after a crash: sequence numbers jump and the chain
  /// changes, so that no older record can follow it.
  func appendCut(_ number: SequenceNumber, isEnd: Bool, _ tail: inout Tail) {
    var generator = SystemRandomNumberGenerator()
    tail.sequence = number
    let header = begin(.cut, Fields(isEnd: isEnd), keyLength: 0, valueLength: 16, tail)
    let offset = Int(tail.position.offset) + header.valueOffset
    bytes.store64(generator.next(), offset)
    bytes.store64(generator.next(), offset + 8)
    finish(header, &tail)
  }

  @inline(__always)
  private func begin(
    _ kind: RecordKind, _ fields: Fields, keyLength: Int, valueLength: Int, _ tail: Tail
  ) -> RecordHeader {
    var header = Self.header(
      kind, fields, sequence: tail.sequence, keyLength: keyLength, valueLength: valueLength)
    let offset = Int(tail.position.offset)
    if shared[.durableSequence] == tail.sequence { header.flags.insert(.synced) }
    header.zeroPadding(bytes, at: offset)
    header.encodeOrder(bytes, at: offset)
    fields.encode(header, bytes, at: offset)
    return header
  }

  /// Stores checksum and chain of the record at the tail, and moves the tail to its end.
  @inline(__always)
  private func finish(_ header: RecordHeader, _ tail: inout Tail) {
    let offset = Int(tail.position.offset)
    let checksum = header.computeChecksum(bytes, at: offset, seed: memory.seed)
    tail.chain = Checksum.chain(tail.chain, checksum)
    bytes.store64(UInt64(checksum) | UInt64(UInt32(truncatingIfNeeded: tail.chain)) << 32, offset)
    tail.position.offset += UInt64(header.storedBytes)
    tail.sequence = tail.sequence.next
  }

  /// Marks the record at `position` as the last of its commit; returns the chain after it.
  func rewriteWithEnd(at position: Position, chainBefore: UInt64) -> UInt64 {
    let offset = Int(position.offset)
    var header = RecordHeader(bytes, at: offset)
    header.flags.insert(.end)
    header.encodeOrder(bytes, at: offset)
    let checksum = header.computeChecksum(bytes, at: offset, seed: memory.seed)
    let chain = Checksum.chain(chainBefore, checksum)
    bytes.store64(UInt64(checksum) | UInt64(UInt32(truncatingIfNeeded: chain)) << 32, offset)
    return chain
  }

  func walk(from start: Position, upTo end: Position) -> LogWalk {
    LogWalk(memory: memory, from: start, upTo: end)
  }

  // MARK: Undoing

  /// Everything that an append changes, to be restored if the commit fails.
  struct Mark {
    fileprivate var tail: Tail
    fileprivate var segment: UInt64
    fileprivate var ordinal: UInt64
    fileprivate var next: UInt64
    fileprivate var ready: UInt64
  }

  func mark(_ tail: Tail) -> Mark {
    Mark(
      tail: tail, segment: shared[.segment].number, ordinal: shared[.segmentOrdinal],
      next: shared[.nextSegment].number, ready: shared[.ready].offset)
  }

  /// Restores the log to `mark`. Releases the segments that were allocated since. The first
  /// segment that was opened since becomes the next segment again.
  func rollBack(to mark: Mark, space: inout SpaceTable) throws(Store.Error) {
    var opened = Unit(number: mark.next)
    let current = shared[.segment].number
    shared[.segment] = Unit(number: mark.segment)
    shared[.segmentOrdinal] = mark.ordinal
    shared[.nextSegment] = Unit(number: mark.next)
    shared[.ready] = Position(offset: mark.ready)
    var ordinal = mark.ordinal
    while current != mark.segment {
      ordinal += 1
      let offset = Int(opened.position.offset)
      guard let header = SegmentHeader(bytes, at: offset, seed: memory.seed), header.ordinal == ordinal
      else { break }
      try space.releaseUnits(header.next)
      if opened.number == current { break }
      opened = header.next
    }
  }

  // MARK: Durability

  /// Blocks until everything up to `tail` is durable, from where the last sync ended. Earlier
  /// commits are always included, since a commit counts only with all before it. Throws
  /// `outcomeUnknown`, `lost` or `damaged`.
  func sync(upTo tail: Tail) throws(Store.Error) {
    // A checkpoint may have ended within this turn, and the log may have reused a segment that it
    // freed. Then no path of segments leads from the earlier durable position to the tail.
    adoptCheckpoint()
    if isDurable(upTo: tail) { return }
    if let inheritance, inheritance.sequence.number > shared[.durableSequence].number {
      try storeAgain(upTo: inheritance)
    }
    if shared[.extentEpoch] > shared[.durableEpoch] {
      try backing.sync(offset: 0, count: Int(shared[.highWater].number) * Layout.unitBytes)
      shared[.extentEpoch] = Epoch(number: 0)
    } else {
      try syncSegments(upTo: tail)
    }
    noteDurable(tail.position, in: shared[.segment].number, tail.sequence)
  }

  /// Stores the inherited part of the log again, so that the next sync writes it. Throws
  /// `damaged` if it is no longer complete.
  private func storeAgain(upTo inheritance: Inheritance) throws(Store.Error) {
    let block = try SuperblockPair(memory.fixed).current().block
    let start = Tail(position: block.logPosition, sequence: block.sequence, chain: block.chain)
    var scanner = LogScanner(memory: memory, tail: start, segment: block.segment)
    scanner.scan()
    let end = scanner.end.tail
    guard end.sequence >= inheritance.sequence else {
      throw .damaged(
        "log", at: Int(end.position.offset), "it ends before records that were published")
    }
    let durable = shared[.durableSequence]
    var walk = walk(from: start.position, upTo: end.position)
    while let record = try walk.next() {
      if record.sequence >= durable { storeAgain(record) }
    }
  }

  /// Stores a record again, with its large value, and for a LINK the header of the segment that
  /// it names. A write that failed leaves pages marked clean, and no sync would write them.
  func storeAgain(_ record: Record) {
    bytes.dirtyAgain(record.offset, count: record.storedBytes)
    if record.isExternal, let range = try? record.valueRange() {
      bytes.dirtyAgain(range.lowerBound, count: range.count)
      shared[.extentEpoch] = shared[.epoch]
    }
    if record.kind == .link {
      bytes.dirtyAgain(Int(record.linkTarget), count: SegmentHeader.byteCount)
    }
  }

  func isDurable(upTo tail: Tail) -> Bool { shared[.durableSequence] >= tail.sequence }

  private func syncSegments(upTo tail: Tail) throws(Store.Error) {
    let segment = shared[.segment].number
    var from = shared[.durable].offset
    var at = shared[.durableSegment].number
    while at != segment {
      let start = Unit(number: at).position.offset
      try backing.sync(offset: Int(from), count: Int(start + UInt64(Layout.segmentBytes) - from))
      guard let header = SegmentHeader(bytes, at: Int(start), seed: memory.seed) else {
        throw .damaged("log segment", at: Int(start), "its header is not what was written")
      }
      at = header.next.number
      from = header.next.position.offset
    }
    guard tail.position.offset >= from else {
      throw .damaged("log segment", at: Int(from), "the log ends before its durable part does")
    }
    try backing.sync(offset: Int(from), count: Int(tail.position.offset - from))
  }

  /// Advances the durable position to the last finished checkpoint. Called at the start of each
  /// write transaction, so it lags by at most one checkpoint.
  @inline(__always)
  func adoptCheckpoint() {
    if shared[.checkpointSequence] > shared[.durableSequence] { adopt() }
  }

  @inline(never)
  private func adopt() {
    let sequence = shared[.checkpointSequence].number
    let position = shared[.checkpointPosition].offset
    let segment = shared[.checkpointSegment].number
    // The next checkpoint may be storing its own, later words just now.
    let start = segment * UInt64(Layout.unitBytes)
    guard position >= start, position <= start + UInt64(Layout.segmentBytes) else { return }
    noteDurable(Position(offset: position), in: segment, SequenceNumber(number: sequence))
  }

  private func noteDurable(_ position: Position, in segment: UInt64, _ sequence: SequenceNumber) {
    shared[.durable] = position
    shared[.durableSegment] = Unit(number: segment)
    shared[.durableSequence] = sequence
    shared.signalCommit()
  }
}
