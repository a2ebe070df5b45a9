import MappedMemory

/// What kind of file it is, judged by its superblocks before anything is mapped or reserved for
/// it.
enum FileKind {
  /// No data: the file is empty, or its creation in place was interrupted.
  case empty
  /// A store, perhaps a damaged one.
  case store
  /// Any other file.
  case other

  /// The first 8 bytes of a file in which a store is being created in place, until the store is
  /// complete.
  static let creationMarker: UInt64 = 0x0a1a_0a0d_4e56_4b89  // 0x89 "KVN" CR LF 0x1a LF
  static let markerBytes = 8

  init(_ file: borrowing File) throws(MappingError) {
    let size = try file.status().size
    let start = try Self.word(file, at: 0)
    if start == Superblock.magic {
      self = .store
    } else if start == Self.creationMarker || size == 0 {
      // Creation writes the second superblock before the first, once everything else is durable.
      self = try Self.hasSecondSuperblock(file) ? .store : .empty
    } else {
      // A store whose first superblock is lost is recognized by the second.
      let second = try Self.word(file, at: Int64(Layout.superblockOffsets.b))
      let isLongEnough = size >= Int64(Layout.superblockOffsets.b + Layout.pageBytes)
      self = isLongEnough && second == Superblock.magic ? .store : .other
    }
  }

  /// The number in the 8 bytes at `offset`. Bytes past the end of the file count as zeros.
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
