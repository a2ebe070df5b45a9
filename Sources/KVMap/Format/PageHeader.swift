// Pages of the index and of the space table: their header, pointers to them, and pages of
// pointers.

/// The kind of a 4 KiB page of the index or of the space table.
enum PageKind: UInt8 {
  /// Slots, 63 lines of 8.
  case bucket = 1
  /// More slots of a bucket that splitting would not help; any slot may hold any key.
  case overflow = 2
  /// 256 page pointers, chosen by 8 bits of the hash.
  case directory = 3
  /// 126 entries of the space table.
  case spaceLeaf = 4
  /// 256 page pointers, chosen by 8 bits of the leaf number.
  case spaceNode = 5
}

/// The first 64 bytes of every page of the index and of the space table.
///
/// The checksum is stored when the page is sealed. Until then the field means nothing.
struct PageHeader {
  static let checksum = 0  // u64 over the rest of the page, bound to the page number
  static let kind = checksum + 8  // u8
  static let depth = kind + 1  // u8, how many bits of the hash all keys of the page share
  static let epoch = 16  // u64, in which the page was written
  static let prefix = epoch + 8  // u64, those bits, at the top; space pages: their number in their level
  static let overflow = prefix + 8  // u64, page number of the next overflow page, 0 for none
  static let byteCount = 64

  let bytes: MappedBytes
  let page: PageNumber

  var kindByte: UInt8 { bytes.load8(page.offset + Self.kind) }
  var depth: Int { Int(bytes.load8(page.offset + Self.depth)) }
  var epoch: Epoch { Epoch(number: bytes.load64(page.offset + Self.epoch)) }
  /// The low 16 bits of the epoch, which page pointers carry.
  @inline(__always)
  var epochTag: UInt16 { bytes.load16(page.offset + Self.epoch) }
  var prefix: UInt64 { bytes.load64(page.offset + Self.prefix) }
  /// The next overflow page, number 0 for none. A writer changes it in place while readers load
  /// it, so it is stored with release and loaded with acquire order.
  var overflow: PageNumber {
    get { PageNumber(number: bytes.loadAcquire(page.offset + Self.overflow)) }
    nonmutating set { bytes.storeRelease(newValue.number, page.offset + Self.overflow) }
  }

  func setEpoch(_ epoch: Epoch) { bytes.store64(epoch.number, page.offset + Self.epoch) }

  /// Makes a page of zeros with this header.
  func format(kind: PageKind, depth: Int, epoch: Epoch, prefix: UInt64) {
    bytes.zero(page.offset, count: Layout.pageBytes)
    bytes.store8(kind.rawValue, page.offset + Self.kind)
    bytes.store8(UInt8(depth), page.offset + Self.depth)
    bytes.store64(epoch.number, page.offset + Self.epoch)
    bytes.store64(prefix, page.offset + Self.prefix)
  }

  func computeChecksum(seed: StoreSeed) -> UInt64 {
    Checksum.compute(
      bytes, page.offset + 8, count: Layout.pageBytes - 8, seed: seed, place: page.number)
  }

  /// Stores the checksum. Two threads may do this at once: the page no longer changes, so both
  /// store the same.
  func seal(seed: StoreSeed) {
    bytes.storeRelaxed(computeChecksum(seed: seed), page.offset + Self.checksum)
  }

  /// Whether the stored checksum matches.
  func isIntact(seed: StoreSeed) -> Bool {
    bytes.loadRelaxed(page.offset + Self.checksum) == computeChecksum(seed: seed)
  }

  /// Makes `target` a copy of this page that belongs to `epoch`. Does not copy the checksum,
  /// which another thread may be storing.
  func copy(to target: PageNumber, epoch: Epoch) {
    bytes.copy(
      from: page.offset + Self.kind, to: target.offset + Self.kind, count: Layout.pageBytes - Self.kind)
    PageHeader(bytes: bytes, page: target).setEpoch(epoch)
  }
}

/// A reference to a page: its number, its depth (for a root: the height of the tree) and the low
/// 16 bits of its epoch, in one word that is loaded and stored whole. 0 refers to no page.
struct PagePointer: Equatable, Sendable {
  var bits: UInt64

  init(bits: UInt64) { self.bits = bits }

  init(page: PageNumber, depth: Int, epoch: Epoch) {
    self.init(page: page, depth: depth, epochTag: epoch.tag)
  }

  init(page: PageNumber, depth: Int, epochTag: UInt16) {
    bits = page.number | UInt64(depth) << 40 | UInt64(epochTag) << 48
  }

  func withDepth(_ depth: Int) -> PagePointer {
    PagePointer(bits: bits & ~(0xff << 40) | UInt64(depth) << 40)
  }

  static let largestPage: UInt64 = (1 << 40) - 1
  var page: PageNumber { PageNumber(number: bits & 0xff_ffff_ffff) }
  var depth: Int { Int((bits >> 40) & 0xff) }
  var epochTag: UInt16 { UInt16(truncatingIfNeeded: bits >> 48) }

  /// The first hash after those that the page covers, of which `hash` is one; nil if there is
  /// none.
  func end(after hash: UInt64) -> UInt64? {
    if depth == 0 { return nil }
    let step = UInt64(1) << UInt64(64 - depth)
    let (end, overflow) = (hash & ~(step - 1)).addingReportingOverflow(step)
    return overflow ? nil : end
  }
}

/// A page of 256 page pointers, of the directory or of the space table.
struct NodePage {
  static let entryCount = 256

  let bytes: MappedBytes
  let page: PageNumber

  @inline(__always)
  func offset(of entry: Int) -> Int { page.offset + PageHeader.byteCount + entry * 8 }

  subscript(entry: Int) -> PagePointer {
    /// Acquire: pairs with the release below, so that a thread that sees the pointer also sees
    /// the page it points to.
    @inline(__always) get { PagePointer(bits: bytes.loadAcquire(offset(of: entry))) }
    nonmutating set { bytes.storeRelease(newValue.bits, offset(of: entry)) }
  }
}
