/// The first 64 bytes of a log segment, written once when the segment opens.
///
/// It names the segment that follows, which is chosen when this one opens. So two places name
/// that segment, this header and the LINK record, and damage to one of them does not look like
/// the end of the log.
struct SegmentHeader: Equatable {
  static let magic: UInt64 = 0x5047_4553_4d56_4b00  // "\0KVMSEGP"
  static let byteCount = 64

  private static let magicOffset = 0
  private static let ordinalOffset = magicOffset + 8
  private static let nextOffset = ordinalOffset + 8
  private static let sequenceOffset = nextOffset + 8
  private static let checksumOffset = 56

  /// The number of the segment in the order of the log; the first is 1. Segments of moved
  /// records, which are not part of the log, have 0.
  var ordinal: UInt64
  /// The segment in which the log continues when this one is full.
  var next: Unit
  /// Sequence number of the first record.
  var sequence: SequenceNumber

  init(ordinal: UInt64, next: Unit, sequence: SequenceNumber) {
    self.ordinal = ordinal
    self.next = next
    self.sequence = sequence
  }

  /// Whether the segment is part of the log; otherwise it holds moved records.
  var isOfLog: Bool { ordinal > 0 }

  /// Reads the header at `offset`. nil if there is none of this store, or if its numbers are out
  /// of range: there are no more segments than records, and all lie in the file.
  init?(_ bytes: MappedBytes, at offset: Int, seed: StoreSeed) {
    guard bytes.load64(offset + Self.magicOffset) == Self.magic,
      bytes.load64(offset + Self.checksumOffset) == Self.checksum(bytes, offset, seed)
    else { return nil }
    ordinal = bytes.load64(offset + Self.ordinalOffset)
    next = Unit(number: bytes.load64(offset + Self.nextOffset))
    sequence = SequenceNumber(number: bytes.load64(offset + Self.sequenceOffset))
    if !isOfLog {
      if next.number != 0 || sequence.number != 0 { return nil }
      return
    }
    guard ordinal < SequenceNumber.limit.number, sequence.number >= 1,
      sequence < SequenceNumber.limit,
      next.number >= Layout.firstFreeUnit, next.number <= Self.largestNext
    else { return nil }
  }

  private static let largestNext =
    Layout.largestFile / UInt64(Layout.unitBytes) - Layout.segmentUnits

  func encode(_ bytes: MappedBytes, at offset: Int, seed: StoreSeed) {
    bytes.zero(offset, count: Self.byteCount)
    bytes.store64(Self.magic, offset + Self.magicOffset)
    bytes.store64(ordinal, offset + Self.ordinalOffset)
    bytes.store64(next.number, offset + Self.nextOffset)
    bytes.store64(sequence.number, offset + Self.sequenceOffset)
    bytes.store64(Self.checksum(bytes, offset, seed), offset + Self.checksumOffset)
  }

  private static func checksum(_ bytes: MappedBytes, _ offset: Int, _ seed: StoreSeed) -> UInt64 {
    Checksum.compute(bytes, offset, count: checksumOffset, seed: seed, place: UInt64(offset))
  }
}
