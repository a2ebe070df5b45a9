import CMappedMemory
import Synchronization
import SystemPackage

/// Pages of this process's address space: the one owner that unmaps them.
///
/// The common part of ``Mapping``, ``MutableMapping`` and ``Reservation``.
/// Ranges are given as offsets from the start; they are checked against
/// `length` and widened to whole pages for calls that work on pages.
///
/// Unchecked: nobody else owns the pointer, only the kernel changes the mapping,
/// and the functions below are system calls that any thread may make.
@safe
struct MappedRegion: ~Copyable, @unchecked Sendable {
  private(set) var base: UnsafeMutableRawPointer
  /// Bytes that were asked for; the last page may be mapped beyond them.
  private(set) var length: Int
  let path: FilePath?
  let loss: LossGuard

  /// Takes over `length` bytes mapped at `base`; unmaps them if that fails.
  init(
    owning base: UnsafeMutableRawPointer, length: Int, path: FilePath?, protection: Protection,
    inherited: Bool, lossFlag: LossFlag = LossFlag()
  ) throws(MappingError) {
    do {
      let loss = try unsafe LossGuard(base, length: length, protection: protection, flag: lossFlag)
      if inherited {
        loss.inherit()
      } else {
        try unsafe Self.keepFromChildren(base, length: length, path: path)
      }
      self.loss = loss
    } catch {
      try? unsafe SystemCalls.unmap(base, length: length)
      throw error
    }
    unsafe self.base = base
    self.length = length
    self.path = path
  }

  deinit {
    // In a child the range is missing, and something else may be mapped at
    // the address.
    guard loss.isOwn else { return }
    // The entry is removed first: once unmapped, the address may belong to another mapping.
    loss.suspend()
    try? unsafe SystemCalls.unmap(base, length: length)
  }

  static func keepFromChildren(
    _ base: UnsafeMutableRawPointer, length: Int, path: FilePath?
  ) throws(MappingError) {
    let advice = kvmap_advice_dont_fork()
    guard advice >= 0 else { return }
    do {
      try unsafe SystemCalls.advise(base, length: length, advice)
    } catch {
      // A child that still has the range neither uses nor unmaps it.
      guard error.isRefusal else { throw MappingError(.dontFork, error, path) }
    }
  }

  var isLost: Bool {
    // The access that is checked comes first, then the flag; the handler sets
    // the flag first, then the page.
    atomicMemoryFence(ordering: .acquiring)
    return unsafe loss.flag.word.pointee.load(ordering: .relaxed) != 0
  }

  /// Throws if storage was lost; for use after stores, too.
  func checkNotLost() throws(MappingError) {
    // A full fence: with a weaker one, a processor may load the flag before it
    // has accessed the page of an earlier store.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if isLost { throw .lost(path) }
  }

  // MARK: Ranges

  /// The whole pages around a range.
  func pages(
    at offset: Int, length count: Int, for call: SystemCall, of file: FilePath? = nil
  ) throws(MappingError) -> UnsafeMutableRawBufferPointer {
    try check(at: offset, length: count, for: call, of: file)
    let start = PageSize.roundDown(offset)
    let size = (PageSize.roundUp(offset + count) ?? length) - start
    return unsafe UnsafeMutableRawBufferPointer(start: base + start, count: size)
  }

  func check(
    at offset: Int, length count: Int, for call: SystemCall, of file: FilePath? = nil
  ) throws(MappingError) {
    let path = file ?? path
    guard offset >= 0, count >= 0, offset <= length, count <= length - offset else {
      throw MappingError(
        .outOfBounds(offset: offset, length: count, available: length), call.rawValue, path)
    }
    guard loss.isOwn else { throw MappingError(.inherited, call.rawValue, path) }
  }

  /// Calls `body` with the pages around a range, unless there are none.
  private func overPages(
    at offset: Int, length count: Int, _ call: SystemCall,
    _ body: (UnsafeMutableRawPointer, Int) throws(Errno) -> Void
  ) throws(MappingError) {
    let pages = try unsafe pages(at: offset, length: count, for: call)
    guard let start = pages.baseAddress, pages.count > 0 else { return }
    try describing(call, path) { () throws(Errno) in try unsafe body(start, pages.count) }
  }

  // MARK: Calls

  func protect(at offset: Int, length count: Int, _ protection: Protection) throws(MappingError) {
    try unsafe overPages(at: offset, length: count, .mprotect) { (start, size) throws(Errno) in
      try unsafe SystemCalls.protect(start, length: size, protection.rawValue)
    }
  }

  func sync(at offset: Int, length count: Int, mode: SyncMode, invalidate: Bool) throws(MappingError) {
    let flags = mode.flag | (invalidate ? SystemCalls.invalidateFlag : 0)
    try unsafe overPages(at: offset, length: count, .msync) { (start, size) throws(Errno) in
      try unsafe SystemCalls.sync(start, length: size, flags: flags)
    }
  }

  func advise(at offset: Int, length count: Int, _ pattern: AccessPattern) throws(MappingError) {
    let advice = try pattern.advice()
    let call = SystemCalls.call(for: advice)
    try unsafe overPages(at: offset, length: count, call) { (start, size) throws(Errno) in
      try unsafe SystemCalls.advise(start, length: size, advice)
    }
  }

  func residentPages(at offset: Int, length count: Int) throws(MappingError) -> Int {
    var resident = 0
    // 1 GiB per step with 4 KiB pages, so that the answer stays small.
    let step = PageSize.bytes << 18
    var position = offset
    try check(at: offset, length: count, for: .mincore)
    while position < offset + count {
      let size = min(step - position % step, offset + count - position)
      try unsafe overPages(at: position, length: size, .mincore) { (start, size) throws(Errno) in
        for page in try unsafe SystemCalls.residency(start, length: size) where page & 1 != 0 {
          resident += 1
        }
      }
      position += size
    }
    return resident
  }

  func lock(at offset: Int, length count: Int) throws(MappingError) {
    try unsafe overPages(at: offset, length: count, .mlock) { (start, size) throws(Errno) in
      try unsafe SystemCalls.lockMemory(start, length: size)
    }
  }

  func unlock(at offset: Int, length count: Int) throws(MappingError) {
    try unsafe overPages(at: offset, length: count, .munlock) { (start, size) throws(Errno) in
      try unsafe SystemCalls.unlockMemory(start, length: size)
    }
  }

  /// Changes the length, at this address or another.
  mutating func resize(to newLength: Int) throws(MappingError) {
    try check(at: 0, length: length, for: .mremap)
    guard newLength > 0 else {
      throw MappingError(
        .outOfBounds(offset: 0, length: newLength, available: length), SystemCall.mremap.rawValue, path)
    }
    // Suspended during the call: as soon as the pages move, another thread may
    // map and enter something at the old address.
    loss.suspend()
    do {
      unsafe base = try SystemCalls.remap(base, length: length, to: newLength)
      length = newLength
    } catch {
      unsafe loss.resume(base, length: length)
      throw MappingError(.mremap, error, path)
    }
    unsafe loss.resume(base, length: length)
  }
}
