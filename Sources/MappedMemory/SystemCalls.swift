import CMappedMemory
import SystemPackage

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Every system call of the package, each in exactly one place.
///
/// A wrapper asks ``FaultInjection`` first, repeats a call that a signal
/// interrupted, and throws the plain `Errno`; its caller adds the call and the
/// file. Memory calls are in `SystemCalls+Memory.swift`.
enum SystemCalls {
  /// Runs `body` until no signal interrupts it; -1 means that it failed.
  @inline(__always)
  static func retrying<Result: BinaryInteger>(
    _ call: SystemCall, _ body: () -> Result
  ) throws(Errno) -> Result {
    while true {
      if let injected = FaultInjection.intercept(call) {
        if injected == .interrupted { continue }
        throw injected
      }
      let result = body()
      if result != -1 { return result }
      let code = Errno(rawValue: errno)
      if code != .interrupted { throw code }
    }
  }

  // MARK: Descriptors

  /// A regular file ignores O_NONBLOCK; a pipe would wait without it.
  static func openFlags(writing: Bool, create: Bool, exclusive: Bool) -> Int32 {
    (writing ? O_RDWR : O_RDONLY) | O_NONBLOCK | (create ? O_CREAT : 0) | (exclusive ? O_EXCL : 0)
  }

  static var directoryFlags: Int32 { O_RDONLY | O_DIRECTORY }

  static func open(_ path: FilePath, flags: Int32, mode: UInt16) throws(Errno) -> Int32 {
    try aboveStreams { () throws(Errno) in
      try retrying(.open) {
        unsafe path.withPlatformString { unsafe openFile($0, flags | O_CLOEXEC | O_NOCTTY, mode_t(mode)) }
      }
    }
  }

  static func openUnnamed(in directory: FilePath, mode: UInt16) throws(Errno) -> Int32 {
    try aboveStreams { () throws(Errno) in
      try retrying(.openUnnamed) {
        unsafe directory.withPlatformString {
          unsafe kvmap_open_unnamed($0, O_RDWR | O_CLOEXEC, mode_t(mode))
        }
      }
    }
  }

  static func openInMemory(named name: String) throws(Errno) -> Int32 {
    try aboveStreams { () throws(Errno) in try retrying(.memfd) { unsafe kvmap_open_in_memory(name) } }
  }

  /// What `body` opens, with a number above those of the standard streams. The file never has
  /// one of their numbers, not even for a moment.
  private static func aboveStreams(_ body: () throws(Errno) -> Int32) throws(Errno) -> Int32 {
    let number = try MissingStreams.withPlaceholders(body)
    if number > STDERR_FILENO { return number }
    // Another part of the process has just closed a stream.
    defer { _ = closeDescriptor(number) }
    return try duplicate(number)
  }

  /// Not repeated after EINTR: the descriptor is closed then, and its number may
  /// already belong to another thread's file.
  static func close(_ descriptor: Int32) throws(Errno) {
    if let injected = FaultInjection.intercept(.close) {
      _ = closeDescriptor(descriptor)
      if injected != .interrupted { throw injected }
      return
    }
    if closeDescriptor(descriptor) != 0, errno != EINTR { throw Errno(rawValue: errno) }
  }

