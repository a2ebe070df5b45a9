import CMappedMemory
package import Synchronization
import SystemPackage

/// A range of address space into which files are mapped piece by piece.
///
/// A placed piece keeps its address while more is placed after it, so a file can
/// grow while others read it. The space itself costs no memory: it is mapped
/// `PROT_NONE` and `MAP_NORESERVE`. An access to a part where nothing is placed
/// ends the process with SIGSEGV.
///
/// Offsets count bytes from the start of the reservation. The functions are
/// system calls and may be called from any thread. A caller that replaces or
/// vacates a part has to know that nobody is using it.
///
/// **After `fork`** a child has neither the reservation nor what was placed,
/// except parts placed with ``MappingOptions/inheritedByChildren``. The end of
/// its copy of the value does nothing, and every other call throws
/// ``MappingError/Code/inherited``. Darwin has no such advice: there a child
/// shares the mapping, and still never unmaps.
///
/// **A lost part** (see ``MappingError/Code/lost``) marks the whole reservation
/// as lost. The zero page put in its place allows every kind of access that some
/// part of the reservation allows.
public struct Reservation: ~Copyable, Sendable {
  let region: MappedRegion

  /// Reserves `preferred` bytes of address space, or half of it, a quarter and
  /// so on, down to `minimum` (`mmap`).
  ///
  /// Takes more than `minimum` only if as much again is left over, so that a
  /// reservation does not use up a limit of address space (`ulimit -v`). Both
  /// numbers are rounded up to whole pages.
  ///
  /// - Throws: ``MappingError`` with ENOMEM when even `minimum` is refused, and
  ///   with EINVAL for numbers below 1.
  public init(atLeast minimum: Int, preferring preferred: Int) throws(MappingError) {
    try self.init(atLeast: minimum, preferring: preferred, lossFlag: LossFlag())
  }

  /// The same, for one of several mappings of a file that are lost together.
  package init(
    atLeast minimum: Int, preferring preferred: Int, lossFlag: LossFlag
  ) throws(MappingError) {
    guard minimum > 0, preferred >= minimum, let least = PageSize.roundUp(minimum),
      var length = PageSize.roundUp(preferred)
    else { throw MappingError(.mmap, .invalidArgument) }
    while length > least {
      if let base = try unsafe Self.reserveSparingly(length) {
        region = try unsafe MappedRegion(
          owning: base, length: length, path: nil, protection: .none, inherited: false,
          lossFlag: lossFlag)
        return
      }
      length = max(least, PageSize.roundDown(length / 2))
    }
    let base = try unsafe describing(.mmap, nil) { () throws(Errno) in
      try unsafe SystemCalls.map(
        length: least, protection: Protection.none.rawValue, flags: Self.emptyFlags)
    }
    region = try unsafe MappedRegion(
      owning: base, length: least, path: nil, protection: .none, inherited: false, lossFlag: lossFlag)
  }

  /// Reserves `length` bytes if as much again is free; nil otherwise. Where this process has no limit
  /// of address space, Linux has enough.
  private static func reserveSparingly(_ length: Int) throws(MappingError) -> UnsafeMutableRawPointer? {
    #if os(Linux)
      let isLimited = kvmap_address_space_limit() != .max
    #else
      let isLimited = true
    #endif
    let (twice, overflow) = length.multipliedReportingOverflow(by: 2)
    guard !overflow else { return nil }
    let base: UnsafeMutableRawPointer
    do throws(Errno) {
      unsafe base = try SystemCalls.map(
        length: isLimited ? twice : length, protection: Protection.none.rawValue, flags: emptyFlags)
    } catch {
      if error == .noMemory { return nil }
      throw MappingError(.mmap, error)
    }
    if !isLimited { return unsafe base }
    do throws(Errno) {
      try unsafe SystemCalls.unmap(base + length, length: length)
    } catch {
      try? unsafe SystemCalls.unmap(base, length: twice)
      if error == .noMemory { return nil }
      throw MappingError(.munmap, error)
    }
    return unsafe base
  }

  private static var emptyFlags: Int32 {
    SystemCalls.privateFlag | SystemCalls.anonymousFlag | kvmap_map_no_reserve()
  }

  /// Bytes of address space; a multiple of the page size.
  public var length: Int { region.length }

  /// The address of offset 0; it stays the same.
  package var base: UnsafeMutableRawPointer { unsafe region.base }

