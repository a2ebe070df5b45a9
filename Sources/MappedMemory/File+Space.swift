import SystemPackage

extension File {
  /// Sets the length in bytes (`ftruncate`).
  ///
  /// Added bytes are a hole that reads as zeros. Bytes beyond a shorter length are
  /// gone, and an access through a mapping of them loses that mapping.
  public func setSize(_ bytes: Int64) throws(MappingError) {
    try describing(.ftruncate, path) { () throws(Errno) in try SystemCalls.setSize(descriptor, bytes) }
  }

  /// Gives a range storage, so that writing it later cannot fail for want of
  /// space (`fallocate`); extends the file to the range's end.
  ///
  /// Existing bytes stay; the others read as zeros. If the file system has no
  /// such call (and on Darwin), zeros are written into the holes of the range.
  /// That takes time in proportion, and nobody else may write to the range
  /// during the call.
  ///
  /// - Throws: ``MappingError`` with ENOSPC, EDQUOT, EFBIG. A part of the range
  ///   may have storage then, and the file may be longer.
  public func allocate(offset: Int64, length: Int64) throws(MappingError) {
    let end = try Self.end(of: offset, length, .fallocate, path)
    #if canImport(Darwin)
      let size = try status().size
      if end > size {
        try describing(.fallocate, path) { () throws(Errno) in
          try SystemCalls.preallocate(descriptor, length: end - size)
        }
        try setSize(end)
      }
      try fillHoles(from: offset, to: min(end, size))
    #else
      do {
        try SystemCalls.allocate(descriptor, offset: offset, length: length)
      } catch {
        guard error.isRefusal else { throw MappingError(.fallocate, error, path) }
        try fillHoles(from: offset, to: end)
      }
    #endif
  }

  /// Gives a range storage that reads as zeros, whatever it held before (`fallocate` with
  /// `FALLOC_FL_ZERO_RANGE`); extends the file to the range's end.
  ///
  /// The storage is marked as never written. If the system later fails to write pages of the
  /// range, and drops them, the range reads as zeros and not as what it held before. If the file
  /// system has no such call, the range only gets storage.
  ///
  /// - Throws: as ``allocate(offset:length:)``.
  public func allocateZeroed(offset: Int64, length: Int64) throws(MappingError) {
    _ = try Self.end(of: offset, length, .zeroRange, path)
    do {
      try SystemCalls.zeroRange(descriptor, offset: offset, length: length)
    } catch {
      guard error.isRefusal else { throw MappingError(.zeroRange, error, path) }
      try allocate(offset: offset, length: length)
    }
  }

  /// Writes zeros to the holes between two offsets.
  private func fillHoles(from start: Int64, to end: Int64) throws(MappingError) {
    let size = try status().size
    var position = start
    while position < min(end, size) {
      guard let hole = try seek(.hole, from: position), hole < min(end, size) else { break }
      let data = try seek(.data, from: hole) ?? size
      // A hole ends after its start; on a file system that says otherwise this
      // loop must end too.
      position = max(min(end, data), hole + 1)
      try writeZeros(offset: hole, length: position - hole)
    }
    let tail = max(start, size)
    if tail < end { try writeZeros(offset: tail, length: end - tail) }
  }

  /// The parts of a range that are not holes, in order (`lseek` with `SEEK_DATA`
  /// and `SEEK_HOLE`); the rest reads as zeros. The whole range, if the file system
  /// does not say.
  public func dataRanges(from start: Int64, to end: Int64) throws(MappingError) -> [Range<Int64>] {
    var ranges: [Range<Int64>] = []
    var position = start
    while position < end, let data = try seek(.data, from: position), data < end {
      var hole = min(try seek(.hole, from: data) ?? end, end)
      // The file system finds holes, and no data.
      if hole <= data { hole = end }
      ranges.append(data..<hole)
      position = hole
    }
    return ranges
  }

  private enum Extent { case data, hole }

  /// The next data or hole at or after an offset; `nil` when there is none.
  private func seek(_ extent: Extent, from offset: Int64) throws(MappingError) -> Int64? {
    do {
      return switch extent {
      case .data: try SystemCalls.seekData(descriptor, from: offset)
      case .hole: try SystemCalls.seekHole(descriptor, from: offset)
      }
    } catch .noSuchAddressOrDevice {
      return nil
    } catch {
      guard error.isRefusal else { throw MappingError(.lseek, error, path) }
      // The file system does not record its holes: the whole file counts as data.
      return extent == .hole ? nil : offset
    }
  }

