import SystemPackage

extension File {
  /// Reads bytes at an offset (`pread`).
  ///
  /// - Returns: how many; fewer than the buffer holds only at the end of the
  ///   file.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(MappingError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = try describing(.pread, path) { () throws(Errno) in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        return try unsafe SystemCalls.read(descriptor, into: rest, at: offset + Int64(done))
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Reads up to `count` bytes at an offset (`pread`); fewer only at the end of
  /// the file.
  public func read(count: Int, at offset: Int64) throws(MappingError) -> [UInt8] {
    guard count >= 0, offset >= 0, offset <= Int64.max - Int64(count) else {
      throw MappingError(.pread, .invalidArgument, path)
    }
    // No more than the file has: `count` may come from an untrusted source.
    let available = max(0, try status().size - offset)
    var bytes = [UInt8](repeating: 0, count: Int(min(Int64(count), available)))
    var span = bytes.mutableSpan
    var rawSpan = unsafe span.mutableBytes
    let done = try unsafe rawSpan.withUnsafeMutableBytes { buffer throws(MappingError) in
      try unsafe read(into: buffer, at: offset)
    }
    bytes.removeLast(bytes.count - done)
    return bytes
  }

  /// Writes all bytes at an offset (`pwrite`), extending the file if needed.
  ///
  /// Afterwards they are in the page cache and in every shared mapping; on the disk
  /// only after a sync. The bytes may come from a mapping: if that has lost its
  /// storage, the call throws EFAULT.
  ///
  /// - Throws: ``MappingError``; a part of the bytes may have been written.
  public func write(_ bytes: RawSpan, at offset: Int64) throws(MappingError) {
    try unsafe bytes.withUnsafeBytes { buffer throws(MappingError) in
      var done = 0
      while done < buffer.count {
        done += try describing(.pwrite, path) { () throws(Errno) in
          let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
          let count = try unsafe SystemCalls.write(descriptor, from: rest, at: offset + Int64(done))
          // Nothing was written and no error reported: do not retry for ever.
          guard count > 0 else { throw .noSpace }
          return count
        }
      }
    }
  }

  /// Copies the parts of a range that have storage from another file, and leaves holes where that
  /// has them.
  ///
  /// - Throws: ``MappingError``; a part may have been copied.
  package func copyData(
    _ range: Range<Int64>, of source: borrowing File
  ) throws(MappingError) {
    var bytes = [UInt8](repeating: 0, count: Int(Self.bytesAtOnce))
    for data in try source.dataRanges(from: range.lowerBound, to: range.upperBound) {
      var position = data.lowerBound
      while position < data.upperBound {
        let end = min(data.upperBound, (position / Self.bytesAtOnce + 1) * Self.bytesAtOnce)
        var span = bytes.mutableSpan
        var rawSpan = unsafe span.mutableBytes
        let count = try unsafe rawSpan.withUnsafeMutableBytes { buffer throws(MappingError) in
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(end - position)])
          return try unsafe source.read(into: part, at: position)
        }
        try unsafe write(bytes.span.bytes.extracting(0..<count), at: position)
        position = end
      }
    }
  }

  /// Waits until contents and size are on the disk (`fsync`; `F_FULLFSYNC` on
  /// Darwin, which includes the drive's own cache).
  ///
  /// - Throws: ``MappingError``. After a failure (EIO, ENOSPC) the kernel may
  ///   mark pages clean that it could not write: a second call succeeds without
  ///   having written them.
  public func sync() throws(MappingError) {
    try describing(.fsync, path) { () throws(Errno) in try SystemCalls.sync(descriptor) }
  }

  /// As ``sync()``, but leaves out metadata that reading the contents does not
  /// need, such as times (`fdatasync`). A changed size is included.
  public func dataSync() throws(MappingError) {
    try describing(.fdatasync, path) { () throws(Errno) in try SystemCalls.dataSync(descriptor) }
  }
}
