import CMappedMemory
import SystemPackage

/// How a range of a file is locked.
public enum LockMode: Sendable, Hashable {
  /// Any number of holders, none of them exclusive.
  case shared
  /// One holder alone.
  case exclusive

  fileprivate var number: Int32 {
    switch self {
    case .shared: Int32(KVMAP_LOCK_SHARED)
    case .exclusive: Int32(KVMAP_LOCK_EXCLUSIVE)
    }
  }
}

/// A range of a file. The bytes need not exist: locks may lie beyond the end.
public struct FileRange: Sendable, Hashable {
  /// Where it starts, in bytes.
  public var offset: Int64
  /// Its length in bytes; 0 means everything from `offset` on.
  public var length: Int64

  /// A range by its start and length.
  public init(offset: Int64, length: Int64) {
    self.offset = offset
    self.length = length
  }
}

/// Locks of open files: `F_OFD_SETLK` and its kin.
///
/// They are advisory. They belong to the open file, that is to one ``File``
/// value. Two values exclude each other even in the same process and thread, and
/// closing another value of the same file releases nothing (unlike the older
/// `fcntl` locks, which belong to the process). They end when the file is
/// unlocked, or when the last descriptor and **mapping** made from it are gone.
/// So lock through a value that is never mapped.
///
/// A `fork`ed child's descriptor is of the same open file, so the child could
/// release its parent's locks; the calls below throw
/// ``MappingError/Code/inherited`` instead. The child's descriptor keeps the
/// parent's locks held until the child closes it or runs another program.
/// ``closeInForkedChildren()`` makes the child close it at once.
extension File {
  /// Takes a lock if no other holder excludes it; never waits.
  ///
  /// A lock that this value holds on the same range is converted in one step:
  /// from exclusive to shared always, the other way if no one else shares it.
  ///
  /// - Returns: whether it holds now; if not, an older lock of this value on
  ///   the range is unchanged.
  /// - Throws: ``MappingError`` with EBADF for an exclusive lock of a file
  ///   opened read-only, ENOLCK or EINVAL if the system offers no such locks,
  ///   EOVERFLOW past the largest offset.
  public func tryLock(_ mode: LockMode, range: FileRange) throws(MappingError) -> Bool {
    try checkOwn(.lock)
    var request = Self.request(mode.number, range)
    do {
      try SystemCalls.lock(descriptor, .lock, KVMAP_LOCK_TRY, &request)
      return true
    } catch .resourceTemporarilyUnavailable, .permissionDenied {
      return false
    } catch {
      throw MappingError(.lock, error, path)
    }
  }

  /// Takes a lock; waits as long as other holders exclude it. Blocks the thread,
  /// also across signals. Two callers that wait for each other wait for ever: the
  /// system does not detect that with these locks.
  public func lock(_ mode: LockMode, range: FileRange) throws(MappingError) {
    try checkOwn(.lockWaiting)
    var request = Self.request(mode.number, range)
    do {
      try SystemCalls.lock(descriptor, .lockWaiting, KVMAP_LOCK_WAIT, &request)
    } catch {
      throw MappingError(.lockWaiting, error, path)
    }
  }

  /// Releases the locks of this value on a range. Not an error if it holds none.
  public func unlock(range: FileRange) throws(MappingError) {
    try checkOwn(.lock)
    var request = Self.request(Int32(KVMAP_LOCK_NONE), range)
    do {
      try SystemCalls.lock(descriptor, .lock, KVMAP_LOCK_TRY, &request)
    } catch {
      throw MappingError(.lock, error, path)
    }
  }

  /// A range that another value has locked and that excludes the lock asked for;
  /// `nil` if there is none. Takes no lock (`F_OFD_GETLK`).
  ///
  /// One of possibly many, not necessarily the first. A value's own locks do not
  /// exclude it.
  public func conflictingLock(_ mode: LockMode, range: FileRange) throws(MappingError) -> FileRange? {
    try checkOwn(.lockQuery)
    var request = Self.request(mode.number, range)
    do {
      try SystemCalls.lock(descriptor, .lockQuery, KVMAP_LOCK_QUERY, &request)
    } catch {
      throw MappingError(.lockQuery, error, path)
    }
    if request.mode == Int32(KVMAP_LOCK_NONE) { return nil }
    return FileRange(offset: request.offset, length: request.length)
  }

  private static func request(_ mode: Int32, _ range: FileRange) -> kvmap_lock {
    kvmap_lock(mode: mode, offset: range.offset, length: range.length)
  }

  private func checkOwn(_ call: SystemCall) throws(MappingError) {
    guard isOwn else { throw MappingError(.inherited, call.rawValue, path) }
  }
}
