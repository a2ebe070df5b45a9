/// The constants of the file format.
///
/// Changing one changes the format: old files could no longer be read.
enum Layout {
  /// Format pages are 4 KiB on every host, whatever its own page size.
  static let pageBytes = 4096

  /// Space is allocated in units of 64 KiB. That is the largest page size of any known host, so
  /// parts that are synced separately lie in separate host pages everywhere.
  static let unitBytes = 65_536
  static let pagesPerUnit = unitBytes / pageBytes  // 16

  /// `offset` rounded up to the end of a page.
  static func endOfPage(_ offset: UInt64) -> UInt64 {
    (offset + UInt64(pageBytes) - 1) / UInt64(pageBytes) * UInt64(pageBytes)
  }

  /// Units 0, 1 and 2 hold the two superblocks and the shared state, each at the start of its
  /// unit.
  static let superblockOffsets = (a: 0, b: unitBytes)
  static let liveOffset = 2 * unitBytes
  static let firstFreeUnit: UInt64 = 3
  static let firstFreeOffset = 3 * unitBytes

  /// Bytes of a log segment: large enough that the unused bytes at its end (at most one record)
  /// are a small share, small enough that a segment can be compacted in one go.
  static let segmentBytes = 1 << 20
  static let segmentUnits = UInt64(segmentBytes / unitBytes)  // 16

  /// In bytes.
  static let largestKey = 65_536
  /// In bytes. A record has 47 bits for the length of a value; one of them is kept in reserve.
  static let largestValue = 1 << 46

  /// Values with more bytes than this take an extent of their own. So their space is released
  /// whole, and the rest of a segment that the next record does not fit into stays small.
  static let largestInlineValue = 65_536

  /// Records start at multiples of 8, so a slot can hold offset / 8.
  static let recordAlignment = 8

  /// In bytes: 1 PiB, which is how far the 47 bits of position in a slot reach.
  static let largestFile: UInt64 = 1 << 50

  /// Version of the format, stored in the superblocks.
  static let version: UInt32 = 2
  /// The oldest version that can be used. In version 1, CUT skips exactly `sequenceJump` numbers.
  static let oldestVersion: UInt32 = 1

  /// CUT skips this many sequence numbers if the clock does not say more.
  static let sequenceJump: UInt64 = 1 << 24
}
