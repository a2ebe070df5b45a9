/// Goes through records that are known to be intact, from one position to another, and follows
/// LINKs.
struct LogWalk {
  private let memory: StoreMemory
  private var position: Position
  private let end: Position

  init(memory: StoreMemory, from start: Position, upTo end: Position) {
    self.memory = memory
    position = start
    self.end = end
  }

  /// The next record, LINKs included; nil at the end.
  mutating func next() throws(Store.Error) -> Record? {
    if position == end { return nil }
    let record = try Record(memory, at: position)
    if record.kind == .link {
      position = Position(offset: record.linkTarget + UInt64(SegmentHeader.byteCount))
    } else {
      position.offset += UInt64(record.storedBytes)
    }
    return record
  }
}
