/// A record at its place in the mapped file.
///
/// Every length is checked against what is mapped before it is used. The contents are not
/// verified unless a member says so.
struct Record {
  let memory: StoreMemory
  let position: Position
  let header: RecordHeader

  private var bytes: MappedBytes { memory.bytes }
  /// Where the record begins in the file, in bytes.
  @inline(__always)
  var offset: Int { Int(position.offset) }

  @inline(__always)
  var kind: RecordKind? { header.kind }
  @inline(__always)
  var flags: RecordHeader.Flags { header.flags }
  @inline(__always)
  var isExternal: Bool { header.flags.contains(.external) }
  @inline(__always)
  var sequence: SequenceNumber { header.sequence }
  @inline(__always)
  var storedBytes: Int { header.storedBytes }
  @inline(__always)
  var liveBytes: Int { header.liveBytes }

  /// The record at `position`, with lengths that fit what is mapped. Throws `damaged` if they do
  /// not.
  @inline(__always)
  init(_ memory: StoreMemory, at position: Position) throws(Store.Error) {
    let mapped = memory.mappedBytes
    guard let offset = Int(exactly: position.offset), offset <= mapped - RecordHeader.byteCount else {
      try memory.outside(Int(clamping: position.offset))
    }
    header = RecordHeader(memory.bytes, at: offset)
    self.memory = memory
    self.position = position
    guard header.fits(in: mapped - offset) else {
      throw .damaged("record", at: offset, "its lengths make no sense")
    }
  }

  /// Whether this is the record of `key`. If its key is another one, its checksum must match,
  /// else this throws `damaged`: damage to a key must never make the key look absent.
  @inline(__always)
  func isOf(_ key: RawSpan) throws(Store.Error) -> Bool {
    if header.keyLength == key.byteCount, bytes.equals(key, at: keyRange.lowerBound) { return true }
    try verify()
    return false
  }

  /// The bytes at `offset` as a record. Nothing is checked; the caller knows that the header is
  /// mapped.
  @inline(__always)
  init(_ memory: StoreMemory, uncheckedAt offset: Int) {
    self.init(memory, Position(offset: UInt64(offset)), RecordHeader(memory.bytes, at: offset))
  }

  @inline(__always)
  init(_ memory: StoreMemory, _ position: Position, _ header: RecordHeader) {
    self.memory = memory
    self.position = position
    self.header = header
  }

  // MARK: Whether it is what was written

  /// Whether its checksum matches. The caller has checked that it fits.
  @inline(__always)
  var isIntact: Bool { header.isIntact(bytes, at: offset, seed: memory.seed) }

  /// Whether the bytes before `end` can be a record at all, as far as that shows without its checksum:
  /// kind, flags, lengths and the place of a large value are as a store writes them. Random bytes pass
  /// once in 2³⁰ times.
  func isPlausible(before end: Int) -> Bool {
    guard header.fits(in: end - offset), header.isOfItsKind else { return false }
    return !isExternal || hasPlausibleExtent
  }

  /// Whether the large value can lie where the record says, in a file of any length: this one may have
  /// been cut short.
  private var hasPlausibleExtent: Bool {
    let (start, length) = (externalStart, UInt64(header.valueLength))
    return start % UInt64(Layout.unitBytes) == 0 && start >= UInt64(Layout.firstFreeOffset)
      && start < Layout.largestFile && length > UInt64(Layout.largestInlineValue)
      && length <= Layout.largestFile - start
  }

  /// Throws if the record is not what was written.
  @inline(__always)
  func verify() throws(Store.Error) {
    guard isIntact else { throw .damaged("record", at: offset, "its checksum does not match") }
  }

  /// Throws `damaged` if the key of an intact record cannot be the one that `slot` stands for:
  /// then an older record lies there instead of the one that was written.
  @inline(never)
  func checkBelongs(to slot: Slot) throws(Store.Error) {
    guard keyHash.tag == slot.tag else {
      throw .damaged("record", at: offset, "it is not the one that was written there")
    }
  }

