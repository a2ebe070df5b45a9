/// The state of the store at its last checkpoint. The file has two copies.
///
/// A checkpoint writes both, one after the other with a sync in between, so at any moment one of
/// them is whole.
struct Superblock: Equatable, Sendable {
  /// Begins with a byte that no text has, and contains line ends, which a transfer as text would
  /// change.
  static let magic: UInt64 = 0x0a1a_0a0d_4d56_4b89  // 0x89 "KVM" CR LF 0x1a LF

  /// Whether the file says that it is of an earlier version than the one that is written.
  private(set) var isOfOlderVersion = false
  /// Features a reader may ignore.
  var compatibleFeatures: UInt32 = 0
  /// Features a reader may ignore and a writer may not.
  var readOnlyCompatibleFeatures: UInt32 = 0
  /// Features that no program may ignore.
  var incompatibleFeatures: UInt32 = 0
  var identifier: (UInt64, UInt64)
  var seed: StoreSeed

  var epoch = Epoch(number: 0)
  /// Root of the directory; its depth field holds the height.
  var root = PagePointer(bits: 0)
  var recordCount: UInt64 = 0
  /// Bytes of the live records as stored, large values included.
  var liveBytes: UInt64 = 0
  /// Root of the space table; its depth field holds the height.
  var spaceRoot = PagePointer(bits: 0)
  /// The high-water mark: all units in use lie below it.
  var highWater = Unit(number: 0)
  /// Where the log continues after this checkpoint, the sequence number of the record there, and
  /// the chain before it.
  var logPosition = Position(offset: 0)
  var sequence = SequenceNumber(number: 0)
  var chain: UInt64 = 0
  /// The segment `logPosition` lies in.
  var segment = Unit(number: 0)
  var indexPages: UInt64 = 0
  /// No live record expires before this time, in milliseconds since 1970; the largest number if
  /// none expires, 0 if that is unknown.
  var earliestExpiry: UInt64 = 0
  /// In a copy that a backup has made: what it is a copy of.
  var copy: Copy?

  /// A store after the change with this number.
  struct State: Equatable, Sendable {
    var identifier: (UInt64, UInt64)
    var sequence: SequenceNumber

    static func == (left: Self, right: Self) -> Bool {
      left.identifier == right.identifier && left.sequence == right.sequence
    }
  }

  /// What a store is a copy of.
  struct Copy: Equatable, Sendable {
    var original: State
    /// The number of the next record of the copy when it was made: it is a copy for as long as none follows.
    var next: SequenceNumber
  }

  /// What the store holds, if `next` is the number of its next record: the state of the store that it is a
  /// copy of, or else its own.
  func state(before next: SequenceNumber) -> State {
    if let copy, copy.next == next { return copy.original }
    return State(identifier: identifier, sequence: SequenceNumber(number: max(1, next.number) - 1))
  }

  static let version = 8  // u32
  static let pageBytes = version + 4  // u32
  static let compatible = pageBytes + 4  // u32
  static let readOnlyCompatible = compatible + 4  // u32
  static let incompatible = readOnlyCompatible + 4  // u32
  static let identifier = 32  // 16 bytes
  static let seed = identifier + 16  // 16 bytes
  static let epoch = seed + 16  // u64
  static let root = epoch + 8  // u64
  static let recordCount = root + 8  // u64
  static let liveBytes = recordCount + 8  // u64
  static let spaceRoot = liveBytes + 8  // u64
  static let highWater = spaceRoot + 8  // u64
  static let logPosition = highWater + 8  // u64
  static let sequence = logPosition + 8  // u64
  static let chain = sequence + 8  // u64
  static let segment = chain + 8  // u64
  static let indexPages = segment + 8  // u64
  static let earliestExpiry = indexPages + 8  // u64
  static let originalIdentifier = earliestExpiry + 8  // 16 bytes
  static let originalSequence = originalIdentifier + 16  // u64
  static let nextOfCopy = originalSequence + 8  // u64
  static let checksum = 248  // u64, over all before it
  static let byteCount = 256