  /// Whether some part has lost its storage since the reservation was made.
  ///
  /// Ask after reading: one load. Once true, it stays true. After writing, put a
  /// full fence before it; a call of ``sync(at:length:mode:invalidate:)`` is one.
  public var isLost: Bool { region.isLost }

  /// The word that ``isLost`` reads: not 0 means lost. It lives as long as the
  /// reservation. Put an acquire fence between a read access and a relaxed load, a
  /// sequentially consistent one after a write.
  package var lostFlag: UnsafeMutablePointer<Atomic<UInt32>> { unsafe region.loss.flag.word }

  // MARK: Placing

  /// Maps a range of a file at an offset; replaces the old contents in one step
  /// (`mmap` with `MAP_FIXED`).
  ///
  /// - Parameters:
  ///   - file: the file; it may be closed afterwards.
  ///   - fileOffset: where in the file, in bytes; a multiple of the page size.
  ///   - offset: where in the reservation, in bytes; a multiple of the page size.
  ///   - length: bytes, above 0; the rest of the last page is mapped too. It may
  ///     reach beyond the end of the file; an access there loses the mapping.
  ///   - protection: what may be done with the pages.
  ///   - sharing: whether changes reach the file.
  ///   - options: how to set it up.
  /// - Throws: ``MappingError``. The old contents stay; if the system was out of
  ///   memory, the new ones or inaccessible space may have replaced them.
  public func place(
    _ file: borrowing File, fileOffset: Int64, at offset: Int, length: Int, protection: Protection,
    sharing: Sharing, options: MappingOptions = []
  ) throws(MappingError) {
    let path = file.path
    guard fileOffset >= 0, fileOffset % Int64(PageSize.bytes) == 0 else {
      throw MappingError(.misaligned(value: fileOffset), SystemCall.mmap.rawValue, path)
    }
    let flags = try sharing.flag | options.flags(operation: SystemCall.mmap.rawValue)
    try place(
      at: offset, length: length, protection: protection, flags: flags, options: options,
      descriptor: file.descriptor, fileOffset: fileOffset, path: path)
  }

  /// Maps zeroed memory without a file at an offset; replaces the old contents.
  ///
  /// Private to this process. The same rules as for files hold.
  public func placeAnonymous(
    at offset: Int, length: Int, protection: Protection, options: MappingOptions = []
  ) throws(MappingError) {
    let flags =
      try SystemCalls.privateFlag | SystemCalls.anonymousFlag
      | options.flags(operation: SystemCall.mmap.rawValue)
    try place(
      at: offset, length: length, protection: protection, flags: flags, options: options,
      descriptor: -1, fileOffset: 0, path: nil)
  }

  /// Unmaps the pieces in a range; the address space stays reserved.
  ///
  /// The range is widened to whole pages. Changes of a shared file mapping stay
  /// in the page cache and reach the disk as usual; all others vanish.
  public func vacate(at offset: Int, length: Int) throws(MappingError) {
    let pages = try unsafe region.pages(at: offset, length: length, for: .mmap)
    guard pages.count > 0 else { return }
    try place(
      at: PageSize.roundDown(offset), length: pages.count, protection: .none, flags: Self.emptyFlags,
      options: [], descriptor: -1, fileOffset: 0, path: nil)
  }

  private func place(
    at offset: Int, length: Int, protection: Protection, flags: Int32, options: MappingOptions,
    descriptor: Int32, fileOffset: Int64, path: FilePath?
  ) throws(MappingError) {
    guard length > 0 else { throw MappingError(.mmap, .invalidArgument, path) }
    guard offset % PageSize.bytes == 0 else {
      throw MappingError(.misaligned(value: Int64(offset)), SystemCall.mmap.rawValue, path)
    }
    let pages = try unsafe region.pages(at: offset, length: length, for: .mmap, of: path)
    // Before the pages are mapped: a fault may follow at once.
    region.loss.add(protection)
    if options.contains(.inheritedByChildren) { region.loss.inherit() }
    try describing(.mmap, path) { () throws(Errno) in
      _ = try unsafe SystemCalls.map(
        at: pages.baseAddress, length: pages.count, protection: protection.rawValue,
        flags: flags | SystemCalls.fixedFlag, descriptor: descriptor, offset: fileOffset)
    }
    if !options.contains(.inheritedByChildren) {
      try unsafe MappedRegion.keepFromChildren(region.base + offset, length: pages.count, path: path)
    }
  }
}
