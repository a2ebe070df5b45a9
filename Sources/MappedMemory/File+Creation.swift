public import SystemPackage

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension File {
  /// Makes an empty file without a name, open for reading and writing
  /// (`open` with `O_TMPFILE`).
  ///
  /// It is gone when the last descriptor and mapping are, however the process
  /// ends, unless ``link(as:)`` gives it a name first. If the file system or the
  /// platform has no such files, or if /proc is not mounted, which linking needs,
  /// the file gets the name `.NAME.tmp-XXXXXXXX` in the directory. That name is
  /// removed with the value; after a crash it stays.
  ///
  /// - Parameters:
  ///   - directory: where to create it; on the file system of its later name.
  ///   - name: the `NAME` in the temporary name; shortened to what file systems accept.
  ///   - mode: its permissions, before the process's umask.
  public init(
    unnamedIn directory: FilePath, named name: String = "unnamed", mode: UInt16 = 0o644
  ) throws(MappingError) {
    if let unnamed = try Self.unnamed(in: directory, mode) {
      self.init(owning: unnamed, path: directory)
      return
    }
    let flags = SystemCalls.openFlags(writing: true, create: true, exclusive: true)
    // If the name with a random number of 32 bits exists, another is tried. A
    // hundred in a row mean that something else is wrong.
    for _ in 1...100 {
      let path = directory.appending(Self.temporaryName(for: name))
      do {
        let descriptor = Descriptor(owning: try SystemCalls.open(path, flags: flags, mode: mode))
        self.init(owning: descriptor, path: path, temporaryName: path)
        return
      } catch .fileExists {
        continue
      } catch {
        throw MappingError(.open, error, path)
      }
    }
    throw MappingError(.open, .fileExists, directory)
  }

  /// A file that has no name and can get one; nil if the system has no such files.
  private static func unnamed(
    in directory: FilePath, _ mode: UInt16
  ) throws(MappingError) -> Descriptor? {
    let descriptor: Descriptor
    do {
      descriptor = Descriptor(owning: try SystemCalls.openUnnamed(in: directory, mode: mode))
    } catch {
      // EISDIR comes from kernels that do not know the flag and see only the
      // part of it that means "directory".
      if error.isRefusal || error == .isDirectory { return nil }
      throw MappingError(.openUnnamed, error, directory)
    }
    guard leads(linkToOpenFile(descriptor.number), to: descriptor.number) else { return nil }
    return descriptor
  }

  /// The name that an open file has as long as it is open, if /proc is mounted.
  private static func linkToOpenFile(_ descriptor: Int32) -> FilePath {
    FilePath("/proc/self/fd/\(descriptor)")
  }

  private static func leads(_ path: FilePath, to descriptor: Int32) -> Bool {
    guard let found = try? SystemCalls.status(of: path), let own = try? SystemCalls.status(descriptor)
    else { return false }
    return FileStatus(found).identity == FileStatus(own).identity
  }

  /// Opens the file once more, for reading and writing. Unlike ``duplicate()``, the new value
  /// does not share locks with this one.
  ///
  /// - Throws: ``MappingError``, with ESTALE if its name now names another file.
  public borrowing func openedAgain() throws(MappingError) -> File {
    let status = try status()
    let name = status.linkCount == 0 ? Self.linkToOpenFile(descriptor) : path
    var other = try File(opening: name, access: .readWrite)
    other.path = path
    guard try other.status().identity == status.identity else {
      throw MappingError(.open, .staleNFSFileHandle, path)
    }
    return other
  }

  /// Makes an empty file in memory, open for reading and writing: no file system has it,
  /// and it is gone when the last descriptor and mapping are (`memfd_create`).
  ///
  /// If the platform has no such files, this makes one without a name in the system's
  /// directory for temporary files.
  ///
  /// - Parameter name: its name in lists of the system.
  public init(inMemory name: String) throws(MappingError) {
    do {
      let descriptor = Descriptor(owning: try SystemCalls.openInMemory(named: name))
      self.init(owning: descriptor, path: FilePath(name))
    } catch .notSupported, .noFunction, .notPermitted, .invalidArgument {
      try self.init(unnamedIn: Self.temporaryDirectory, named: name, mode: 0o600)
    } catch {
      throw MappingError(.memfd, error)
    }
  }

  /// The system's directory for temporary files.
  package static var temporaryDirectory: FilePath {
    guard let set = unsafe getenv("TMPDIR"), unsafe set.pointee != 0 else { return "/tmp" }
    return unsafe FilePath(platformString: set)
  }

  /// The longest name that all file systems in use accept, in bytes.
  private static let longestName = 255

  private static func temporaryName(for name: String) -> String {
    let digits = String(UInt32.random(in: .min ... .max), radix: 16)
    let suffix = ".tmp-" + String(repeating: "0", count: 8 - digits.count) + digits
    var stem = name
    while stem.utf8.count + suffix.utf8.count + 1 > longestName { stem.removeLast() }
    return ".\(stem)\(suffix)"
  }

  /// Gives a file made by ``init(unnamedIn:named:mode:)`` its name (`linkat`; for one that
  /// has a temporary name, `renameat2` with `RENAME_NOREPLACE`, or `linkat` if the system
  /// cannot do that).
  ///
  /// This is one step: either the name does not exist, or it names the whole file. Sync
  /// the file before and the directory after, with ``syncDirectory(_:)``. An existing
  /// file of that name is never replaced.
  ///
  /// - Returns: false if the file system can do neither, as FAT; the file is as before then.
  /// - Throws: ``MappingError``, with EEXIST when the name is taken, EXDEV when
  ///   it is on another file system, ENOENT when its directory is missing.
  ///   The file is as before then.
  public mutating func link(as target: FilePath) throws(MappingError) -> Bool {
    guard isOwn else { throw MappingError(.inherited, SystemCall.linkat.rawValue, path) }
    if let temporary = temporaryName.path {
      if try Self.renamed(temporary, to: target) {
        temporaryName.forget()
      } else {
        guard try Self.linked(temporary, as: target, followingLink: false) else { return false }
        // If this fails, the file has two names, and is whole under both.
        try? temporaryName.remove()
      }
    } else {
      let source = Self.linkToOpenFile(descriptor)
      guard try Self.linked(source, as: target, followingLink: true) else { return false }
    }
    path = target
    return true
  }

  private static func linked(
    _ source: FilePath, as target: FilePath, followingLink: Bool
  ) throws(MappingError) -> Bool {
    do {
      try SystemCalls.link(source, as: target, followingLink: followingLink)
      return true
    } catch {
      if error.isRefusal { return false }
      throw MappingError(.linkat, error, target)
    }
  }

  private static func renamed(_ source: FilePath, to target: FilePath) throws(MappingError) -> Bool {
    do {
      try SystemCalls.rename(source, to: target, replacing: false)
      return true
    } catch {
      if error.isRefusal { return false }
      throw MappingError(.renameat, error, target)
    }
  }

  /// Makes all changes of names in a directory durable (`fsync` of the directory).
  /// Blocks on the disk.
  public static func syncDirectory(_ directory: FilePath) throws(MappingError) {
    let descriptor = Descriptor(
      owning: try describing(.open, directory) { () throws(Errno) in
        try SystemCalls.open(directory, flags: SystemCalls.directoryFlags, mode: 0)
      })
    do {
      try SystemCalls.sync(descriptor.number)
    } catch .invalidArgument {
      // The file system does not sync directories: nothing to do.
    } catch {
      throw MappingError(.fsync, error, directory)
    }
  }

  /// Gives a file another name (`renameat`), in one step; durable after
  /// ``syncDirectory(_:)``.
  ///
  /// - Parameters:
  ///   - path: the present name.
  ///   - target: the new name, in the same file system.
  ///   - replacing: whether the target may exist; otherwise EEXIST.
  public static func rename(
    _ path: FilePath, to target: FilePath, replacing: Bool
  ) throws(MappingError) {
    try describing(.renameat, target) { () throws(Errno) in
      try SystemCalls.rename(path, to: target, replacing: replacing)
    }
  }

  /// The path that a path names after following symbolic links at its end (`readlink`). The
  /// target need not exist.
  ///
  /// - Throws: ``MappingError`` with ELOOP for links that go in circles.
  public static func followingLinks(_ path: FilePath) throws(MappingError) -> FilePath {
    var path = path
    // Linux follows as many.
    for _ in 0..<40 {
      do {
        let target = try SystemCalls.target(of: path)
        path = target.isAbsolute ? target : path.removingLastComponent().pushing(target)
      } catch .invalidArgument, .noSuchFileOrDirectory, .notDirectory {
        return path
      } catch {
        throw MappingError(.readlink, error, path)
      }
    }
    throw MappingError(.readlink, .tooManySymbolicLinkLevels, path)
  }

  /// Removes a file's name (`unlink`); the file itself is removed when nobody has
  /// it open or mapped.
  public static func remove(_ path: FilePath) throws(MappingError) {
    try describing(.unlink, path) { () throws(Errno) in try SystemCalls.remove(path) }
  }
}