  /// Why a copy cannot be used.
  enum Problem: Error, Equatable {
    /// Not a superblock: the magic is wrong.
    case foreign
    /// Its format version is newer than this program.
    case newer(UInt32)
    /// The checksum does not match, but the version is newer: a newer format may compute the
    /// checksum in another way.
    case perhapsNewer(UInt32)
    /// The magic is right, but the checksum or the contents are wrong.
    case damaged
    /// It uses features that this program does not know.
    case features(UInt32)
  }

  init(identifier: (UInt64, UInt64), seed: StoreSeed) {
    self.identifier = identifier
    self.seed = seed
  }

  /// Computed with a seed of zeros: superblocks are checked before the seed is known.
  private static func checksum(_ bytes: MappedBytes, _ offset: Int) -> UInt64 {
    Checksum.compute(bytes, offset, count: checksum, seed: StoreSeed(low: 0, high: 0), place: 0)
  }

  /// Reads the copy at `offset`. A checkpoint of another process may be writing it, so the bytes
  /// are copied first, and that copy is both checked and decoded.
  static func decode(_ bytes: MappedBytes, at offset: Int) -> Result<Superblock, Problem> {
    var copy = bytes.array(offset, count: byteCount)
    return unsafe copy.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return .failure(.damaged) }
      return unsafe decode(MappedBytes(base: base, count: byteCount))
    }
  }

  private static func decode(_ bytes: MappedBytes) -> Result<Superblock, Problem> {
    guard bytes.load64(0) == magic else { return .failure(.foreign) }
    guard bytes.load64(checksum) == checksum(bytes, 0) else {
      // A newer format may compute its checksum in another way.
      let version = bytes.load32(Self.version)
      return .failure(version > Layout.version && version < 1_000 ? .perhapsNewer(version) : .damaged)
    }
    let version = bytes.load32(Self.version)
    guard version <= Layout.version else { return .failure(.newer(version)) }
    guard version >= Layout.oldestVersion, bytes.load32(pageBytes) == UInt32(Layout.pageBytes) else {
      return .failure(.damaged)
    }
    var block = Superblock(
      identifier: (bytes.load64(identifier), bytes.load64(identifier + 8)),
      seed: StoreSeed(low: bytes.load64(seed), high: bytes.load64(seed + 8)))
    block.isOfOlderVersion = version < Layout.version
    block.compatibleFeatures = bytes.load32(compatible)
    block.readOnlyCompatibleFeatures = bytes.load32(readOnlyCompatible)
    block.incompatibleFeatures = bytes.load32(incompatible)
    block.epoch = Epoch(number: bytes.load64(epoch))
    block.root = PagePointer(bits: bytes.load64(root))
    block.recordCount = bytes.load64(recordCount)
    block.liveBytes = bytes.load64(liveBytes)
    block.spaceRoot = PagePointer(bits: bytes.load64(spaceRoot))
    block.highWater = Unit(number: bytes.load64(highWater))
    block.logPosition = Position(offset: bytes.load64(logPosition))
    block.sequence = SequenceNumber(number: bytes.load64(sequence))
    block.chain = bytes.load64(chain)
    block.segment = Unit(number: bytes.load64(segment))
    block.indexPages = bytes.load64(indexPages)
    block.earliestExpiry = bytes.load64(earliestExpiry)
    let next = SequenceNumber(number: bytes.load64(nextOfCopy))
    if next.number != 0 {
      let original = State(
        identifier: (bytes.load64(originalIdentifier), bytes.load64(originalIdentifier + 8)),
        sequence: SequenceNumber(number: bytes.load64(originalSequence)))
      guard original.sequence < SequenceNumber.limit, next < SequenceNumber.limit else {
        return .failure(.damaged)
      }
      block.copy = Copy(original: original, next: next)
    }
    if block.incompatibleFeatures != 0 { return .failure(.features(block.incompatibleFeatures)) }
    return block.isPlausible ? .success(block) : .failure(.damaged)
  }

  /// Whether all numbers are in range, so that it is safe to compute with them.
  private var isPlausible: Bool {
    let units = highWater.number
    guard units > Layout.firstFreeUnit, units <= Layout.largestFile / UInt64(Layout.unitBytes) else {
      return false
    }
    let pages = units * UInt64(Layout.pagesPerUnit)
    let segmentStart = segment.number.multipliedReportingOverflow(by: UInt64(Layout.unitBytes))
    guard !segmentStart.overflow, segment.number >= Layout.firstFreeUnit,
      segment.number + Layout.segmentUnits <= units,
      logPosition.offset % 8 == 0,
      logPosition.offset >= segmentStart.partialValue + UInt64(SegmentHeader.byteCount),
      logPosition.offset
        <= segmentStart.partialValue + UInt64(Layout.segmentBytes - RecordHeader.linkBytes)
    else { return false }
    let possible = Layout.firstFreeUnit * UInt64(Layout.pagesPerUnit)..<pages
    return possible.contains(root.page.number) && (1...8).contains(root.depth)
      && possible.contains(spaceRoot.page.number) && (1...4).contains(spaceRoot.depth)
      && epoch < Epoch.limit && sequence.number >= 1 && sequence < SequenceNumber.limit
      && recordCount <= Self.largestCount(in: units) && liveBytes <= Layout.largestFile
      && indexPages <= pages
  }

  /// The largest possible number of records in so many units: one for each slot.
  static func largestCount(in units: UInt64) -> UInt64 {
    units &* UInt64(Layout.pagesPerUnit) &* UInt64(Bucket.slotCount)
  }

  func encode(_ bytes: MappedBytes, at offset: Int) {
    bytes.store64(Self.magic, offset)
    bytes.store32(Layout.version, offset + Self.version)
    bytes.store32(UInt32(Layout.pageBytes), offset + Self.pageBytes)
    bytes.store32(compatibleFeatures, offset + Self.compatible)
    bytes.store32(readOnlyCompatibleFeatures, offset + Self.readOnlyCompatible)
    bytes.store32(incompatibleFeatures, offset + Self.incompatible)
    bytes.store64(identifier.0, offset + Self.identifier)
    bytes.store64(identifier.1, offset + Self.identifier + 8)
    bytes.store64(seed.low, offset + Self.seed)
    bytes.store64(seed.high, offset + Self.seed + 8)
    bytes.store64(epoch.number, offset + Self.epoch)
    bytes.store64(root.bits, offset + Self.root)
    bytes.store64(recordCount, offset + Self.recordCount)
    bytes.store64(liveBytes, offset + Self.liveBytes)
    bytes.store64(spaceRoot.bits, offset + Self.spaceRoot)
    bytes.store64(highWater.number, offset + Self.highWater)
    bytes.store64(logPosition.offset, offset + Self.logPosition)
    bytes.store64(sequence.number, offset + Self.sequence)
    bytes.store64(chain, offset + Self.chain)
    bytes.store64(segment.number, offset + Self.segment)
    bytes.store64(indexPages, offset + Self.indexPages)
    bytes.store64(earliestExpiry, offset + Self.earliestExpiry)
    bytes.store64(copy?.original.identifier.0 ?? 0, offset + Self.originalIdentifier)
    bytes.store64(copy?.original.identifier.1 ?? 0, offset + Self.originalIdentifier + 8)
    bytes.store64(copy?.original.sequence.number ?? 0, offset + Self.originalSequence)
    bytes.store64(copy?.next.number ?? 0, offset + Self.nextOfCopy)
    bytes.store64(Self.checksum(bytes, offset), offset + Self.checksum)
  }

  static func == (left: Superblock, right: Superblock) -> Bool {
    left.identifier == right.identifier && left.seed == right.seed && left.epoch == right.epoch
      && left.root == right.root && left.recordCount == right.recordCount
      && left.liveBytes == right.liveBytes && left.spaceRoot == right.spaceRoot
      && left.highWater == right.highWater && left.logPosition == right.logPosition
      && left.sequence == right.sequence && left.chain == right.chain
      && left.segment == right.segment && left.indexPages == right.indexPages
      && left.earliestExpiry == right.earliestExpiry && left.copy == right.copy
      && left.compatibleFeatures == right.compatibleFeatures
      && left.readOnlyCompatibleFeatures == right.readOnlyCompatibleFeatures
      && left.incompatibleFeatures == right.incompatibleFeatures
      && left.isOfOlderVersion == right.isOfOlderVersion
  }
}
