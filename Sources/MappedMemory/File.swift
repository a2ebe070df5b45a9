import CMappedMemory
public import SystemPackage

/// An open regular file: the one owner of its descriptor.
///
/// The descriptor is closed exactly once, when the value ends, and never
/// reaches a program that this process starts (`O_CLOEXEC`). A mapping of the
/// file outlives it. A `fork`ed child has a descriptor of its own to the same
/// open file. Closing it there does not close the parent's, and locks cannot be
/// taken or released through it (see ``tryLock(_:range:)``).
public struct File: ~Copyable, Sendable {
  /// What the file is opened for.
  public enum Access: Sendable, Hashable {
    /// Reading; writing fails with EBADF.
    case readOnly
    /// Reading and writing.
    case readWrite
  }

  private var owned: Descriptor
  /// The process that opened it; see `kvmap_process_generation`.
  private let generation = kvmap_process_generation()

  /// The name under which it was opened or linked; for an unnamed file the
  /// directory it was created in.
  public internal(set) var path: FilePath

  /// The name of an unnamed file on systems where it needs one.
  var temporaryName: TemporaryName

  /// Takes over a descriptor.
  init(owning descriptor: consuming Descriptor, path: FilePath, temporaryName: FilePath? = nil) {
    owned = descriptor
    self.path = path
    self.temporaryName = TemporaryName(temporaryName)
  }

  var descriptor: Int32 { owned.number }

  /// Opens a regular file (`open`, `fstat`).
  ///
  /// Does not wait for the other end of a pipe: it refuses at once what is not a
  /// regular file.
  ///
  /// - Parameters:
  ///   - path: the file; symbolic links are followed.
  ///   - access: what it is opened for.
  ///   - create: makes an empty file if there is none; its directory entry is
  ///     durable only after ``syncDirectory(_:)``.
  ///   - exclusive: with `create`, refuses an existing file with EEXIST.
  ///   - mode: the permissions of a new file, before the process's umask.
  /// - Throws: ``MappingError`` with ``MappingError/Code/notRegularFile`` or the
  ///   system's reason.
  public init(
    opening path: FilePath, access: Access, create: Bool = false, exclusive: Bool = false,
    mode: UInt16 = 0o644
  ) throws(MappingError) {
    let flags = SystemCalls.openFlags(writing: access == .readWrite, create: create, exclusive: exclusive)
    let descriptor: Descriptor
    do {
      descriptor = Descriptor(owning: try SystemCalls.open(path, flags: flags, mode: mode))
    } catch .noSuchAddressOrDevice {
      // A socket, or a device that does not exist.
      throw MappingError(.notRegularFile, SystemCall.open.rawValue, path)
    } catch {
      throw MappingError(.open, error, path)
    }
    let number = descriptor.number
    let status = try describing(.fstat, path) { () throws(Errno) in try SystemCalls.status(number) }
    guard FileStatus(status).isRegular else {
      throw MappingError(.notRegularFile, SystemCall.open.rawValue, path)
    }
    self.init(owning: descriptor, path: path)
  }

  /// Makes forked children of this process close their descriptor at once. Otherwise they keep
  /// the locks taken through this one, which belong to the open file, until they end too.
  ///
  /// - Throws: ``MappingError`` with ENOMEM.
  public mutating func closeInForkedChildren() throws(MappingError) {
    do { try owned.unshare() } catch { throw MappingError(.lock, error, path) }
  }

  /// Whether this process opened it, and not a process that it was forked from.
  var isOwn: Bool { generation == kvmap_process_generation() }

  /// Closes the file now, and throws the system's error (`close`).
  ///
  /// Some file systems report only here that earlier writes failed. The
  /// descriptor is closed in any case.
  public consuming func close() throws(MappingError) {
    let path = path
    do {
      try owned.close()
    } catch {
      throw MappingError(.close, error, path)
    }
  }

  // MARK: Properties

  /// Size, storage and identity as they are now (`fstat`).
  public borrowing func status() throws(MappingError) -> FileStatus {
    FileStatus(try describing(.fstat, path) { () throws(Errno) in try SystemCalls.status(descriptor) })
  }

  /// Sets its permissions (`fchmod`). The umask does not apply.
  public borrowing func setPermissions(_ mode: UInt16) throws(MappingError) {
    try describing(.fchmod, path) { () throws(Errno) in try SystemCalls.setPermissions(descriptor, mode) }
  }

  /// The identity of the file that a path names; `nil` when there is none (`stat`).
  ///
  /// It differs from that of an open file if the path's file was replaced.
  public static func identity(of path: FilePath) throws(MappingError) -> FileIdentity? {
    do {
      return FileStatus(try SystemCalls.status(of: path)).identity
    } catch .noSuchFileOrDirectory, .notDirectory {
      return nil
    } catch {
      throw MappingError(.stat, error, path)
    }
  }

  /// The file system it is on: kind, size, whether it can be written
  /// (`fstatfs`).
  public borrowing func fileSystem() throws(MappingError) -> FileSystem {
    FileSystem(try describing(.fstatfs, path) { () throws(Errno) in try SystemCalls.fileSystem(descriptor) })
  }

  /// Whether the file system is local or reached over a network (`fstatfs`); local if the
  /// system does not say.
  public borrowing func fileSystemKind() throws(MappingError) -> FileSystemKind {
    do {
      return try fileSystem().kind
    } catch {
      if error.isRefusal { return .local }
      throw error
    }
  }

  /// Whether the file system is mounted read-only (`fstatfs`).
  public borrowing func isOnReadOnlyFileSystem() throws(MappingError) -> Bool {
    try fileSystem().isReadOnly
  }
}
