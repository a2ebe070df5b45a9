import CMappedMemory
import SystemPackage

extension Reservation {
  /// Changes what may be done with a range (`mprotect`), widened to whole pages.
  ///
  /// - Throws: ``MappingError`` with EACCES when a shared mapping of a file
  ///   that was opened read-only would become writable.
  public func protect(at offset: Int, length: Int, _ protection: Protection) throws(MappingError) {
    region.loss.add(protection)
    try region.protect(at: offset, length: length, protection)
  }

  /// Writes the changed pages of a range to the file (`msync`), widened to
  /// whole pages. With ``SyncMode/wait`` blocks until they are on the disk.
  ///
  /// - Parameters:
  ///   - offset: where the range begins, in bytes.
  ///   - length: its length in bytes.
  ///   - mode: whether to wait for the disk.
  ///   - invalidate: also makes other mappings show the file as it is (`MS_INVALIDATE`).
  ///     On Linux they always do, and the flag only makes the call fail with EBUSY for
  ///     locked pages.
  /// - Throws: ``MappingError``. After a failure (EIO, ENOSPC) the kernel may
  ///   mark the pages clean: a second call succeeds without having written
  ///   them.
  public func sync(
    at offset: Int, length: Int, mode: SyncMode = .wait, invalidate: Bool = false
  ) throws(MappingError) {
    try region.sync(at: offset, length: length, mode: mode, invalidate: invalidate)
  }

  /// Tells the kernel how a range will be used (`madvise`), widened to whole
  /// pages.
  public func advise(at offset: Int, length: Int, _ pattern: AccessPattern) throws(MappingError) {
    try region.advise(at: offset, length: length, pattern)
  }

  /// The same for advice that the caller can do without: no error if the system lacks it, or
  /// refuses it to this process.
  package func hint(at offset: Int, length: Int, _ pattern: AccessPattern) throws(MappingError) {
    do {
      try advise(at: offset, length: length, pattern)
    } catch {
      guard error.isRefusal else { throw error }
    }
  }

  /// How many pages of a range are in memory (`mincore`): O(pages).
  ///
  /// Counts pages in the page cache, whether or not this process has touched them.
  public func residentPages(at offset: Int, length: Int) throws(MappingError) -> Int {
    try region.residentPages(at: offset, length: length)
  }

  /// Brings a range into memory and keeps it there (`mlock`), widened to whole
  /// pages. Blocks while it is read.
  ///
  /// - Throws: ``MappingError`` with ENOMEM, EAGAIN or EPERM, whose advice names
  ///   the limit.
  public func lock(at offset: Int, length: Int) throws(MappingError) {
    try region.lock(at: offset, length: length)
  }

  /// Undoes ``lock(at:length:)`` for a range (`munlock`); locks do not nest.
  public func unlock(at offset: Int, length: Int) throws(MappingError) {
    try region.unlock(at: offset, length: length)
  }

  /// Calls `body` with the bytes of a range, which must be placed with the
  /// protection that `body` needs. The pointer is valid inside `body` only.
  ///
  /// - Throws: ``MappingError/Code/lost``, also in place of an error of `body`,
  ///   when a part of the reservation lost its storage: `body` may have seen
  ///   zeros. ``MappingError/Code/outOfBounds(offset:length:available:)`` for a
  ///   range outside.
  @unsafe
  public func withUnsafeMutableBytes<Result: ~Copyable>(
    at offset: Int, length: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result
  ) throws -> Result {
    try region.check(at: offset, length: length, for: .mmap)
    return try region.checked {
      try unsafe body(UnsafeMutableRawBufferPointer(start: base + offset, count: length))
    }
  }
}
