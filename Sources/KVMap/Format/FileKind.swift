import MappedMemory

/// What a file looks like by its first bytes, before anything is mapped or reserved for it.
enum FileKind {
  /// Nobody's data: empty, or its creation in place was interrupted.
  case empty
  case store
  case other

  /// What a file begins with that is being made a store where it is, until it is one.
  static let creationMarker: UInt64 = 0x0a1a_0a0d_4e56_4b89  // 0x89 "KVN" CR LF 0x1a LF
  static let markerBytes = 8

  init(_ file: borrowing File) throws(MappingError) {
    let size = try file.status().size
    let start = try Self.word(file, at: 0)
    if start == Superblock.magic {
      self = .store
    } else if start == Self.creationMarker || size == 0 {
      // The second superblock is written before the first, when all else is durable.
      self = try Self.hasSecondSuperblock(file) ? .store : .empty
    } else {
      // The second one tells of a store whose first is lost.
      let second = try Self.word(file, at: Int64(Layout.superblockOffsets.b))
      let isLongEnough = size >= Int64(Layout.superblockOffsets.b + Layout.pageBytes)
      self = isLongEnough && second == Superblock.magic ? .store : .other
    }
  }

  /// The bytes that are missing count as zeros.
  private static func word(_ file: borrowing File, at offset: Int64) throws(MappingError) -> UInt64 {
    try file.read(count: 8, at: offset).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func hasSecondSuperblock(_ file: borrowing File) throws(MappingError) -> Bool {
    var page = try file.read(count: Superblock.byteCount, at: Int64(Layout.superblockOffsets.b))
    guard page.count == Superblock.byteCount else { return false }
    return unsafe page.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return false }
      return unsafe (try? Superblock.decode(MappedBytes(base: base, count: buffer.count), at: 0).get()) != nil
    }
  }
}
