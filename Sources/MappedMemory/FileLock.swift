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

/// A range of a file, which need not exist: locks may lie behind the end.
public struct FileRange: Sendable, Hashable {
  /// Where it starts, in bytes.
  public var offset: Int64
  /// Its length in bytes; 0 means all from `offset` on, however far.
  public var length: Int64

  /// A range by its start and length.
  public init(offset: Int64, length: Int64) {
    self.offset = offset
    self.length = length
  }
}

/// Locks of open files: `F_OFD_SETLK` and its kin.
///
/// They bind only those who ask for them. They belong to the open file, that
/// is to one ``File`` value: two values exclude each other even in the same
/// process and thread, and closing another value of the same file gives up
/// nothing (unlike the older `fcntl` locks, which belong to the process). They
/// end when the file is unlocked or the last descriptor and **mapping** made
/// from it are gone: lock through a value that is never mapped.
///
/// A `fork`ed child's descriptor is of the same open file, so the child could
/// give up its parent's locks; the calls below throw
/// ``MappingError/Code/inherited`` instead. Its mere existence keeps the
/// parent's locks held until it closes the file or runs another program:
/// ``closeInForkedChildren()`` has it do so at once.
extension File {
  /// Takes a lock if nobody else is in the way; never waits.
  ///
  /// A lock that this value holds on the same range is converted in one step:
  /// from exclusive to shared always, the other way if no one else shares it.
  ///
  /// - Returns: whether it holds now; if not, an older lock of this value on
  ///   the range is unchanged.
  /// - Throws: ``MappingError`` with EBADF for an exclusive lock of a file
  ///   opened read-only, ENOLCK or EINVAL where locks are not to be had,
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

  /// Takes a lock, waiting for as long as others are in the way. Blocks the
  /// thread, also across signals. Two that wait for one another wait for ever:
  /// the system does not look for that with these locks.
  public func lock(_ mode: LockMode, range: FileRange) throws(MappingError) {
    try checkOwn(.lockWaiting)
    var request = Self.request(mode.number, range)
    do {
      try SystemCalls.lock(descriptor, .lockWaiting, KVMAP_LOCK_WAIT, &request)
    } catch {
      throw MappingError(.lockWaiting, error, path)
    }
  }

  /// Gives up what this value holds of a range; nothing held is no error.
  public func unlock(range: FileRange) throws(MappingError) {
    try checkOwn(.lock)
    var request = Self.request(Int32(KVMAP_LOCK_NONE), range)
    do {
      try SystemCalls.lock(descriptor, .lock, KVMAP_LOCK_TRY, &request)
    } catch {
      throw MappingError(.lock, error, path)
    }
  }

  /// A range that someone else has locked and that stands in the way of a lock;
  /// `nil` when nothing does. Takes no lock (`F_OFD_GETLK`).
  ///
  /// One of possibly many, not necessarily the first. Locks of this value are
  /// never in its own way.
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
