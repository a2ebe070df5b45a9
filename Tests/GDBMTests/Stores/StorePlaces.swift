/// Where the parts of a store's file are, found by the description of format version 1 without
/// the library.
struct StorePlaces {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func number(_ offset: Int, _ count: Int = 8) -> UInt64 {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  static let superblocks = (a: 0, b: 65_536)
  /// Offsets in a superblock.
  static let version = 8
  static let recordCount = 80

  private static let pageBytes = 4_096
  private static let unitBytes = 65_536

  /// The length of what the last checkpoint uses.
  var usedBytes: Int { Int(number(104)) * Self.unitBytes }

  /// The header of the segment in which the log goes on.
  var segment: Int { Int(number(136)) * Self.unitBytes }

  /// The root page of the directory.
  var directory: Int { page(of: number(72)) }

  /// The root page of the space table.
  var spaceTable: Int { page(of: number(96)) }

  private func page(of pointer: UInt64) -> Int { Int(pointer & 0xff_ffff_ffff) * Self.pageBytes }

  /// All bucket pages, in the order of their hashes.
  var buckets: [Int] {
    var pages = [directory]
    for _ in 0..<Int(number(72) >> 40 & 0xff) {
      var below: [Int] = []
      for page in pages {
        for entry in 0..<256 {
          let next = self.page(of: number(page + 64 + entry * 8))
          if below.last != next { below.append(next) }
        }
      }
      pages = below
    }
    return pages
  }

  /// The records that a bucket page points to.
  func records(bucket: Int) -> [Int] {
    stride(from: bucket + 64, to: bucket + Self.pageBytes, by: 8).map { number($0) }.filter { $0 != 0 }
      .map { Int($0 & (1 << 47 - 1)) * 8 }
  }

  /// Where the bytes of a record's value are.
  func value(record: Int) -> Range<Int> {
    let flags = bytes[record + 8]
    let lengths = number(record + 16)
    let (keyBytes, valueBytes) = (Int(lengths & 0x1_ffff), Int(lengths >> 17))
    let fields = record + 24 + (flags & 1 << 5 != 0 ? 8 : 0) + (flags & 1 << 6 != 0 ? 8 : 0)
    let isOutside = flags & 1 << 7 != 0
    let start = isOutside ? Int(number(fields)) : fields + keyBytes
    return start..<start + valueBytes
  }
}
