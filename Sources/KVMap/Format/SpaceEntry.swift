/// What a 64 KiB unit of the file is used for.
enum UnitKind: UInt8 {
  /// Nobody's, and usable once its release epoch allows.
  case free = 0
  /// Superblocks and live page.
  case fixed = 1
  /// 16 index pages.
  case index = 2
  /// First unit of a log segment.
  case segment = 3
  /// First unit of a run that holds one large value.
  case run = 4
  /// A further unit of the segment or run that begins before it.
  case continuation = 5
}

/// A unit's entry in the space table: 32 bytes.
///
/// Index pages are in one of four states: in use, free, or released in one of
/// two epochs. Two, so that pages released long ago become free although others
/// of the same unit are released in every epoch.
struct SpaceEntry {
  static let kind = 0  // u8
  static let used = 2  // u16, index: a bit for each page in use
  static let releasedBefore = 4  // u16, index: pages released up to `epochBefore`
  static let releasedLately = 6  // u16, index: pages released in `epoch`
  static let length = 8  // u32, segment and run: number of units
  static let live = 12  // u32, segment and its continuations: bytes of live records that start here
  static let epochBefore = 16  // u64
  static let epoch = 24  // u64, when it was released
  static let byteCount = 32

  static let entriesPerLeaf = (Layout.pageBytes - PageHeader.byteCount) / byteCount  // 126

  let bytes: MappedBytes
  let offset: Int

  var kindByte: UInt8 { bytes.load8(offset + Self.kind) }
  var kind: UnitKind? { UnitKind(rawValue: kindByte) }
  var used: UInt16 {
    get { bytes.load16(offset + Self.used) }
    nonmutating set { bytes.store16(newValue, offset + Self.used) }
  }
  var releasedBefore: UInt16 {
    get { bytes.load16(offset + Self.releasedBefore) }
    nonmutating set { bytes.store16(newValue, offset + Self.releasedBefore) }
  }
  var releasedLately: UInt16 {
    get { bytes.load16(offset + Self.releasedLately) }
    nonmutating set { bytes.store16(newValue, offset + Self.releasedLately) }
  }
  var length: Int {
    get { Int(bytes.load32(offset + Self.length)) }
    nonmutating set { bytes.store32(UInt32(newValue), offset + Self.length) }
  }
  var live: Int {
    get { Int(bytes.load32(offset + Self.live)) }
    nonmutating set { bytes.store32(UInt32(clamping: newValue), offset + Self.live) }
  }
  var epochBefore: Epoch {
    get { Epoch(number: bytes.load64(offset + Self.epochBefore)) }
    nonmutating set { bytes.store64(newValue.number, offset + Self.epochBefore) }
  }
  var epoch: Epoch {
    get { Epoch(number: bytes.load64(offset + Self.epoch)) }
    nonmutating set { bytes.store64(newValue.number, offset + Self.epoch) }
  }

  /// Makes the entry one of `kind` with everything else 0.
  func reset(_ kind: UnitKind, length: Int = 0) {
    bytes.zero(offset, count: Self.byteCount)
    bytes.store8(kind.rawValue, offset + Self.kind)
    self.length = length
  }
}
