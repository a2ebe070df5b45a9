package import SystemPackage
import Synchronization

/// The system calls of this package, by the name that errors give them. A variant of a call that
/// a system may lack has a case of its own.
package enum SystemCall: String, Sendable, CaseIterable {
  case openUnnamed = "open(O_TMPFILE)"
  case open, close, fstat, stat, fstatfs, fchmod, lseek
  case duplicate = "fcntl(F_DUPFD_CLOEXEC)"
  case memfd = "memfd_create"
  case ftruncate, fallocate
  case zeroRange = "fallocate(FALLOC_FL_ZERO_RANGE)"
  case punchHole = "fallocate(FALLOC_FL_PUNCH_HOLE)"
  case clone = "ioctl(FICLONE)"
  case setFlags = "ioctl(FS_IOC_SETFLAGS)"
  case pread, pwrite, fsync, fdatasync
  case lock = "fcntl(F_OFD_SETLK)"
  case lockWaiting = "fcntl(F_OFD_SETLKW)"
  case lockQuery = "fcntl(F_OFD_GETLK)"
  case linkat, renameat, unlink, readlink
  case mmap, munmap, mprotect, msync, madvise, mincore, mlock, munlock, mremap
  case populateRead = "madvise(MADV_POPULATE_READ)"
  case populateWrite = "madvise(MADV_POPULATE_WRITE)"
  case dontFork = "madvise(MADV_DONTFORK)"
  case sigaction
}

/// Lets a test see every system call and make it fail.
///
/// The hook is asked before each attempt. What it returns is treated as the
/// outcome of the call: `nil` lets the real call happen. `EINTR` is retried
/// like a real one: the hook is asked again, and has to return something else
/// in the end.
package enum FaultInjection {
  package typealias Hook = @Sendable (SystemCall) -> Errno?

  private static let isInstalled = Atomic<Bool>(false)
  private static let lock = SpinLock()
  /// Only touched under `lock`.
  nonisolated(unsafe) private static var hook: Hook?

  /// Installs a hook for the whole process; `nil` removes it.
  package static func install(_ newHook: Hook?) {
    lock.withLock { unsafe hook = newHook }
    isInstalled.store(newHook != nil, ordering: .relaxed)
  }

  /// The error that a hook wants `call` to fail with. Without a hook: one relaxed load.
  @inline(__always)
  static func intercept(_ call: SystemCall) -> Errno? {
    guard isInstalled.load(ordering: .relaxed) else { return nil }
    return ask(call)
  }

  @inline(never)
  private static func ask(_ call: SystemCall) -> Errno? {
    // Called outside the lock: a hook may install another one.
    lock.withLock { unsafe hook }?(call)
  }
}
