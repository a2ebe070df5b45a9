import CMappedMemory
public import SystemPackage

/// An open regular file: the one owner of its descriptor.
///
/// The descriptor is closed exactly once, when the value ends, and never
/// reaches a program that this process starts (`O_CLOEXEC`). A mapping of the
/// file outlives it. A `fork`ed child has a descriptor of its own to the same
/// open file: closing it there leaves the parent's alone, and locks cannot be
/// taken or given up through it (see ``tryLock(_:range:)``).
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
  /// directory it was made in.
  public internal(set) var path: FilePath

  /// The name that an unnamed file has where it cannot do without.
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
  /// Does not wait for the other end of a pipe: what is not a regular file is
  /// refused at once.
  ///
  /// - Parameters:
  ///   - path: the file; symbolic links are followed.
  ///   - access: what for.
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
      // A socket, or a device that is not there.
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

  /// Has forked children of this process close their descriptor at once. Else they keep the
  /// locks taken through this one, which belong to the open file, until they end too.
  ///
  /// - Throws: ``MappingError`` with ENOMEM.
  public mutating func closeInForkedChildren() throws(MappingError) {
    do { try owned.unshare() } catch { throw MappingError(.lock, error, path) }
  }

  /// Whether this process opened it, not one that it was forked from.
  var isOwn: Bool { generation == kvmap_process_generation() }

  /// Closes the file now, and tells what the system says to that (`close`).
  ///
  /// Some file systems report only here that earlier writes failed. The
  /// descriptor is gone in any case.
  public consuming func close() throws(MappingError) {
    let path = path
    do {
      try owned.close()
    } catch {
      throw MappingError(.close, error, path)
    }
  }

  // MARK: What it is

  /// Size, storage and identity as they are now (`fstat`).
  public borrowing func status() throws(MappingError) -> FileStatus {
    FileStatus(try describing(.fstat, path) { () throws(Errno) in try SystemCalls.status(descriptor) })
  }

  /// Sets who may do what with it (`fchmod`), as the umask has no say in it.
  public borrowing func setPermissions(_ mode: UInt16) throws(MappingError) {
    try describing(.fchmod, path) { () throws(Errno) in try SystemCalls.setPermissions(descriptor, mode) }
  }

  /// Which file a path leads to; `nil` when there is none (`stat`).
  ///
  /// Differs from the identity of an open file when that file was replaced.
  public static func identity(of path: FilePath) throws(MappingError) -> FileIdentity? {
    do {
      return FileStatus(try SystemCalls.status(of: path)).identity
    } catch .noSuchFileOrDirectory, .notDirectory {
      return nil
    } catch {
      throw MappingError(.stat, error, path)
    }
  }

  /// Which file system it is on: kind, size, whether it can be written
  /// (`fstatfs`).
  public borrowing func fileSystem() throws(MappingError) -> FileSystem {
    FileSystem(try describing(.fstatfs, path) { () throws(Errno) in try SystemCalls.fileSystem(descriptor) })
  }

  /// Whether the file system is local or reached over a network (`fstatfs`); local where the
  /// system does not tell.
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
