/// The constants that shape the file.
///
/// Changing one changes the format: old files would no longer be read.
enum Layout {
  /// Format pages are 4 KiB on every host, whatever its own page size.
  static let pageBytes = 4096

  /// Space is handed out in units of 64 KiB: the largest page size of any host
  /// we know, so that whatever is synced apart also lies in separate host pages.
  static let unitBytes = 65_536
  static let pagesPerUnit = unitBytes / pageBytes  // 16

  /// The end of the page that ends at `offset` or after it.
  static func endOfPage(_ offset: UInt64) -> UInt64 {
    (offset + UInt64(pageBytes) - 1) / UInt64(pageBytes) * UInt64(pageBytes)
  }

  /// Units 0, 1 and 2 hold the two superblocks and the live page, each at the
  /// start of a unit of its own.
  static let superblockOffsets = (a: 0, b: unitBytes)
  static let liveOffset = 2 * unitBytes
  static let firstFreeUnit: UInt64 = 3
  static let firstFreeOffset = 3 * unitBytes

  /// A log segment: large enough that its last, unused bytes (at most one
  /// record) stay a small share, small enough to be compacted in one go.
  static let segmentBytes = 1 << 20
  static let segmentUnits = UInt64(segmentBytes / unitBytes)  // 16

  static let largestKey = 65_536
  /// Limited by the 47 bits of a record's value length, less one for headroom.
  static let largestValue = 1 << 46

  /// Values above this take a run of units of their own, so that they are given
  /// back whole and the rest of a segment lost to the next record stays small.
  static let largestInlineValue = 65_536

  /// Records start at multiples of 8, which lets a slot hold offset / 8.
  static let recordAlignment = 8

  /// Positions fit the 47 bits of a slot: files to 2^50 bytes (1 PiB).
  static let largestFile: UInt64 = 1 << 50

  /// Version of the format, stored in the superblocks.
  static let version: UInt32 = 1

  /// Recovery skips this many sequence numbers, so that a version handed out for
  /// a commit that power failure took back is never handed out again.
  static let sequenceJump: UInt64 = 1 << 24
}
