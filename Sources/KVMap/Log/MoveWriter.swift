/// Writes records that compaction moves; used with the write lock.
///
/// They go into segments of their own, which are not part of the log. A moved record is the same
/// record at another place, and until a checkpoint whose index points to the new place is
/// durable, the old one stays as it was. So a crash undoes moves and loses nothing. Records that
/// have survived once are also kept apart from new ones, most of which will not survive.
struct MoveWriter {
  let working: WorkingMemory
  let backing: any Backing

  var memory: StoreMemory { working.memory }
  private var bytes: MappedBytes { memory.bytes }
  private var shared: SharedState { memory.shared }

  /// How many bytes of disk space are allocated at a time.
  private static let readyChunk = 65_536

  private var segmentEnd: UInt64 {
    let segment = shared[.moveSegment].number
    return segment == 0 ? 0 : segment * UInt64(Layout.unitBytes) + UInt64(Layout.segmentBytes)
  }

  /// Ensures that a record of `stored` bytes can be written; returns the unit that it will start
  /// in.
  func makeRoom(for stored: Int, space: inout SpaceTable) throws(Store.Error) -> Unit {
    if shared[.moveTail].offset + UInt64(stored) > segmentEnd { try openSegment(&space) }
    let tail = shared[.moveTail].offset
    let end = tail + UInt64(stored)
    let ready = shared[.moveReady].offset
    if end > ready {
      let chunk = UInt64(Self.readyChunk)
      let target = min((end + chunk - 1) / chunk * chunk, segmentEnd)
      try backing.allocate(offset: Int(ready), count: Int(target - ready))
      shared[.moveReady] = Position(offset: target)
    }
    return Position(offset: tail).unit
  }

  /// From now on, relies on no more disk space in the open segment than is used. The rest may
  /// then be punched.
  func forgetRoom() {
    shared[.moveReady] = Position(
      offset: min(shared[.moveReady].offset, Layout.endOfPage(shared[.moveTail].offset)))
  }

  private func openSegment(_ space: inout SpaceTable) throws(Store.Error) {
    let segment = try space.allocate(Int(Layout.segmentUnits), as: .segment)
    let start = Int(segment.position.offset)
    do {
      try backing.allocate(offset: start, count: Self.readyChunk)
    } catch {
      try space.releaseUnits(segment)
      throw error
    }
    SegmentHeader(ordinal: 0, next: Unit(number: 0), sequence: SequenceNumber(number: 0)).encode(
      bytes, at: start, seed: memory.seed)
    shared[.moveSegment] = segment
    shared[.moveTail] = Position(offset: UInt64(start + SegmentHeader.byteCount))
    shared[.moveReady] = Position(offset: UInt64(start + Self.readyChunk))
  }

  /// Writes a record of another store as if it had been moved here, and returns its position.
  /// Room for it was made.
  func append(_ header: RecordHeader, _ fields: LogWriter.Fields, key: RawSpan, value: RawSpan) -> Position {
    let target = shared[.moveTail]
    let offset = Int(target.offset)
    header.zeroPadding(bytes, at: offset)
    header.encodeOrder(bytes, at: offset)
    fields.encode(header, bytes, at: offset)
    bytes.copy(key, to: offset + header.keyOffset)
    if fields.external == nil { bytes.copy(value, to: offset + header.valueOffset) }
    bytes.store64(UInt64(header.computeChecksum(bytes, at: offset, seed: memory.seed)), offset)
    shared[.moveTail] = Position(offset: target.offset + UInt64(header.storedBytes))
    return target
  }

  /// Copies an intact record to the tail, and returns its position. Room for it was made. The
  /// record keeps its sequence number, and with it its version.
  ///
  /// - Parameter extent: the offset that its large value has been copied to; nil if it was not
  ///   copied.
  func copy(_ record: Record, extent: Int? = nil) -> Position {
    let target = shared[.moveTail]
    let offset = Int(target.offset)
    bytes.copy(from: record.offset, to: offset, count: record.storedBytes)
    var moved = record.header
    moved.kindBits = RecordKind.move.rawValue
    moved.flags.remove([.end, .synced])
    moved.encodeOrder(bytes, at: offset)
    if let extent {
      let checksum = Checksum.compute(
        bytes, extent, count: moved.valueLength, seed: memory.seed, place: UInt64(extent))
      bytes.store64(UInt64(extent), offset + moved.externalOffset)
      bytes.store64(checksum, offset + moved.externalOffset + 8)
    }
    bytes.store64(UInt64(moved.computeChecksum(bytes, at: offset, seed: memory.seed)), offset)
    shared[.moveTail] = Position(offset: target.offset + UInt64(record.storedBytes))
    return target
  }
}
