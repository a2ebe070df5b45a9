public import SystemPackage

/// A range of a file, or memory without a file, to be read and written.
///
/// It is unmapped exactly once, when the value ends; the file may be closed
/// before. Bytes written to a shared mapping are in the page cache and survive
/// the end of the process. To survive power failure they need
/// ``sync(at:length:mode:invalidate:)``. A child of `fork` does not have the range
/// (see ``MappingOptions/inheritedByChildren``) and must not touch its bytes.
///
/// A store to a page without storage (the file was truncated, the disk is full)
/// goes into a page of zeros that nobody else sees, and the mapping is lost:
/// ``withBytes(_:)`` and ``withMutableBytes(_:)`` throw then, and after use of
/// ``bytes`` or ``mutableBytes`` ask ``isLost``.
public struct MutableMapping: ~Copyable, Sendable {
  private var region: MappedRegion

  /// Maps a range of a file (`mmap`).
  ///
  /// - Parameters:
  ///   - file: the file; it may be closed afterwards. For a shared mapping it
  ///     has to be open for writing.
  ///   - offset: where in the file, in bytes; a multiple of the page size.
  ///   - length: bytes, above 0. The file does not grow: an access beyond its last
  ///     page loses the mapping.
  ///   - sharing: with ``Sharing/private`` no change ever reaches the file.
  ///   - executable: whether the bytes can also be run as instructions.
  ///   - options: how to set it up.
  /// - Throws: ``MappingError``, for a wrong offset naming the page size, with
  ///   EACCES for a shared mapping of a file opened read-only.
  public init(
    _ file: borrowing File, offset: Int64 = 0, length: Int, sharing: Sharing = .shared,
    executable: Bool = false, options: MappingOptions = []
  ) throws(MappingError) {
    region = try MappedRegion(
      file, offset: offset, length: length,
      protection: executable ? [.read, .write, .execute] : [.read, .write], sharing: sharing,
      options: options)
  }

  /// Maps zeroed memory without a file (`mmap` with `MAP_ANONYMOUS`).
  ///
  /// - Parameters:
  ///   - length: bytes, above 0.
  ///   - sharing: ``Sharing/shared`` matters only together with
  ///     ``MappingOptions/inheritedByChildren``: parent and child then see each
  ///     other's changes.
  ///   - executable: whether the bytes can also be run as instructions.
  ///   - options: how to set it up.
  public init(
    anonymous length: Int, sharing: Sharing = .private, executable: Bool = false,
    options: MappingOptions = []
  ) throws(MappingError) {
    region = try MappedRegion(
      anonymous: length, protection: executable ? [.read, .write, .execute] : [.read, .write],
      sharing: sharing, options: options)
  }

  init(region: consuming MappedRegion) { self.region = region }

  /// Bytes that were mapped.
  public var length: Int { region.length }

  /// The file; `nil` for memory without one.
  public var path: FilePath? { region.path }

  /// Whether storage was lost since the range was mapped: one load. Once true, it
  /// stays true. After writing to ``mutableBytes``, put a full fence before it; a
  /// call of ``sync(at:length:mode:invalidate:)`` is one.
  public var isLost: Bool { region.isLost }

  /// The address of the first byte.
  package var base: UnsafeMutableRawPointer { unsafe region.base }

  /// The bytes, as long as the mapping lives and is not written to.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe RawSpan(_unsafeStart: region.base, byteCount: region.length)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes, to be written, as long as the mapping lives.
  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      let span = unsafe MutableRawSpan(_unsafeStart: region.base, byteCount: region.length)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Calls `body` with the bytes.
  ///
  /// - Throws: what `body` throws, or ``MappingError/Code/lost`` in place of its
  ///   result or error when storage was lost: `body` may have seen zeros.
  public borrowing func withBytes<Result: ~Copyable>(_ body: (RawSpan) throws -> Result) throws -> Result {
    try region.checked { try body(bytes) }
  }

  /// Calls `body` with the bytes, to be written.
  ///
  /// - Throws: what `body` throws, or ``MappingError/Code/lost`` in place of its
  ///   result or error when storage was lost: what `body` wrote may be lost too.
  public mutating func withMutableBytes<Result: ~Copyable>(
    _ body: (inout MutableRawSpan) throws -> Result
  ) throws -> Result {
    let base = unsafe region.base
    let length = region.length
    return try region.checked {
      var span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: length)
      return try body(&span)
    }
  }

  // MARK: Use

  /// Writes the changed pages of a range to the file (`msync`), widened to whole
  /// pages. With ``SyncMode/wait`` blocks until they are on the disk.
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
  ///   them. ``MappingError/Code/lost`` when storage was lost before.
  public borrowing func sync(
    at offset: Int, length: Int, mode: SyncMode = .wait, invalidate: Bool = false
  ) throws(MappingError) {
    try region.sync(at: offset, length: length, mode: mode, invalidate: invalidate)
    try region.checkNotLost()
  }

  /// Tells the kernel how a range will be used (`madvise`), widened to whole
  /// pages; see ``AccessPattern`` for what may change contents.
  public borrowing func advise(at offset: Int, length: Int, _ pattern: AccessPattern) throws(MappingError) {
    try region.advise(at: offset, length: length, pattern)
  }

  /// How many pages of a range are in memory (`mincore`): O(pages).
  public borrowing func residentPages(at offset: Int, length: Int) throws(MappingError) -> Int {
    try region.residentPages(at: offset, length: length)
  }

  /// Brings a range into memory and keeps it there (`mlock`); blocks while it is
  /// read. ENOMEM, EAGAIN and EPERM name the limit.
  public borrowing func lock(at offset: Int, length: Int) throws(MappingError) {
    try region.lock(at: offset, length: length)
  }

  /// Undoes ``lock(at:length:)`` for a range (`munlock`); locks do not nest.
  public borrowing func unlock(at offset: Int, length: Int) throws(MappingError) {
    try region.unlock(at: offset, length: length)
  }

  /// The same mapping, now read-only (`mprotect`).
  ///
  /// - Throws: ``MappingError``; the mapping is gone then.
  public consuming func readOnly() throws(MappingError) -> Mapping {
    try region.protectAll(.read)
    return Mapping(region: region)
  }

  /// The same mapping with another length (`mremap`), possibly at another
  /// address. Added bytes are zeros, or those of the file. Linux only.
  ///
  /// - Throws: ``MappingError``, with ENOMEM for want of address space. The
  ///   mapping is gone then; ``resize(to:)`` keeps it.
  public consuming func resized(to newLength: Int) throws(MappingError) -> MutableMapping {
    var region = region
    try region.resize(to: newLength)
    return MutableMapping(region: region)
  }

  /// Changes the length (`mremap`), possibly moving to another address. Linux
  /// only.
  ///
  /// - Throws: ``MappingError``; the mapping is as before then.
  public mutating func resize(to newLength: Int) throws(MappingError) {
    try region.resize(to: newLength)
  }
}
