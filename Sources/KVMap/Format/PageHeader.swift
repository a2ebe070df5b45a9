/// What a 4 KiB index page is.
enum PageKind: UInt8 {
  /// Slots, 63 lines of 8.
  case bucket = 1
  /// More slots of a bucket that cannot usefully split; any slot may hold any key.
  case overflow = 2
  /// 256 page pointers, chosen by 8 bits of the hash.
  case directory = 3
  /// 126 entries of the space table.
  case spaceLeaf = 4
  /// 256 page pointers, chosen by 8 bits of the leaf number.
  case spaceNode = 5
}

/// The first 64 bytes of every index page.
///
/// The checksum is written when a checkpoint freezes the page; until then the
/// page belongs to the working epoch and nobody trusts the field.
struct PageHeader {
  static let checksum = 0  // u64 over the rest of the page, bound to the page number
  static let kind = checksum + 8  // u8
  static let depth = kind + 1  // u8, bits of the hash all keys of the page share
  static let epoch = 16  // u64, when the page was written
  static let prefix = epoch + 8  // u64, those bits, at the top; space pages: number in their level
  static let overflow = prefix + 8  // u64, page number of more slots, 0 for none
  static let byteCount = 64

  let bytes: MappedBytes
  let page: PageNumber

  var kindByte: UInt8 { bytes.load8(page.offset + Self.kind) }
  var depth: Int { Int(bytes.load8(page.offset + Self.depth)) }
  var epoch: Epoch { Epoch(number: bytes.load64(page.offset + Self.epoch)) }
  /// The part of it that page pointers carry.
  @inline(__always)
  var epochTag: UInt16 { bytes.load16(page.offset + Self.epoch) }
  var prefix: UInt64 { bytes.load64(page.offset + Self.prefix) }
  /// Set in place within an epoch while readers look: release and acquire.
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

  /// Two threads may do so at once: the page does not change any more, and both
  /// store the same.
  func seal(seed: StoreSeed) {
    bytes.storeRelaxed(computeChecksum(seed: seed), page.offset + Self.checksum)
  }

  func isIntact(seed: StoreSeed) -> Bool {
    bytes.loadRelaxed(page.offset + Self.checksum) == computeChecksum(seed: seed)
  }

  /// Makes `target` a copy of this page that belongs to `epoch`. Without the
  /// checksum, which somebody may be writing.
  func copy(to target: PageNumber, epoch: Epoch) {
    bytes.copy(
      from: page.offset + Self.kind, to: target.offset + Self.kind, count: Layout.pageBytes - Self.kind)
    PageHeader(bytes: bytes, page: target).setEpoch(epoch)
  }
}

/// A reference to an index page: its number, its depth (for the root: the height
/// of the tree) and the low bits of its epoch, in one word that is loaded and
/// stored whole.
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

  /// The first hash after those that the page covers; nil if there is none.
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
    /// Acquire: pairs with the release below, so that whoever sees the pointer
    /// sees the page it leads to.
    @inline(__always) get { PagePointer(bits: bytes.loadAcquire(offset(of: entry))) }
    nonmutating set { bytes.storeRelease(newValue.bits, offset(of: entry)) }
  }
}
