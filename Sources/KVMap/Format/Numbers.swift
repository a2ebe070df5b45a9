// The numbers of the format, each kind with a type of its own so that they cannot be confused.

/// The position of a record: its offset in the file in bytes, a multiple of 8.
struct Position: Hashable, Comparable, Sendable {
  var offset: UInt64

  static func < (left: Position, right: Position) -> Bool { left.offset < right.offset }

  var unit: Unit { Unit(number: offset / UInt64(Layout.unitBytes)) }
}

/// The number of a 64 KiB unit of the file.
struct Unit: Hashable, Comparable, Sendable {
  var number: UInt64

  static func < (left: Unit, right: Unit) -> Bool { left.number < right.number }

  var position: Position { Position(offset: number * UInt64(Layout.unitBytes)) }
  var firstPage: PageNumber { PageNumber(number: number * UInt64(Layout.pagesPerUnit)) }
}

/// The number of a 4 KiB format page: its offset in the file divided by 4096.
struct PageNumber: Hashable, Sendable {
  var number: UInt64

  var offset: Int { Int(number) * Layout.pageBytes }
  var unit: Unit { Unit(number: number / UInt64(Layout.pagesPerUnit)) }
  var indexInUnit: Int { Int(number % UInt64(Layout.pagesPerUnit)) }
}

/// A period between two checkpoints or snapshots. A page carries the epoch in which it was
/// written; only pages of the current epoch are changed in place.
struct Epoch: Hashable, Comparable, Sendable {
  var number: UInt64

  static let limit = Epoch(number: 1 << 62)
  static func < (left: Epoch, right: Epoch) -> Bool { left.number < right.number }

  var next: Epoch { Epoch(number: number + 1) }
  /// The low 16 bits, which page pointers carry.
  var tag: UInt16 { UInt16(truncatingIfNeeded: number) }
}

/// The number of a record in the order of the log. It is also the version of the record's value.
struct SequenceNumber: Hashable, Comparable, Sendable {
  var number: UInt64

  static let limit = SequenceNumber(number: 1 << 56)
  static func < (left: SequenceNumber, right: SequenceNumber) -> Bool { left.number < right.number }

  var next: SequenceNumber { SequenceNumber(number: number + 1) }

  /// The number of a CUT that is made of `time`, in milliseconds since 1970, where this number would
  /// be next. It is higher than any number that was given to a record here and undone by a power
  /// failure: each millisecond has 4,096 numbers of its own, more than it can have records. Nil if the
  /// clock is not believed or is behind the numbers.
  func dated(_ time: UInt64) -> SequenceNumber? {
    guard Self.datedFrom..<Self.datedTo ~= time else { return nil }
    let dated = SequenceNumber(number: (time - Self.datedFrom) << 12)
    if dated > self { return dated }
    // Numbers of this very millisecond are being given: there has been no power failure since.
    return number - dated.number < 1 << 12 ? next : nil
  }

  /// The number of a CUT that is durable before any record follows it. If the clock does not help,
  /// some numbers are skipped, more than records can have been undone.
  func cut(at time: UInt64) -> SequenceNumber {
    dated(time) ?? SequenceNumber(number: number + Layout.sequenceJump)
  }

  /// Above every number that the log can reach from here before the next checkpoint, whatever its
  /// clocks show: a number that is made of a time has less than 54 bits, and each of fewer than 2²⁴
  /// recoveries skips `Layout.sequenceJump` numbers.
  var bound: SequenceNumber {
    SequenceNumber(number: min(Self.limit.number, max(number, 1 << 53) + 1 << 48))
  }

  /// The beginning of 2020. From then until 2089, numbers made of the time have less than 54 bits,
  /// so that programs which read numbers as floating-point ones read them exactly. A clock that shows
  /// another time is not believed.
  private static let datedFrom: UInt64 = 1_577_836_800_000
  private static let datedTo = datedFrom + 1 << 41
}

extension UInt64 {
  /// The number as `0x…`, as messages name offsets in the file.
  var hexadecimal: String { "0x" + String(self, radix: 16) }
}
