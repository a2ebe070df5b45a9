import CMappedMemory
import SystemPackage

extension MappingError {
  /// What a user can do about a failure.
  static func advice(for code: Code, operation: String) -> String {
    switch code {
    case .system(let errno): advice(for: errno, call: SystemCall(rawValue: operation))
    case .lost:
      "Read nothing from it and trust no write to it since the last sync; "
        + "close it, check the file's size, the disk and its space, and open it again."
    case .misaligned:
      "Use a multiple of \(PageSize.bytes)."
    case .outOfBounds:
      "Use a range inside, and lengths that are not negative."
    case .notRegularFile:
      "Name a regular file; directories, pipes, devices and sockets cannot be used here."
    case .inherited:
      "After fork() a child can only release its parent's handles: open the file again."
    case .unsupported:
      "Do without it here."
    }
  }

  private static func advice(for errno: Errno, call: SystemCall?) -> String {
    if let call, let specific = specificAdvice(for: errno, call: call) { return specific }
    return generalAdvice(for: errno)
  }

  private static var lockedMemoryLimit: String {
    let limit = kvmap_locked_memory_limit()
    return limit == .max ? "unlimited" : "\(limit) bytes"
  }

  /// What an error number means for this call.
  private static func specificAdvice(for errno: Errno, call: SystemCall) -> String? {
    switch (call, errno) {
    case (.mmap, .permissionDenied):
      "The file has to be open for reading, and for writing too if a shared mapping is to be written: "
        + "open it with .readWrite, or map it private or read-only."
    case (.mprotect, .permissionDenied):
      "A shared mapping of a file that was opened read-only cannot be made writable: open it with .readWrite."
    case (.mmap, .resourceTemporarilyUnavailable):
      "More memory would be locked than RLIMIT_MEMLOCK allows, now \(lockedMemoryLimit): "
        + "raise it (ulimit -l), or map without .locked."
    case (.mlock, .resourceTemporarilyUnavailable), (.mlock, .noMemory):
      "More memory would be locked than RLIMIT_MEMLOCK allows, now \(lockedMemoryLimit), or a part of the "
        + "range cannot be brought into memory: raise the limit (ulimit -l) or lock less."
    case (.mlock, .notPermitted):
      "This process may lock no memory: RLIMIT_MEMLOCK is \(lockedMemoryLimit). "
        + "Raise it (ulimit -l) or grant CAP_IPC_LOCK."
    case (.mmap, .notPermitted):
      "The file is sealed, or on a file system mounted noexec, or locking needs a RLIMIT_MEMLOCK above "
        + "zero (now \(lockedMemoryLimit)): map without execution, writing or .locked."
    case (.mmap, .invalidArgument):
      "The length must be above zero, offsets a multiple of the page size, \(PageSize.bytes) bytes."
    case (.mmap, .operationNotSupportedByDevice):
      "Its file system cannot map files into memory: copy it to one that can."
    case (.mmap, .overflow):
      "Offset and length together pass the largest file offset: map a range further to the front."
    case (.mmap, .noMemory), (.mremap, .noMemory):
      "The address space, the number of mappings (vm.max_map_count) or a memory limit is used up; "
        + "\(MemoryLimits.advice)."
    case (.mprotect, .noMemory), (.madvise, .noMemory), (.populateWrite, .noMemory),
      (.mincore, .noMemory), (.msync, .noMemory):
      "A part of the range is not mapped, or the number of mappings (vm.max_map_count) is used up."
    case (.msync, .resourceBusy):
      "A locked range cannot be invalidated: unlock it first."
    case (.madvise, .invalidArgument):
      "This kernel does not know the advice, or it does not suit this kind of mapping."
    case (.populateWrite, .badAddress), (.populateRead, .badAddress), (.madvise, .badAddress):
      "The disk may be full or the file shorter than the mapping."
    case (.lock, .badFileDescriptor), (.lockWaiting, .badFileDescriptor):
      "An exclusive lock needs a file opened for writing, a shared one a file opened for reading."
    case (.lock, .noLocks), (.lockWaiting, .noLocks):
      "The system's lock table is full, or the file system's lock service does not answer."
    case (.lock, .notSupported), (.lockWaiting, .notSupported), (.lockQuery, .notSupported),
      (.lock, .invalidArgument), (.lockWaiting, .invalidArgument), (.lockQuery, .invalidArgument):
      "The file system or the kernel has no locks of open files: use a local file system."
    case (.lock, .overflow), (.lockWaiting, .overflow), (.lockQuery, .overflow):
      "The locked range passes the largest file offset."
    case (.lockWaiting, .deadlock):
      "Two processes wait for each other's locks: give one up."
    case (.linkat, .fileExists), (.open, .fileExists), (.renameat, .fileExists):
      "Nothing was replaced: choose another name or remove what is there."
    case (.linkat, .noSuchFileOrDirectory):
      "The target's directory must exist and /proc be mounted."
    case (.linkat, .improperLink), (.renameat, .improperLink):
      "A file can only get a name on its own file system."
    default: nil
    }
  }

  /// What an error number means for any call.
  private static func generalAdvice(for errno: Errno) -> String {
    switch errno {
    case .permissionDenied: "The file's or a directory's permissions forbid it: check owner and mode."
    case .notPermitted: "The system forbids it to this process: check its rights and the file's attributes."
    case .resourceTemporarilyUnavailable: "A resource is in use for the moment: try again."
    case .badFileDescriptor: "The file is not open for this kind of access."
    case .invalidArgument: "A number is out of range, or the file system does not offer this."
    case .tooManyOpenFilesInSystem:
      "The whole system's file table is full (fs.file-max): close files elsewhere."
    case .tooManyOpenFiles:
      "This process may open \(kvmap_descriptor_limit()) files at once: close some or raise "
        + "RLIMIT_NOFILE (ulimit -n)."
    case .operationNotSupportedByDevice: "The kind of file does not offer this."
    case .noMemory: "Memory or address space is used up; \(MemoryLimits.advice)."
    case .textFileBusy: "The file is a program that is running: stop it, or work on a copy."
    case .overflow: "An offset or size is larger than this call can say."
    case .noSpace: "The disk is full: make room and try again."
    case .diskQuotaExceeded: "The quota of this user is used up: make room or have it raised."
    case .ioError:
      "The disk or its connection failed, and data not yet synced may be gone: check the disk."
    case .fileTooLarge:
      "The file would pass the largest size of its file system or of this process (ulimit -f)."
    case .readOnlyFileSystem:
      "The file system is mounted read-only: what is there can be read, and not changed."
    case .noSuchFileOrDirectory: "Check the path; a file is only created if asked for."
    case .notDirectory: "A part of the path is not a directory."
    case .isDirectory: "Name a file, not a directory."
    case .fileExists: "Nothing was replaced: choose another name."
    case .tooManySymbolicLinkLevels: "The path's symbolic links go in circles."
    case .fileNameTooLong: "Use a shorter name."
    case .notSupported: "The file system does not offer this."
    case .noFunction: "This kernel does not offer this."
    case .staleNFSFileHandle: "The file is gone from the server: open it again."
    case .interrupted: "A signal interrupted it: try again."
    default: "See the manual page of the call."
    }
  }
}
