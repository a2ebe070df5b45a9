// Bucket pages and their slots: where the index keeps the positions of records.

/// A slot, one 8-byte entry of a bucket: 16 bits of the key's hash, a mark for a transaction that
/// is not published yet, and the record's position divided by 8. 0 is an empty slot.
struct Slot: Equatable, Sendable {
  var bits: UInt64

  init(bits: UInt64) { self.bits = bits }

  init(tag: UInt16, position: Position, pending: Bool = false) {
    bits = UInt64(tag) << 48 | (pending ? Self.pendingBit : 0) | position.offset / 8
  }

  static let empty = Slot(bits: 0)
  static let pendingBit: UInt64 = 1 << 47

  var isEmpty: Bool { bits == 0 }
  var tag: UInt16 { UInt16(truncatingIfNeeded: bits >> 48) }
  /// Readers skip pending slots; only the writer looks at them.
  var isPending: Bool { bits & Self.pendingBit != 0 }
  var position: Position { Position(offset: (bits & (Self.pendingBit - 1)) * 8) }

  /// Tag and mark in one number, for comparing both at once.
  struct Label: Equatable {
    private let bits: UInt64

    @inline(__always)
    init(tag: UInt16, pending: Bool) { bits = UInt64(tag) << 1 | (pending ? 1 : 0) }
    @inline(__always)
    fileprivate init(_ slot: Slot) { bits = slot.bits >> 47 }
  }
  @inline(__always)
  var label: Label { Label(self) }
  var published: Slot { Slot(bits: bits & ~Self.pendingBit) }
}

/// A bucket page: 64 lines of 64 bytes. Line 0 is the page header; lines 1 to 63 have 8 slots
/// each.
///
/// A key may be in either of two lines; a new key takes the emptier one. So a page fills to about
/// 85 % before both lines of some key are full and the page splits. Slots never move between
/// lines, so deleting a key only stores 0. An overflow page has the same shape, but any slot may
/// hold any key.
struct Bucket {
  static let lineCount = 63
  static let slotsPerLine = 8
  static let slotCount = lineCount * slotsPerLine

  let bytes: MappedBytes
  let page: PageNumber

  /// The offset of a slot in the file, in bytes. `line` is 1 to 63, `slot` 0 to 7.
  @inline(__always)
  func offset(line: Int, slot: Int) -> Int { page.offset + line * 64 + slot * 8 }

  @inline(__always)
  func load(line: Int, slot: Int) -> Slot {
    Slot(bits: bytes.loadRelaxed(offset(line: line, slot: slot)))
  }

  /// Prefetches the page's header and both lines of `hash`, so that their cache misses overlap. The
  /// page may lie anywhere: a prefetch never faults.
  @inline(__always)
  func prefetch(_ hash: KeyHash) {
    let lines = hash.lines
    bytes.prefetch(offset(line: lines.first, slot: 0))
    bytes.prefetch(offset(line: lines.second, slot: 0))
    bytes.prefetch(page.offset)
  }

  /// How many slots of `line` are taken, and the first empty one.
  func room(line: Int) -> (used: Int, empty: Int?) {
    var used = Self.slotsPerLine
    var empty: Int?
    for slot in 0..<Self.slotsPerLine where load(line: line, slot: slot).isEmpty {
      used &-= 1
      if empty == nil { empty = slot }
    }
    return (used, empty)
  }

  /// Whether more than `count` slots are taken.
  func isFuller(than count: Int) -> Bool {
    var used = 0
    for line in 1...Self.lineCount {
      for slot in 0..<Self.slotsPerLine where !load(line: line, slot: slot).isEmpty { used &+= 1 }
      if used > count { return true }
    }
    return false
  }

  /// All slots that are not empty, each with its line and its index in the line. They are loaded
  /// with acquire order, which pairs with the release that published a slot, so that its record
  /// is seen.
  var slots: Slots { Slots(bucket: self) }

  struct Slots: Sequence, IteratorProtocol {
    fileprivate let bucket: Bucket
    private var place = 0

    fileprivate init(bucket: Bucket) { self.bucket = bucket }

    @inline(__always)
    mutating func next() -> (line: Int, index: Int, slot: Slot)? {
      while place < Bucket.slotCount {
        let (line, index) = (1 + place / Bucket.slotsPerLine, place % Bucket.slotsPerLine)
        place += 1
        let slot = Slot(bits: bucket.bytes.loadAcquire(bucket.offset(line: line, slot: index)))
        if !slot.isEmpty { return (line, index, slot) }
      }
      return nil
    }
  }
}
