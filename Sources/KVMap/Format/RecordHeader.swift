// The header of a log record: 24 bytes, and the optional fields that follow it.

/// What a record does.
enum RecordKind: UInt8 {
  case put = 1
  case delete = 2
  /// A put that compaction has moved out of the log.
  case move = 3
  /// The log continues in the segment that the 8 bytes of value name.
  case link = 4
  /// Closes the log after a crash: its value, 16 random bytes, changes the chain.
  case cut = 5
}

/// The record header: the 24 bytes that every record begins with. Optional fields, key and value
/// follow.
///
///     0  u32  checksum, of everything from byte 8 to the end of the value
///     4  u32  chain, low half
///     8  u64  sequence number in the upper 56 bits, kind and flags in the lower 8
///     16 u64  value length in the upper 47 bits, key length in the lower 17
///     24 u64  expiry, in milliseconds since 1970, if the flag says so
///        u64  version, if the flag says so (else it is the sequence number)
///        u64 u64  offset of the value's extent and checksum of the value, if external
///        key, value, zeros to a multiple of 8
struct RecordHeader: Equatable, Sendable {
  static let byteCount = 24
  /// Bytes a LINK takes; kept free at the end of each segment.
  static let linkBytes = byteCount + 8

  struct Flags: OptionSet, Sendable {
    let rawValue: UInt8
    /// The last record of a commit.
    static let end = Flags(rawValue: 1 << 3)
    /// The first record of a commit, written when everything before it was durable.
    static let synced = Flags(rawValue: 1 << 4)
    /// The record has an expiry.
    static let expires = Flags(rawValue: 1 << 5)
    /// The record has a version field; otherwise its version is its sequence number.
    static let versioned = Flags(rawValue: 1 << 6)
    /// The value lies in an extent of its own.
    static let external = Flags(rawValue: 1 << 7)
    static let kindMask: UInt8 = 7

    /// As that of any option set, which is slow where nothing is optimised.
    @inline(__always)
    func contains(_ flag: Flags) -> Bool { rawValue & flag.rawValue == flag.rawValue }
  }

  /// The 24 bytes as three words.
  private var sums: UInt64
  private var order: UInt64
  private var lengths: UInt64

  var checksum: UInt32 { UInt32(truncatingIfNeeded: sums) }
  var chain: UInt32 { UInt32(truncatingIfNeeded: sums >> 32) }
  var sequence: SequenceNumber { SequenceNumber(number: order >> 8) }
  var kindBits: UInt8 {
    get { UInt8(truncatingIfNeeded: order) & Flags.kindMask }
    set { order = order & ~UInt64(Flags.kindMask) | UInt64(newValue & Flags.kindMask) }
  }
  var flags: Flags {
    get { Flags(rawValue: UInt8(truncatingIfNeeded: order) & ~Flags.kindMask) }
    set { order = order & ~UInt64(~Flags.kindMask) | UInt64(newValue.rawValue & ~Flags.kindMask) }
  }
  var keyLength: Int { Int(lengths & 0x1_ffff) }
  var valueLength: Int { Int(lengths >> 17) }

  var kind: RecordKind? { RecordKind(rawValue: kindBits) }

  /// Bytes of optional fields, between the header and the key.
  @inline(__always)
  var extraBytes: Int {
    // 8 for an expiry, 8 for a version, and 16 for a large value: in units of 8 bytes, the latter two
    // weigh what their bits do.
    let bits = Int(truncatingIfNeeded: order) >> 5 & 7
    return 8 &* (bits & 1 &+ bits >> 1)
  }
  @inline(__always)
  var inlineValueLength: Int { flags.contains(.external) ? 0 : valueLength }
  @inline(__always)
  var keyOffset: Int { Self.byteCount &+ extraBytes }
  @inline(__always)
  var valueOffset: Int { keyOffset &+ keyLength }
  /// Bytes from the start of the record to the end of the value, without padding.
  @inline(__always)
  var contentBytes: Int { valueOffset &+ inlineValueLength }
  /// Bytes the record takes in the log.
  @inline(__always)
  var storedBytes: Int { (contentBytes &+ 7) & ~7 }
  /// Bytes that the record keeps in use: its own, and those of a large value.
  @inline(__always)
  var liveBytes: Int { storedBytes + (flags.contains(.external) ? valueLength : 0) }

  @inline(__always)
  var expiryOffset: Int { Self.byteCount }
  @inline(__always)
  var versionOffset: Int { Self.byteCount + (flags.contains(.expires) ? 8 : 0) }
  @inline(__always)
  var externalOffset: Int { versionOffset + (flags.contains(.versioned) ? 8 : 0) }

  init(
    kind: RecordKind, flags: Flags, sequence: SequenceNumber, keyLength: Int, valueLength: Int
  ) {
    sums = 0
    order = sequence.number << 8 | UInt64(flags.rawValue & ~Flags.kindMask | kind.rawValue)
    lengths = UInt64(valueLength) << 17 | UInt64(keyLength)
  }

  /// Reads the header at `offset`. The lengths have few enough bits that sums of them cannot
  /// overflow; the caller checks whether they make sense.
  @inline(__always)
  init(_ bytes: MappedBytes, at offset: Int) {
    sums = bytes.load64(offset)
    order = bytes.load64(offset + 8)
    lengths = bytes.load64(offset + 16)
  }

  /// Zeros the bytes after the value. To be called before fields, key and value are written: it
  /// may zero some of theirs.
  @inline(__always)
  func zeroPadding(_ bytes: MappedBytes, at offset: Int) {
    if storedBytes != contentBytes { bytes.store64(0, offset &+ storedBytes &- 8) }
  }

  /// Writes bytes 8 to 23 of the header. The checksum follows once key and value are written.
  @inline(__always)
  func encodeOrder(_ bytes: MappedBytes, at offset: Int) {
    bytes.store64(order, offset + 8)
    bytes.store64(lengths, offset + 16)
  }

  /// The checksum of the record at `offset`. The caller has checked that the record is in bounds.
  @inline(__always)
  func computeChecksum(_ bytes: MappedBytes, at offset: Int, seed: StoreSeed) -> UInt32 {
    UInt32(
      truncatingIfNeeded: Checksum.compute(
        bytes, offset + 8, count: contentBytes - 8, seed: seed, place: UInt64(offset)))
  }

  func isIntact(_ bytes: MappedBytes, at offset: Int, seed: StoreSeed) -> Bool {
    computeChecksum(bytes, at: offset, seed: seed) == checksum
  }

  /// Whether the kind is known, the lengths are allowed, and the record fits into `room` bytes.
  @inline(__always)
  func fits(in room: Int) -> Bool {
    keyLength <= Layout.largestKey && kindBits >= 1 && kindBits <= 5
      && inlineValueLength <= Layout.largestInlineValue && storedBytes <= room
  }

  /// Whether key, value and optional fields are as its kind requires.
  var isOfItsKind: Bool {
    switch kind {
    case .put, .move: true
    case .delete: valueLength == 0 && !flags.contains(.external)
    case .link: keyLength == 0 && valueLength == 8 && extraBytes == 0
    case .cut: keyLength == 0 && valueLength == 16 && extraBytes == 0
    case nil: false
    }
  }
}