  /// Returns the storage of a range to the file system (`fallocate` with
  /// `FALLOC_FL_PUNCH_HOLE`, `F_PUNCHHOLE` on Darwin). The range reads as zeros,
  /// also through mappings; the file keeps its size.
  ///
  /// Whole blocks of the file system are returned, the rest is zeroed. On
  /// Darwin offset and length have to be multiples of that block size.
  ///
  /// - Throws: ``MappingError`` with EOPNOTSUPP if the file system cannot.
  public func punchHole(offset: Int64, length: Int64) throws(MappingError) {
    try describing(.punchHole, path) { () throws(Errno) in
      try SystemCalls.punchHole(descriptor, offset: offset, length: length)
    }
  }

  /// The same for a caller that can do without: false if the file system or the kernel refuses.
  package func punchIfPossible(offset: Int64, length: Int64) throws(MappingError) -> Bool {
    do {
      try punchHole(offset: offset, length: length)
      return true
    } catch {
      if error.isRefusal { return false }
      throw error
    }
  }

  /// Asks a file system that writes each change to new blocks to change this file in place. The
  /// file has to be empty (`ioctl` with `FS_IOC_SETFLAGS`, `FS_NOCOW_FL`; Btrfs). Then bytes that
  /// have storage can be changed on a full disk too. Btrfs keeps no checksums of such a file, and
  /// does not compress it.
  ///
  /// A hint: the caller does not learn whether it has an effect.
  package func requestChangesInPlace(_ changesInPlace: Bool = true) {
    try? SystemCalls.setCopyOnWrite(descriptor, !changesInPlace)
  }

  /// Makes this file's contents those of another, sharing its storage block by block
  /// until either file changes it (`ioctl` with `FICLONE`; not on Darwin).
  ///
  /// O(extents), after dirty pages of the other file have been written. Each page
  /// that is stored into the other file during the call may be in the copy or not.
  ///
  /// - Returns: false if the file system cannot do it, or if the files lie on two
  ///   file systems; nothing has changed then.
  public func shareContents(of other: borrowing File) throws(MappingError) -> Bool {
    if try cloneContents(of: other) { return true }
    // Btrfs shares blocks only between files that are both changed in place, or both not.
    requestChangesInPlace(false)
    return try cloneContents(of: other)
  }

  private func cloneContents(of other: borrowing File) throws(MappingError) -> Bool {
    do {
      try SystemCalls.clone(other.descriptor, into: descriptor)
      return true
    } catch {
      if error.isRefusal || error == .improperLink || error == .inappropriateIOCTLForDevice { return false }
      throw MappingError(.clone, error, path)
    }
  }

  /// Writes zeros over a range (`pwrite`), extending the file to its end.
  public func writeZeros(offset: Int64, length: Int64) throws(MappingError) {
    let end = try Self.end(of: offset, length, .pwrite, path)
    var position = offset
    while position < end {
      let count = min(Self.bytesAtOnce - position % Self.bytesAtOnce, end - position)
      try unsafe write(Self.zeros.span.bytes.extracting(0..<Int(count)), at: position)
      position += count
    }
  }

  /// How much one write brings into the page cache. The cache keeps that as one
  /// folio, and a sync writes the whole folio back for any change in it. Up to
  /// 64 KiB an msync of one page costs no more for that, and fresh pages cost a
  /// quarter of what they cost one by one; after larger writes it costs several
  /// times as much.
  static let bytesAtOnce: Int64 = 65_536
  private static let zeros = [UInt8](repeating: 0, count: Int(bytesAtOnce))

  /// The end of a range, checked for sense and overflow.
  private static func end(
    of offset: Int64, _ length: Int64, _ call: SystemCall, _ path: FilePath
  ) throws(MappingError) -> Int64 {
    guard offset >= 0, length > 0 else { throw MappingError(call, .invalidArgument, path) }
    let (end, overflow) = offset.addingReportingOverflow(length)
    guard !overflow else { throw MappingError(call, .fileTooLarge, path) }
    return end
  }
}
