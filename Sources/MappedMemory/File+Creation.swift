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
  /// ends, unless ``link(as:)`` gives it a name first. Where the file system or
  /// the platform has no such files, it gets the name `.NAME.tmp-XXXXXXXX`
  /// in the directory, which goes away with the value; after a crash it stays.
  ///
  /// - Parameters:
  ///   - directory: where; on the file system of the name it is to get.
  ///   - name: the `NAME` in the temporary name.
  ///   - mode: its permissions, before the process's umask.
  public init(
    unnamedIn directory: FilePath, named name: String = "unnamed", mode: UInt16 = 0o644
  ) throws(MappingError) {
    let unnamed: Int32?
    do {
      unnamed = try SystemCalls.openUnnamed(in: directory, mode: mode)
    } catch .notSupported, .isDirectory, .invalidArgument {
      // EISDIR comes from kernels that do not know the flag and see only the
      // part of it that says "directory".
      unnamed = nil
    } catch {
      throw MappingError(.open, error, directory)
    }
    if let unnamed {
      self.init(owning: Descriptor(owning: unnamed), path: directory)
      return
    }
    let flags = SystemCalls.openFlags(writing: true, create: true, exclusive: true)
    // A number of 32 bits that is taken is drawn again; a hundred in a row
    // mean that something else is wrong.
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

  /// Makes an empty file in memory, open for reading and writing: no file system has it,
  /// and it is gone when the last descriptor and mapping are (`memfd_create`).
  ///
  /// Where the platform has no such files, one without a name in the system's directory
  /// for temporary ones.
  ///
  /// - Parameter name: what it is called where the system lists it.
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

  private static var temporaryDirectory: FilePath {
    guard let set = unsafe getenv("TMPDIR"), unsafe set.pointee != 0 else { return "/tmp" }
    return unsafe FilePath(platformString: set)
  }

  private static func temporaryName(for name: String) -> String {
    let digits = String(UInt32.random(in: .min ... .max), radix: 16)
    return ".\(name).tmp-" + String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// Gives a file made by ``init(unnamedIn:named:mode:)`` its name (`linkat`).
  ///
  /// In one step: the name is either not there or leads to the whole file. Sync
  /// the file before and the directory after, with ``syncDirectory(_:)``. What
  /// has the name already is never replaced.
  ///
  /// - Throws: ``MappingError``, with EEXIST when the name is taken, EXDEV when
  ///   it is on another file system, ENOENT when its directory is missing or
  ///   /proc is not mounted. The file is as before then.
  public mutating func link(as path: FilePath) throws(MappingError) {
    guard isOwn else { throw MappingError(.inherited, SystemCall.linkat.rawValue, self.path) }
    let source = temporaryName.path ?? FilePath("/proc/self/fd/\(descriptor)")
    let isUnnamed = temporaryName.path == nil
    try describing(.linkat, path) { () throws(Errno) in
      try SystemCalls.link(source, as: path, followingLink: isUnnamed)
    }
    self.path = path
    try temporaryName.remove()
  }

  /// Makes the names in a directory durable: those that were made, changed and
  /// removed (`fsync` of the directory). Blocks on the disk.
  public static func syncDirectory(_ directory: FilePath) throws(MappingError) {
    let descriptor = Descriptor(
      owning: try describing(.open, directory) { () throws(Errno) in
        try SystemCalls.open(directory, flags: SystemCalls.directoryFlags, mode: 0)
      })
    do {
      try SystemCalls.sync(descriptor.number)
    } catch .invalidArgument {
      // The file system does not sync directories on their own: nothing to do.
    } catch {
      throw MappingError(.fsync, error, directory)
    }
  }

  /// Gives a file another name (`renameat`), in one step; durable after
  /// ``syncDirectory(_:)``.
  ///
  /// - Parameter replacing: whether the target may exist; otherwise EEXIST.
  public static func rename(
    _ path: FilePath, to target: FilePath, replacing: Bool
  ) throws(MappingError) {
    try describing(.renameat, target) { () throws(Errno) in
      try SystemCalls.rename(path, to: target, replacing: replacing)
    }
  }

  /// Takes a file's name away (`unlink`); the file itself goes when nobody has
  /// it open or mapped.
  public static func remove(_ path: FilePath) throws(MappingError) {
    try describing(.unlink, path) { () throws(Errno) in try SystemCalls.remove(path) }
  }
}
