// Entries of the space table: what each unit of the file is used for.

/// The use of a 64 KiB unit of the file.
enum UnitKind: UInt8 {
  /// Unused; may be reused once the reuse rule allows it for the epoch of its release.
  case free = 0
  /// Superblocks and shared state.
  case fixed = 1
  /// 16 index pages.
  case index = 2
  /// First unit of a log segment.
  case segment = 3
  /// First unit of an extent, which holds one large value.
  case extent = 4
  /// A further unit of the segment or extent that begins before it.
  case continuation = 5
}

/// A unit's entry in the space table: 32 bytes.
///
/// A page of an index unit is in one of four states: in use, free, or released in one of two
/// epochs. There are two, so that pages released long ago become free although others of the same
/// unit are released in every epoch.
///
/// The entry of a log unit says how many bytes of its live records will expire, and between which
/// times. From that, compaction estimates how much is garbage by now without reading the records.
struct SpaceEntry {
  static let kind = 0  // u8
  static let diskSpace = 1  // u8, free: how much disk space it has
  static let used = 2  // u16, index: a bit for each page in use
  static let releasedBefore = 4  // u16, index: pages released up to `epochBefore`
  static let releasedLately = 6  // u16, index: pages released in `epoch`
  static let expiring = 4  // u32, log: how many of the live bytes will expire
  static let length = 8  // u32, segment and extent: number of units
  static let live = 12  // u32, segment and its continuations: bytes of live records that start here
  static let epochBefore = 16  // u64, index: of an earlier release
  static let epoch = 24  // u64, of the last release
  static let earliestExpiry = 16  // u64, log: in milliseconds since 1970
  static let latestExpiry = 24  // u64, log: in milliseconds since 1970
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

  /// How much of a free unit still has disk space.
  enum DiskSpace: UInt8 { case none = 0, some = 1, all = 2 }

  var diskSpace: DiskSpace {
    get { DiskSpace(rawValue: bytes.load8(offset + Self.diskSpace)) ?? .some }
    nonmutating set { bytes.store8(newValue.rawValue, offset + Self.diskSpace) }
  }
  /// Whether the value stored for `diskSpace` is a known one.
  var isDiskSpaceKnown: Bool { DiskSpace(rawValue: bytes.load8(offset + Self.diskSpace)) != nil }
  var expiring: Int {
    get { Int(bytes.load32(offset + Self.expiring)) }
    nonmutating set { bytes.store32(UInt32(clamping: newValue), offset + Self.expiring) }
  }
  var earliestExpiry: UInt64 {
    get { bytes.load64(offset + Self.earliestExpiry) }
    nonmutating set { bytes.store64(newValue, offset + Self.earliestExpiry) }
  }
  var latestExpiry: UInt64 {
    get { bytes.load64(offset + Self.latestExpiry) }
    nonmutating set { bytes.store64(newValue, offset + Self.latestExpiry) }
  }

  /// Live bytes, less those that have probably expired by `now`, as if they expired evenly
  /// between the earliest and the latest expiry.
  func probablyLive(at now: UInt64) -> Int {
    let (first, last) = (earliestExpiry, latestExpiry)
    guard expiring > 0, now >= first else { return live }
    if now >= last { return max(0, live - expiring) }
    let share = Double(now - first) / Double(last - first)
    return max(0, live - Int(Double(expiring) * share))
  }

  /// Whether a record that starts in the unit may have expired by `now`.
  func holdsExpired(at now: UInt64) -> Bool {
    (kind == .segment || kind == .continuation) && expiring > 0 && earliestExpiry <= now
  }

  /// Sets the entry to `kind` and `length`, and everything else to 0.
  func reset(_ kind: UnitKind, length: Int = 0) {
    bytes.zero(offset, count: Self.byteCount)
    bytes.store8(kind.rawValue, offset + Self.kind)
    self.length = length
  }
}
