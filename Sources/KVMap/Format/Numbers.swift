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
}

extension UInt64 {
  /// The number as `0x…`, as messages name offsets in the file.
  var hexadecimal: String { "0x" + String(self, radix: 16) }
}
