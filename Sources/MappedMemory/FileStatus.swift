#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Identifies a file independently of its names: two paths with equal identities
/// name the same file. A number is reused once a file is deleted, which it cannot
/// be while it is open or mapped.
public struct FileIdentity: Equatable, Hashable, Sendable {
  /// The device that the file's file system is on.
  public let device: UInt64
  /// The file's number on it.
  public let inode: UInt64
}

/// The status of a file at one moment.
public struct FileStatus: Equatable, Sendable {
  /// The length in bytes.
  public let size: Int64
  /// Bytes of storage that it takes; less than `size` when it has holes.
  public let allocatedBytes: Int64
  /// Which file it is.
  public let identity: FileIdentity
  /// How many names it has; 0 for an unlinked or unnamed file.
  public let linkCount: Int
  /// Whether it is a regular file, not a directory, pipe, device or socket.
  public let isRegular: Bool
  /// The permissions, as in `chmod`.
  public let permissions: UInt16

  init(_ status: stat) {
    size = Int64(status.st_size)
    // In units of 512 bytes, whatever the block size of the file system.
    allocatedBytes = Int64(status.st_blocks) * 512
    identity = FileIdentity(
      device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(truncatingIfNeeded: status.st_ino))
    linkCount = Int(status.st_nlink)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    permissions = UInt16(truncatingIfNeeded: status.st_mode) & 0o7777
  }
}
