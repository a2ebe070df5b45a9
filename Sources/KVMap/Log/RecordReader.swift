/// Reads records of the mapped log. Every length is checked against what is
/// mapped before it is used.
struct RecordReader {
  let memory: StoreMemory

  private var bytes: MappedBytes { memory.bytes }

  /// The head of the record at `position`, with lengths that fit what is mapped.
  @inline(__always)
  func head(at position: Position) throws(StoreError) -> RecordHead {
    let mapped = memory.mappedBytes
    guard let offset = Int(exactly: position.offset), offset <= mapped - RecordHead.byteCount else {
      try memory.outside(Int(clamping: position.offset))
    }
    let head = RecordHead(bytes, at: offset)
    guard head.fits(in: mapped - offset) else {
      throw .damaged("record", at: offset, "its lengths make no sense")
    }
    return head
  }

  /// The head, if the record at `position` is that of `key`, else nil. A record
  /// that is of another key must prove it by its checksum: damage to a key must
  /// never make it look absent.
  @inline(__always)
  func head(at position: Position, ifKeyIs key: RawSpan) throws(StoreError) -> RecordHead? {
    let head = try head(at: position)
    let offset = Int(position.offset)
    if head.keyLength == key.byteCount, bytes.equals(key, at: offset + head.keyOffset) { return head }
    try verify(head, at: position)
    return nil
  }

  /// Throws if an intact record is of a key that its slot cannot point to: then it is not
  /// the one that was written there, but one that lay there before.
  @inline(never)
  func checkBelongs(to slot: Slot) throws(StoreError) {
    let head = try head(at: slot.position)
    guard keyHash(head, at: slot.position).tag == slot.tag else {
      throw .damaged("record", at: Int(slot.position.offset), "it is not the one that was written there")
    }
  }

  /// Throws if the record is not what was written.
  @inline(__always)
  func verify(_ head: RecordHead, at position: Position) throws(StoreError) {
    let offset = Int(position.offset)
    guard head.isIntact(bytes, at: offset, seed: memory.seed) else {
      throw .damaged("record", at: offset, "its checksum does not match")
    }
  }

  /// The hash of the record's key. Not verified.
  func keyHash(_ head: RecordHead, at position: Position) -> KeyHash {
    KeyHash(
      bytes.span(Int(position.offset) + head.keyOffset, count: head.keyLength), seed: memory.seed)
  }

  /// When the record ceases to count, in milliseconds since 1970; nil for never.
  @inline(__always)
  func expiry(_ head: RecordHead, at position: Position) -> UInt64? {
    guard head.flags.contains(.expires) else { return nil }
    return bytes.load64(Int(position.offset) + head.expiryOffset)
  }

  /// Whether the record has ceased to count. Believed only of a record that is
  /// intact: damage must not make a key look absent.
  @inline(__always)
  func isExpired(_ head: RecordHead, at position: Position, _ clock: Clock) throws(StoreError) -> Bool {
    guard let expiry = expiry(head, at: position), expiry <= clock.now() else { return false }
    try verify(head, at: position)
    return true
  }

  func version(_ head: RecordHead, at position: Position) -> UInt64 {
    guard head.flags.contains(.versioned) else { return head.sequence.number }
    return bytes.load64(Int(position.offset) + head.versionOffset)
  }

  /// Where the value's bytes lie. For a large value the run is checked against
  /// what is mapped; its checksum is checked by `verifyExternal`.
  @inline(__always)
  func valueRange(_ head: RecordHead, at position: Position) throws(StoreError) -> Range<Int> {
    let offset = Int(position.offset)
    if head.flags.contains(.external) {
      let start = bytes.load64(offset + head.externalOffset)
      let mapped = memory.mappedBytes
      guard let first = Int(exactly: start), first % Layout.unitBytes == 0,
        first >= Int(Layout.firstFreeUnit) * Layout.unitBytes, first <= mapped,
        head.valueLength <= mapped - first
      else { try memory.outside(Int(clamping: start)) }
      return first..<first + head.valueLength
    }
    let start = offset + head.valueOffset
    return start..<start + head.valueLength
  }

  /// Throws if a large value is not what was written.
  func verifyExternal(
    _ head: RecordHead, at position: Position, range: Range<Int>
  ) throws(StoreError) {
    let expected = bytes.load64(Int(position.offset) + head.externalOffset + 8)
    let found = Checksum.compute(
      bytes, range.lowerBound, count: range.count, seed: memory.seed, place: UInt64(range.lowerBound))
    guard expected == found else {
      throw .damaged("large value", at: range.lowerBound, "its checksum does not match")
    }
  }
}
