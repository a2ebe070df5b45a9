public import SystemPackage

/// A range of a file in memory, for reading.
///
/// It offers no way to write, so no store can end the process. It is unmapped
/// exactly once, when the value ends; the file may be closed before. A child of
/// `fork` does not have the range (see ``MappingOptions/inheritedByChildren``)
/// and must not touch ``bytes``.
///
/// If others change the file, these bytes change: check what was read before
/// relying on it, and copy what must not change. If the file is truncated or the
/// disk fails, the bytes become zeros and the mapping is lost: ``withBytes(_:)``
/// throws then, and after use of ``bytes`` ask ``isLost``.
public struct Mapping: ~Copyable, Sendable {
  private let region: MappedRegion

  /// Maps a range of a file (`mmap`).
  ///
  /// - Parameters:
  ///   - file: the file; it may be closed afterwards.
  ///   - offset: where in the file, in bytes; a multiple of the page size.
  ///   - length: bytes, above 0. Bytes beyond the end of the file read as zeros to
  ///     the end of the page; an access beyond that page loses the mapping.
  ///   - sharing: ``Sharing/private`` need not follow changes of the file.
  ///   - executable: whether the bytes can be run as instructions.
  ///   - options: how to set it up.
  /// - Throws: ``MappingError``, for a wrong offset naming the page size.
  public init(
    _ file: borrowing File, offset: Int64 = 0, length: Int, sharing: Sharing = .shared,
    executable: Bool = false, options: MappingOptions = []
  ) throws(MappingError) {
    region = try MappedRegion(
      file, offset: offset, length: length, protection: executable ? [.read, .execute] : .read,
      sharing: sharing, options: options)
  }

  init(region: consuming MappedRegion) { self.region = region }

  /// Bytes that were mapped.
  public var length: Int { region.length }

  /// The file; `nil` for memory without one.
  public var path: FilePath? { region.path }

  /// Whether the storage was lost since the range was mapped: one load. Once
  /// true, it stays true.
  public var isLost: Bool { region.isLost }

  /// The address of the first byte.
  package var base: UnsafeRawPointer { unsafe UnsafeRawPointer(region.base) }

  /// The bytes, as long as the mapping lives. Zeros where storage was lost: ask
  /// ``isLost`` before relying on what was read.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe RawSpan(_unsafeStart: region.base, byteCount: region.length)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Calls `body` with the bytes.
  ///
  /// - Throws: what `body` throws, or ``MappingError/Code/lost`` in place of its
  ///   result or error when storage was lost: `body` may have seen zeros.
  public borrowing func withBytes<Result: ~Copyable>(_ body: (RawSpan) throws -> Result) throws -> Result {
    try region.checked { try body(bytes) }
  }

  // MARK: Use

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

  /// The same mapping, to be written from now on (`mprotect`).
  ///
  /// - Throws: ``MappingError`` with EACCES for a shared mapping of a file that
  ///   was opened read-only. The mapping is gone then.
  public consuming func writable() throws(MappingError) -> MutableMapping {
    try region.protectAll([.read, .write])
    return MutableMapping(region: region)
  }

  /// The same mapping with another length (`mremap`), possibly at another
  /// address. Linux only.
  ///
  /// - Throws: ``MappingError``, with ENOMEM for want of address space. The
  ///   mapping is gone then.
  public consuming func resized(to newLength: Int) throws(MappingError) -> Mapping {
    var region = region
    try region.resize(to: newLength)
    return Mapping(region: region)
  }
}