  static func duplicate(_ descriptor: Int32) throws(Errno) -> Int32 {
    try retrying(.duplicate) { fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) }
  }

  static func status(_ descriptor: Int32) throws(Errno) -> stat {
    var result = stat()
    _ = try retrying(.fstat) { unsafe fstat(descriptor, &result) }
    return result
  }

  static func status(of path: FilePath) throws(Errno) -> stat {
    var result = stat()
    _ = try retrying(.stat) { unsafe path.withPlatformString { unsafe statPath($0, &result) } }
    return result
  }

  static func setPermissions(_ descriptor: Int32, _ mode: UInt16) throws(Errno) {
    _ = try retrying(.fchmod) { fchmod(descriptor, mode_t(mode)) }
  }

  static func fileSystem(_ descriptor: Int32) throws(Errno) -> kvmap_file_system {
    var result = kvmap_file_system()
    _ = try retrying(.fstatfs) { unsafe kvmap_fstatfs(descriptor, &result) }
    return result
  }

  // MARK: Size and storage

  /// Throws EFBIG if the process would make the file longer than `RLIMIT_FSIZE`
  /// allows. The system would also send SIGXFSZ, which ends a process that does not
  /// handle it.
  ///
  /// Asked before each call rather than once: the limit can change. The limit is
  /// compared with the end of what is to be written; a file that is already longer
  /// may keep its length.
  private static func checkFileSizeLimit(_ descriptor: Int32, end: Int64) throws(Errno) {
    let limit = kvmap_file_size_limit()
    if UInt64(clamping: end) <= limit { return }
    let size = try status(descriptor).st_size
    if Int64(size) < end { throw .fileTooLarge }
  }

  static func setSize(_ descriptor: Int32, _ size: Int64) throws(Errno) {
    try checkFileSizeLimit(descriptor, end: size)
    _ = try retrying(.ftruncate) { ftruncate(descriptor, off_t(size)) }
  }

  static func allocate(_ descriptor: Int32, offset: Int64, length: Int64) throws(Errno) {
    try checkFileSizeLimit(descriptor, end: offset + length)
    _ = try retrying(.fallocate) { kvmap_fallocate(descriptor, offset, length) }
  }

  static func preallocate(_ descriptor: Int32, length: Int64) throws(Errno) {
    _ = try retrying(.fallocate) { kvmap_preallocate(descriptor, length) }
  }

  static func zeroRange(_ descriptor: Int32, offset: Int64, length: Int64) throws(Errno) {
    try checkFileSizeLimit(descriptor, end: offset + length)
    _ = try retrying(.zeroRange) { kvmap_zero_range(descriptor, offset, length) }
  }

  static func punchHole(_ descriptor: Int32, offset: Int64, length: Int64) throws(Errno) {
    _ = try retrying(.punchHole) { kvmap_punch_hole(descriptor, offset, length) }
  }

  static func clone(_ source: Int32, into target: Int32) throws(Errno) {
    _ = try retrying(.clone) { kvmap_clone(source, target) }
  }

  static func setCopyOnWrite(_ descriptor: Int32, _ copies: Bool) throws(Errno) {
    _ = try retrying(.setFlags) { kvmap_set_copy_on_write(descriptor, copies) }
  }

  static func seekData(_ descriptor: Int32, from offset: Int64) throws(Errno) -> Int64 {
    try retrying(.lseek) { kvmap_seek_data(descriptor, offset) }
  }

  static func seekHole(_ descriptor: Int32, from offset: Int64) throws(Errno) -> Int64 {
    try retrying(.lseek) { kvmap_seek_hole(descriptor, offset) }
  }

  // MARK: Contents

  static func read(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    try retrying(.pread) { unsafe pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
  }

  static func write(
    _ descriptor: Int32, from buffer: UnsafeRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    // Here the limit counts within the file as well. A write that begins before it
    // is done up to it.
    if UInt64(clamping: offset) >= kvmap_file_size_limit(), buffer.count > 0 { throw .fileTooLarge }
    return try retrying(.pwrite) {
      unsafe pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
    }
  }

  static func sync(_ descriptor: Int32) throws(Errno) {
    _ = try retrying(.fsync) { kvmap_full_sync(descriptor) }
  }

  static func dataSync(_ descriptor: Int32) throws(Errno) {
    _ = try retrying(.fdatasync) { kvmap_data_sync(descriptor) }
  }

  // MARK: Locks

  static func lock(
    _ descriptor: Int32, _ call: SystemCall, _ command: Int, _ request: inout kvmap_lock
  ) throws(Errno) {
    _ = try retrying(call) { unsafe kvmap_lock(descriptor, Int32(command), &request) }
  }

  // MARK: Names

  static func link(_ from: FilePath, as to: FilePath, followingLink: Bool) throws(Errno) {
    _ = try retrying(.linkat) {
      unsafe from.withPlatformString { source in
        unsafe to.withPlatformString { target in
          unsafe linkat(AT_FDCWD, source, AT_FDCWD, target, followingLink ? AT_SYMLINK_FOLLOW : 0)
        }
      }
    }
  }

  static func rename(_ from: FilePath, to: FilePath, replacing: Bool) throws(Errno) {
    _ = try retrying(.renameat) {
      unsafe from.withPlatformString { source in
        unsafe to.withPlatformString { target in unsafe kvmap_rename(source, target, replacing) }
      }
    }
  }

  /// The target of a symbolic link.
  static func target(of path: FilePath) throws(Errno) -> FilePath {
    var target = [CInterop.PlatformChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let length = try retrying(.readlink) {
      unsafe path.withPlatformString { name in
        unsafe target.withUnsafeMutableBufferPointer {
          unsafe readlink(name, $0.baseAddress!, $0.count - 1)
        }
      }
    }
    target[length] = 0
    return unsafe target.withUnsafeBufferPointer { unsafe FilePath(platformString: $0.baseAddress!) }
  }

  static func remove(_ path: FilePath) throws(Errno) {
    _ = try retrying(.unlink) { unsafe path.withPlatformString { unsafe unlink($0) } }
  }

  // MARK: Signals

  static func installFaultHandler() throws(Errno) {
    _ = try retrying(.sigaction) { kvmap_guard_install() }
  }
}

// These stand outside the enum because its own functions hide the system's.

private func openFile(_ path: UnsafePointer<CInterop.PlatformChar>, _ flags: Int32, _ mode: mode_t) -> Int32 {
  unsafe open(path, flags, mode)
}

private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }

private func statPath(_ path: UnsafePointer<CInterop.PlatformChar>, _ result: inout stat) -> Int32 {
  unsafe stat(path, &result)
}
