/// Goes through records that are known to be sound, from one position to another,
/// following LINKs.
struct LogWalk {
  let records: RecordReader
  private var position: Position
  private let end: Position

  init(memory: StoreMemory, from start: Position, upTo end: Position) {
    records = RecordReader(memory: memory)
    position = start
    self.end = end
  }

  mutating func next() throws(StoreError) -> (Position, RecordHead)? {
    if position == end { return nil }
    let head = try records.head(at: position)
    let found = position
    if head.kind == .link {
      position = Position(
        offset: LogWalk.linkTarget(records.memory.bytes, head, at: found)
          + UInt64(SegmentHeader.byteCount))
    } else {
      position.offset += UInt64(head.storedBytes)
    }
    return (found, head)
  }

  /// The offset of the segment a LINK leads to. Not checked.
  static func linkTarget(_ bytes: MappedBytes, _ head: RecordHead, at position: Position) -> UInt64 {
    bytes.load64(Int(position.offset) + head.valueOffset)
  }
}