  // MARK: What it says

  @inline(__always)
  var keyRange: Range<Int> {
    let start = offset + header.keyOffset
    return start..<start + header.keyLength
  }

  /// The key. Valid for as long as the mapping is kept and the record is not reused.
  @inline(__always)
  var key: RawSpan {
    @_lifetime(immortal)
    get { bytes.span(keyRange.lowerBound, count: header.keyLength) }
  }

  var keyBytes: [UInt8] { bytes.array(keyRange.lowerBound, count: header.keyLength) }

  @inline(__always)
  var keyHash: KeyHash { KeyHash(key, seed: memory.seed) }

  /// When the record expires, in milliseconds since 1970; nil for never.
  @inline(__always)
  var expiry: UInt64? {
    guard header.flags.contains(.expires) else { return nil }
    return bytes.load64(offset + header.expiryOffset)
  }

  /// Whether the record has expired. If it seems to have, its checksum must match, else this
  /// throws `damaged`: damage must not make a key look absent.
  @inline(__always)
  func isExpired(_ clock: Clock) throws(Store.Error) -> Bool {
    guard let expiry, expiry <= clock.now() else { return false }
    try verify()
    return true
  }

  var version: UInt64 {
    guard header.flags.contains(.versioned) else { return header.sequence.number }
    return bytes.load64(offset + header.versionOffset)
  }

  /// The expiry as users are told of it.
  var storedExpiry: Store.Expiry { expiry.map { .at(millisecondsSince1970: $0) } ?? .never }

  /// Whether the key begins with `prefix`. The record lies in bounds.
  func hasKey(withPrefix prefix: [UInt8]) -> Bool {
    if header.keyLength < prefix.count { return false }
    return unsafe memory.bytes.equals(prefix.span.bytes, at: keyRange.lowerBound)
  }

  /// The offset of the segment that a LINK points to.
  var linkTarget: UInt64 { bytes.load64(offset + header.valueOffset) }

  // MARK: Its value

  /// The range of the value's bytes in the file. The extent of a large value is checked against
  /// what is mapped; its checksum is checked by `verifyExternal`.
  @inline(__always)
  func valueRange() throws(Store.Error) -> Range<Int> {
    if isExternal {
      let start = externalStart
      let mapped = memory.mappedBytes
      guard let first = Int(exactly: start), first % Layout.unitBytes == 0,
        first >= Int(Layout.firstFreeUnit) * Layout.unitBytes, first <= mapped,
        header.valueLength <= mapped - first
      else { try memory.outside(Int(clamping: start)) }
      return first..<first + header.valueLength
    }
    let start = offset + header.valueOffset
    return start..<start + header.valueLength
  }

  /// The offset at which a large value begins, as the record says; not checked.
  var externalStart: UInt64 { bytes.load64(offset + header.externalOffset) }

  /// The checksum of a large value when it was written.
  var externalChecksum: UInt64 { bytes.load64(offset + header.externalOffset + 8) }

  /// Throws if a large value, which lies in `range`, is not what was written.
  func verifyExternal(_ range: Range<Int>) throws(Store.Error) {
    let found = Checksum.compute(
      bytes, range.lowerBound, count: range.count, seed: memory.seed, place: UInt64(range.lowerBound))
    guard externalChecksum == found else {
      throw .damaged("large value", at: range.lowerBound, "its checksum does not match")
    }
  }

  /// Verifies the record with its value, and returns the range of the value's bytes.
  @inline(__always)
  func value() throws(Store.Error) -> Range<Int> {
    try verify()
    let range = try valueRange()
    if isExternal { try verifyExternal(range) }
    return range
  }

  /// The units of a large value's extent: the first, and how many.
  func extent() throws(Store.Error) -> (first: Unit, count: Int) {
    let range = try valueRange()
    return (
      Position(offset: UInt64(range.lowerBound)).unit,
      (range.count + Layout.unitBytes - 1) / Layout.unitBytes
    )
  }
}
