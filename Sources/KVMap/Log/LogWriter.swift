/// Appends records to the log, for whoever holds the turn.
///
/// What is appended counts once a record with END follows the last commit without
/// a gap, so an append is undone by leaving the tail where it was: `Tail` is a
/// plain value that is stored in the live page when a commit is complete.
struct LogWriter {
  let working: WorkingMemory
  let backing: any Backing

  var memory: StoreMemory { working.memory }
  private var bytes: MappedBytes { memory.bytes }
  private var shared: SharedState { memory.shared }

  /// What other handles had stored when this one wrote for the first time, if they were there
  /// before it; nil if none were, or all of it is known to be durable.
  ///
  /// The system tells of an error in writing a file to whoever had it open then, once: if
  /// somebody else has been told, it takes the pages for clean, and a sync of this handle
  /// succeeds without them. So this handle does not vouch for them before it has stored
  /// them again.
  struct Inheritance {
    /// The record that follows them.
    var sequence: SequenceNumber
    /// The working epoch: pages of the index up to this one are among them.
    var epoch: Epoch
  }
  var inheritance: Inheritance?

  /// Where the log ends and what the next record continues.
  struct Tail {
    var position: Position
    var sequence: SequenceNumber
    var chain: UInt64
  }

  /// What a record says besides its kind.
  struct Fields {
    var expiry: UInt64?
    var version: UInt64?
    /// Where a large value lies, and its checksum.
    var external: (offset: UInt64, length: Int, checksum: UInt64)?
    var isEnd = true

