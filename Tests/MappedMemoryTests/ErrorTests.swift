import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

/// Produces each error of mmap(2) and its kin that this system can give.
///
/// The others are injected in `FaultInjectionTests`:
/// - ENFILE: a process with CAP_SYS_ADMIN passes the limit of the system's file
///   table; lowering it for others would disturb the machine.
/// - EAGAIN for a locked file: mandatory locks left Linux with 5.15.
/// - EBADF of mmap: a `File` always has an open descriptor.
/// - EOVERFLOW by offset plus length in pages: 32-bit systems only; here the file
///   system gives it.
/// - EDQUOT: needs a file system with quotas. EIO of a real disk: needs a device
///   that fails; here a file of /proc gives it.
/// - ENOLCK, EOPNOTSUPP of locks and of fallocate: all file systems here have them.
@Suite("Errors of the system")
struct ErrorTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  /// Checks what every message has to say.
  private func check(
    _ error: MappingError, _ operation: String, _ errno: Errno, saying words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(error.operation == operation, sourceLocation: sourceLocation)
    #expect(error.code == .system(errno), sourceLocation: sourceLocation)
    #expect(error.errno == errno, sourceLocation: sourceLocation)
    #expect(error.description.contains(operation), sourceLocation: sourceLocation)
    if let path = error.path {
      #expect(error.description.contains(path.string), sourceLocation: sourceLocation)
    }
    for word in words { #expect(error.description.contains(word), sourceLocation: sourceLocation) }
  }

  // MARK: mmap

  @Test("EACCES: a file opened read-only, mapped shared to be written; and mprotect of one")
  func readOnlyFile() throws {
    _ = try scratch.file(pages: 1)
    let file = try File(opening: scratch.path(), access: .readOnly)
    let error = try mappingError { _ = try MutableMapping(file, length: page) }
    check(error, "mmap", .permissionDenied, saying: ".readWrite")
    #expect(error.path == scratch.path())
    let protecting = try mappingError { _ = try Mapping(file, length: page).writable() }
    check(protecting, "mprotect", .permissionDenied, saying: ".readWrite")
  }

  @Test("A misaligned offset: the error says the page size", arguments: [Int64(1), 4095, 100, -4096])
  func misaligned(offset: Int64) throws {
    let file = try scratch.file(pages: 1)
    let error = try mappingError { _ = try Mapping(file, offset: offset, length: 1) }
    #expect(error.code == .misaligned(value: offset))
    #expect(error.errno == .invalidArgument)
    #expect(error.description.contains("\(PageSize.bytes)"))
    #expect(error.description.contains("\(offset)"))
    #expect(throws: MappingError.self) { _ = try MutableMapping(file, offset: offset, length: 1) }
  }

  @Test("EINVAL: nothing to map")
  func noLength() throws {
    let file = try scratch.file(pages: 1)
    check(
      try mappingError { _ = try Mapping(file, length: 0) }, "mmap", .invalidArgument, saying: "above zero")
    check(try mappingError { _ = try MutableMapping(anonymous: 0) }, "mmap", .invalidArgument)
  }

  @Test("ENOMEM: a length that no address space holds", arguments: [1 << 60, Int.max, -1])
  func absurdLength(length: Int) throws {
    let file = try scratch.file(pages: 1)
    let error = try mappingError { _ = try Mapping(file, length: length) }
    #expect([.noMemory, .overflow].contains(error.errno))
    check(
      try mappingError { _ = try MutableMapping(anonymous: length) }, "mmap", .noMemory,
      saying: "address space")
  }

  @Test("EOVERFLOW: past the largest offset of a file")
  func overflow() throws {
    let file = try scratch.file(pages: 1)
    let last = Int64.max - Int64.max % Int64(page)
    let error = try mappingError { _ = try Mapping(file, offset: last, length: 2 * page) }
    check(error, "mmap", .overflow, saying: "largest file offset")
  }

  @Test("ENODEV: a file that cannot be mapped; EIO: one whose mapping fails")
  func unmappable() throws {
    let file = try File(opening: "/proc/self/status", access: .readOnly)
    check(try mappingError { _ = try Mapping(file, length: page) }, "mmap", .operationNotSupportedByDevice)
    let broken = try File(opening: "/proc/version", access: .readOnly)
    check(try mappingError { _ = try Mapping(broken, length: page) }, "mmap", .ioError)
  }

  @Test("EPERM: execution on a file system mounted noexec, and writing to a sealed file")
  func forbidden() throws {
    let file = try File(opening: "/proc/version", access: .readOnly)
    let error = try mappingError { _ = try Mapping(file, length: page, executable: true) }
    // Where /proc is mounted without noexec, the mapping fails for another reason.
    let isNoExec = try kernelText("/proc/self/mountinfo").split(separator: "\n")
      .contains { $0.contains(" /proc ") && $0.contains("noexec") }
    if isNoExec { check(error, "mmap", .notPermitted, saying: "noexec") }

    typealias Create = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
    let allowSealing: UInt32 = 2
    let descriptor = unsafe hidden("memfd_create", as: Create.self)("sealed", allowSealing)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let sealed = try File(opening: FilePath("/proc/self/fd/\(descriptor)"), access: .readWrite)
    try sealed.setSize(Int64(page))
    let addSeals: Int32 = 1033
    let sealWrite: Int32 = 8
    try #require(fcntl(descriptor, addSeals, sealWrite) == 0)
    check(
      try mappingError { _ = try MutableMapping(sealed, length: page) }, "mmap", .notPermitted,
      saying: "sealed")
    #expect(throws: Never.self) { _ = try MutableMapping(sealed, length: page, sharing: .private) }
  }

  // MARK: Limits, in processes of their own

  @Test("EAGAIN and ENOMEM: more locked memory than allowed; the error names the limit")
  func lockedMemoryLimit() async {
    await #expect(processExitsWith: .success) {
      try limit(.lockedMemory, to: 65536, dropPrivileges: true)
      let mapped = try mappingError { _ = try MutableMapping(anonymous: 1 << 20, options: .locked) }
      #expect(mapped.errno == .resourceTemporarilyUnavailable)
      #expect(mapped.operation == "mmap")
      let mapping = try MutableMapping(anonymous: 1 << 20)
      let locked = try mappingError { try mapping.lock(at: 0, length: 1 << 20) }
      #expect(locked.errno == .noMemory)
      #expect(locked.operation == "mlock")
      for error in [mapped, locked] {
        #expect(error.description.contains("RLIMIT_MEMLOCK"))
        #expect(error.description.contains("65536 bytes"))
      }
      try mapping.lock(at: 0, length: 16384)
      #expect(try mapping.kernelView()?.flags.contains("lo") == true)
    }
  }

  @Test("EPERM: no memory may be locked; the error names the limit")
  func noLockedMemory() async {
    await #expect(processExitsWith: .success) {
      try limit(.lockedMemory, to: 0, dropPrivileges: true)
      let mapping = try MutableMapping(anonymous: PageSize.bytes)
      let locked = try mappingError { try mapping.lock(at: 0, length: 1) }
      #expect(locked.errno == .notPermitted)
      #expect(locked.description.contains("RLIMIT_MEMLOCK is 0 bytes"))
      let mapped = try mappingError { _ = try MutableMapping(anonymous: 1 << 20, options: .locked) }
      #expect(mapped.errno == .notPermitted)
      #expect(mapped.description.contains("RLIMIT_MEMLOCK"))
    }
  }

  @Test("EMFILE: too many open files; the error names the limit")
  func tooManyFiles() async {
    await #expect(processExitsWith: .success) {
      try limit(.openFiles, to: 40, dropPrivileges: false)
      func open(_ depth: Int) throws {
        let file = try File(opening: "/proc/self/status", access: .readOnly)
        if depth < 40 { try open(depth + 1) }
        _ = try file.status()
      }
      let error = try mappingError { try open(0) }
      #expect(error.errno == .tooManyOpenFiles)
      #expect(error.description.contains("40 files"))
    }
  }

  @Test("EFBIG: past the largest file; past the limit of the process")
  func tooLarge() async throws {
    let file = try scratch.file(pages: 1)
    check(try mappingError { try file.setSize(.max) }, "ftruncate", .fileTooLarge)
    check(try mappingError { try file.allocate(offset: .max, length: 1) }, "fallocate", .fileTooLarge)
    check(try mappingError { try file.writeZeros(offset: .max, length: 1) }, "pwrite", .fileTooLarge)
    await #expect(processExitsWith: .success) {
      // Unless it is ignored, this signal ends the process before there is an error.
      signal(SIGXFSZ, SIG_IGN)
      try limit(.fileSize, to: 1 << 20, dropPrivileges: false)
      let file = try File(unnamedIn: "/tmp")
      for attempt in 0..<3 {
        let error = try mappingError {
          switch attempt {
          case 0: try file.setSize(2 << 20)
          case 1: try file.allocate(offset: 0, length: 2 << 20)
          default: try file.writeZeros(offset: 1 << 20, length: 4096)
          }
        }
        #expect(error.errno == .fileTooLarge)
        #expect(error.description.contains("ulimit -f"))
      }
    }
  }

  @Test("ENOSPC: a full disk is an error; EROFS: a read-only one", .enabled(if: Capability.sysAdmin.isHeld))
  func fullDisk() async {
    // Made and removed out here: in the child it is a mount point, which cannot be removed.
    await #expect(processExitsWith: .success) { [directory = scratch.directory.string as String] in
      let scratch = Scratch(existing: FilePath(directory))
      try mountTemporaryFileSystem(at: scratch.directory, options: "size=1m")
      let page = PageSize.bytes
      do {
        let file = try File(opening: scratch.path(), access: .readWrite, create: true)
        let allocating = try mappingError { try file.allocate(offset: 0, length: 2 << 20) }
        #expect(allocating.errno == .noSpace)
        #expect(allocating.operation == "fallocate")
        #expect(allocating.description.contains("disk is full"))
        let writing = try mappingError { try file.writeZeros(offset: 0, length: 2 << 20) }
        #expect(writing.errno == .noSpace)
        #expect(writing.path == scratch.path())

        // The first file fills the disk: there is no room for a second one.
        let sparse = try File(opening: scratch.path("sparse"), access: .readWrite, create: true)
        try sparse.setSize(1 << 20)
        let space = try Reservation(atLeast: 1 << 20, preferring: 1 << 20)
        try space.place(
          sparse, fileOffset: 0, at: 0, length: 1 << 20, protection: [.read, .write], sharing: .shared)
        #expect(
          try mappingError { try space.advise(at: 0, length: 1 << 20, .populateWrite) }.errno == .badAddress)
        #expect(space.isLost == false)
        var mapping = try MutableMapping(sparse, length: page)
        #expect(try mappingError { try mapping.set(0, to: 1) }.code == .lost)
        #expect(mapping.isLost == true)
        #expect(space.isLost == false)
      }
      try remountReadOnly(scratch.directory)
      let error = try mappingError { _ = try File(opening: scratch.path(), access: .readWrite) }
      #expect(error.errno == .readOnlyFileSystem)
      let file = try File(opening: scratch.path(), access: .readOnly)
      #expect(try file.isOnReadOnlyFileSystem())
      #expect(try file.fileSystem().totalBytes == 1 << 20)
    }
  }

  // MARK: open

  @Test("ETXTBSY: a running program opened for writing")
  func running() throws {
    let error = try mappingError { _ = try File(opening: "/proc/self/exe", access: .readWrite) }
    check(error, "open", .textFileBusy, saying: "running")
  }

  @Test("ENOENT, EEXIST, ENOTDIR, ELOOP, ENAMETOOLONG")
  func names() throws {
    _ = try scratch.file(pages: 1)
    check(
      try mappingError { _ = try File(opening: scratch.path("none"), access: .readOnly) }, "open",
      .noSuchFileOrDirectory)
    check(
      try mappingError {
        _ = try File(opening: scratch.path(), access: .readWrite, create: true, exclusive: true)
      }, "open", .fileExists, saying: "Nothing was replaced")
    check(
      try mappingError { _ = try File(opening: scratch.path().appending("below"), access: .readOnly) },
      "open",
      .notDirectory)
    try FileManager.default.createSymbolicLink(
      atPath: scratch.path("loop").string, withDestinationPath: "loop")
    check(
      try mappingError { _ = try File(opening: scratch.path("loop"), access: .readOnly) }, "open",
      .tooManySymbolicLinkLevels)
    let long = scratch.path(String(repeating: "x", count: 300))
    check(try mappingError { _ = try File(opening: long, access: .readOnly) }, "open", .fileNameTooLong)
  }

  // MARK: Files

  @Test("EBADF: an exclusive lock, a write and an allocation in a file opened read-only")
  func notOpenForThat() throws {
    _ = try scratch.file(pages: 1)
    let file = try File(opening: scratch.path(), access: .readOnly)
    let range = FileRange(offset: 0, length: 1)
    check(
      try mappingError { _ = try file.tryLock(.exclusive, range: range) }, "fcntl(F_OFD_SETLK)",
      .badFileDescriptor, saying: "opened for writing")
    check(
      try mappingError { try file.lock(.exclusive, range: range) }, "fcntl(F_OFD_SETLKW)", .badFileDescriptor)
    check(try mappingError { try file.write([1], at: 0) }, "pwrite", .badFileDescriptor)
    check(try mappingError { try file.allocate(offset: 0, length: 1) }, "fallocate", .badFileDescriptor)
    check(try mappingError { try file.setSize(0) }, "ftruncate", .invalidArgument)
  }

  @Test("EOVERFLOW and EINVAL: locks past the largest offset, or before the first")
  func lockRanges() throws {
    let file = try scratch.file(pages: 1)
    let past = FileRange(offset: .max, length: 2)
    check(
      try mappingError { _ = try file.tryLock(.shared, range: past) }, "fcntl(F_OFD_SETLK)", .overflow,
      saying: "largest file offset")
    check(
      try mappingError { try file.unlock(range: FileRange(offset: -1, length: 1)) }, "fcntl(F_OFD_SETLK)",
      .invalidArgument)
  }

  @Test("EFAULT: bytes of a mapping without storage, written to a file")
  func lostBytes() throws {
    let file = try scratch.file(pages: 1)
    let other = try scratch.file("other", pages: 1)
    let mapping = try Mapping(file, length: page)
    try file.setSize(0)
    let error = try mappingError { try other.write(mapping.bytes, at: 0) }
    check(error, "pwrite", .badAddress)
    #expect(mapping.isLost == false)
  }
}