    /// Writes those that are there after the header of the record at `offset`.
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
    }
  }

  /// How much disk space is made real at a time.
  private static let readyChunk = 65_536

  private var segmentEnd: UInt64 {
    shared[.segment].number * UInt64(Layout.unitBytes) + UInt64(Layout.segmentBytes)
  }

  // MARK: Room

  /// Sees to it that a record of `stored` bytes can be written at the tail: goes
  /// on to the next segment if this one is too full, and makes disk space real.
  /// If it throws, the caller rolls the log back to a mark from before.
  ///
  /// `reserve` bytes more are made real, in the next segment where this one ends,
  /// so that changes that ask for no reserve still find room on a full disk.
  func makeRoom(
    for stored: Int, reserve: Int, tail: inout Tail, space: inout SpaceTable
  ) throws(StoreError) {
    // The end of each segment is left to the CUTs of recoveries, since on a full disk
    // there may be no segment to go on to.
    let kept = reserve > 0 ? Self.recoveryReserve : 0
    if tail.position.offset + UInt64(stored + RecordHeader.linkBytes + kept) > segmentEnd {
      try nextSegment(tail: &tail, space: &space)
    }
    let end = tail.position.offset + UInt64(stored + RecordHeader.linkBytes)
    try makeReady(upTo: min(end + UInt64(reserve), segmentEnd))
    if reserve > 0, end + UInt64(reserve) > segmentEnd { try makeNextReady() }
  }

  /// Log that puts leave to removals.
  static let reserve = 32_768
  /// Log that removals leave to recoveries, each of which appends a CUT.
  static let recoveryReserve = 4_096

  /// Up to where the next segment surely has disk space.
  var nextReadyEnd: UInt64 {
    let next = shared[.nextSegment].number
    let start = Unit(number: next).position.offset
    return shared[.nextReady].number == next ? start + UInt64(Self.readyChunk) : start
  }

  /// Relies on no more disk space in the open segment, and in the next, than a put has to leave.
  func forgetRoom() {
    let needed = shared[.tail].offset + UInt64(RecordHeader.linkBytes + Self.reserve)
    if needed < segmentEnd { shared[.nextReady] = Unit(number: 0) }
    shared[.ready] = Position(offset: min(shared[.ready].offset, Layout.endOfPage(needed)))
  }

  private func makeNextReady() throws(StoreError) {
    let next = shared[.nextSegment].number
    if shared[.nextReady].number == next { return }
    let start = Int(Unit(number: next).position.offset)
    try backing.allocate(offset: start, count: Self.readyChunk, order: .sequential)
    shared[.nextReady] = Unit(number: next)
  }

  private func makeReady(upTo end: UInt64) throws(StoreError) {
    let ready = shared[.ready].offset
    if end <= ready { return }
    let chunk = UInt64(Self.readyChunk)
    let target = min((end + chunk - 1) / chunk * chunk, segmentEnd)
    try backing.allocate(offset: Int(ready), count: Int(target - ready), order: .sequential)
    shared[.ready] = Position(offset: target)
  }

  /// Goes on to the next segment although there is room in this one, so that this
  /// one can be emptied. The LINK is a commit of its own; if it throws, the caller
  /// rolls the log back.
  func leaveSegment(tail: inout Tail, space: inout SpaceTable) throws(StoreError) {
    try makeReady(upTo: min(tail.position.offset + UInt64(RecordHeader.linkBytes), segmentEnd))
    try nextSegment(isEnd: true, tail: &tail, space: &space)
  }

  /// Writes LINK and opens the segment that was chosen when this one opened.
  private func nextSegment(
    isEnd: Bool = false, tail: inout Tail, space: inout SpaceTable
  ) throws(StoreError) {
    let next = shared[.nextSegment]
    let ordinal = shared[.segmentOrdinal] + 1
    // All that can fail comes first: the segment after the next, and disk space.
    let purpose = space.reserve.purpose
    // A segment for removals alone is not what the reserve is for.
    let following = try space.taking(for: purpose == .removing ? .adding : purpose) {
      space throws(StoreError) in
      let following = try space.allocate(Int(Layout.segmentUnits), as: .segment)
      do throws(StoreError) {
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
    shared[.ready] = Position(offset: start + UInt64(Self.readyChunk))
  }

  // MARK: Records

  /// The header a record with these fields gets, to learn its size.
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

  /// Appends a record of key and value; room for it was made.
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

  /// Appends a record that ends what a crash left behind: sequence numbers jump
  /// and the chain changes, so that no record of before can follow it.
  func appendCut(random: (UInt64, UInt64), _ tail: inout Tail) {
    tail.sequence.number += Layout.sequenceJump
    let header = begin(.cut, Fields(), keyLength: 0, valueLength: 16, tail)
    let offset = Int(tail.position.offset) + header.valueOffset
    bytes.store64(random.0, offset)
    bytes.store64(random.1, offset + 8)
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
    header.encodeOrder(bytes, at: offset)
    fields.encode(header, bytes, at: offset)
    return header
  }

  /// Pads, checksums and chains the record at the tail, and moves the tail on.
  @inline(__always)
  private func finish(_ header: RecordHeader, _ tail: inout Tail) {
    let offset = Int(tail.position.offset)
    let end = offset + header.contentBytes
    if header.storedBytes != header.contentBytes {
      bytes.zero(end, count: header.storedBytes - header.contentBytes)
    }
    let checksum = header.computeChecksum(bytes, at: offset, seed: memory.seed)
    tail.chain = Checksum.chain(tail.chain, checksum)
    bytes.store64(UInt64(checksum) | UInt64(UInt32(truncatingIfNeeded: tail.chain)) << 32, offset)
    tail.position.offset += UInt64(header.storedBytes)
    tail.sequence = tail.sequence.next
  }

  /// Marks the record at `position` as the last of its commit; returns the chain
  /// behind it.
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

  /// Everything an append changes, to be put back if the commit fails.
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

  /// Takes the log back to `mark`. Segments opened since are given back, except
  /// the first, which stays chosen as the next one.
  func rollBack(to mark: Mark, space: inout SpaceTable) throws(StoreError) {
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

  /// Makes everything up to `tail` durable, from where the last sync ended: never
  /// only one's own bytes, as a commit counts only with all before it.
  func sync(upTo tail: Tail) throws(StoreError) {
    // One may have ended within this turn, and the log may have come back to a segment
    // that it freed: from what was durable before, there is no way on to the tail.
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

  /// Stores what was inherited of the log again, so that the sync that follows writes it, if
  /// all of it is still what it was.
  private func storeAgain(upTo inheritance: Inheritance) throws(StoreError) {
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

  /// Stores a record again, with its large value, and the header of the segment that it points
  /// to: a write that failed leaves pages marked clean, and no sync would write them.
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

  private func syncSegments(upTo tail: Tail) throws(StoreError) {
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
      throw .damaged("log segment", at: Int(from), "the log comes back to where it has been")
    }
    try backing.sync(offset: Int(from), count: Int(tail.position.offset - from))
  }

  /// Takes note of what a checkpoint has made durable. At the beginning of each turn: so
  /// at most one, the last that was begun, is not taken note of.
  @inline(__always)
  func adoptCheckpoint() {
    if shared[.checkpointSequence] > shared[.durableSequence] { adopt() }
  }

  @inline(never)
  private func adopt() {
    let sequence = shared[.checkpointSequence].number
    let position = shared[.checkpointPosition].offset
    let segment = shared[.checkpointSegment].number
    // The next checkpoint may just be storing its own, later ones.
    let start = segment * UInt64(Layout.unitBytes)
    guard position >= start, position <= start + UInt64(Layout.segmentBytes) else { return }
    noteDurable(Position(offset: position), in: segment, SequenceNumber(number: sequence))
  }

  private func noteDurable(_ position: Position, in segment: UInt64, _ sequence: SequenceNumber) {
    shared[.durable] = position
    shared[.durableSegment] = Unit(number: segment)
    shared[.durableSequence] = sequence
  }
}
