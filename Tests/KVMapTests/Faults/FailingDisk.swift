#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// A disk with a file system, whose writes fail when the test says so.
  final class FailingDisk {
    enum Kind: String, CaseIterable, Codable {
      /// A `UserFileSystem`, whose writes can be made to fail.
      case user
      /// A file system on a loop device, whose image is a file on a `UserFileSystem`.
      case ext3, ext4, xfs
    }

    let kind: Kind
    private let disk: UserFileSystem
    private let scratch: Scratch
    private let directory: FilePath
    private var children: [ChildProcess] = []

    /// Where the store is.
    private(set) var path: FilePath

    init(_ kind: Kind) throws {
      self.kind = kind
      disk = try UserFileSystem()
      scratch = try Scratch()
      directory = kind == .user ? disk.directory : scratch.path("mounted")
      path = directory.appending("store")
      if kind == .user { return }
      try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: false)
      let size: Int64 = kind == .xfs ? 300 << 20 : 64 << 20
      try File(opening: disk.source.appending("image"), access: .readWrite, create: true).setSize(size)
      let image = disk.directory.appending("image").string
      let isMade =
        switch kind {
        case .user: false
        case .xfs: SmallDisk.run("mkfs.xfs", "-q", image)
        // As in ext3, allocated blocks have been written.
        case .ext3: SmallDisk.run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^extent,^64bit", image)
        case .ext4: SmallDisk.run("mkfs.ext4", "-q", "-F", "-m", "0", image)
        }
      // The file system does not write its own data by itself while writes fail.
      guard isMade,
        try Self.mount(image, at: directory, directly: true, kind == .xfs ? "noatime" : "noatime,commit=3600")
      else { throw Errno.ioError }
      Glibc.sync()
    }

    /// Whether ext4 keeps data that is stored again after it failed to write it.
    ///
    /// The ext4 of some kernels (seen with Linux 6.18) does not: it remembers the extent as written.
    /// What is stored there again reads as zeros after a power failure, even if a sync has succeeded.
    /// If this cannot be found out, it is true, so that a test meets the error.
    static let ext4KeepsWhatIsStoredAgain = (try? FailingDisk(.ext4).keepsWhatIsStoredAgain()) ?? true

    private func keepsWhatIsStoredAgain() throws -> Bool {
      let store = path
      defer { path = store }
      path = directory.appending("probe")
      let size = 64 << 10
      let file = try File(opening: path, access: .readWrite, create: true)
      try file.allocate(offset: 0, length: Int64(size))
      try file.sync()
      let bytes = patterned(size, 1)
      try unsafe file.write(bytes.span.bytes, at: 0)
      try loseWrites()
      try unsafe file.write(bytes.span.bytes, at: 0)
      #expect(throws: MappingError.self) { try file.sync() }
      try unsafe file.write(bytes.span.bytes, at: 0)
      try file.sync()
      var isKept = false
      try withWhatIsWritten { isKept = try contents($0) == Data(bytes) }
      return isKept
    }

    deinit {
      try? disk.tell(.doWrites)
      for child in children { child.kill() }
      if kind != .user { Self.unmount(directory) }
    }

    /// The loop device is removed with the last file system that is mounted from it.
    private static func mount(
      _ image: String, at directory: FilePath, directly: Bool, _ options: String
    ) throws -> Bool {
      let arguments = ["losetup", "--find", "--show", "--direct-io=\(directly ? "on" : "off")", image]
      guard let output = SmallDisk.output(arguments) else { return false }
      let device = output.trimmingCharacters(in: .whitespacesAndNewlines)
      defer { _ = SmallDisk.run("losetup", "--detach", device) }
      return SmallDisk.run("mount", "-o", options, device, directory.string)
    }

    private static func unmount(_ directory: FilePath) {
      if !SmallDisk.run("umount", directory.string) { _ = SmallDisk.run("umount", "-l", directory.string) }
    }

    // MARK: Failing

    /// Loses everything that is not written yet. A program that has nothing to do with the
    /// store gets the error, so that no process that opens the file later gets it.
    func loseWrites() throws {
      try disk.tell(.failWrites)
      let file = try FileDescriptor.open(path, .readOnly)
      try file.closeAfter {
        // Once only: a second sync would make ext4 write its journal.
        let result = fsync(file.rawValue)
        #expect(result == -1 && errno == EIO)
      }
      try disk.tell(.doWrites)
    }

    func failWrites() throws { try disk.tell(.failWrites) }
    func doWrites() throws { try disk.tell(.doWrites) }

    /// The system drops the pages that it takes for written and that nobody has mapped. They
    /// are read again from the disk.
    func evict() throws {
      let file = try FileDescriptor.open(path, .readOnly)
      try file.closeAfter {
        guard posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED) == 0 else { throw Errno.ioError }
      }
    }

    /// A process that has the store open, and ends before the disk is removed.
    func child() throws -> ChildProcess {
      let child = try ChildProcess(.loseWrites, [path.string])
      children.append(child)
      guard try child.receive() == 1 else { throw Errno.ioError }
      return child
    }

    // MARK: Power failure

    /// Passes the path of a copy of the store as a power failure at this moment leaves it: with
    /// what has been written, and nothing else.
    func withWhatIsWritten(_ body: (FilePath) throws -> Void) throws {
      let copy = try Scratch()
      let store = path.lastComponent?.string ?? ""
      let name = kind == .user ? store : "image"
      try FileManager.default.copyItem(
        atPath: disk.source.appending(name).string, toPath: copy.path(name).string)
      if kind == .user { return try body(copy.path(name)) }
      let other = copy.path("other")
      try FileManager.default.createDirectory(atPath: other.string, withIntermediateDirectories: false)
      guard
        try Self.mount(
          copy.path(name).string, at: other, directly: false, kind == .xfs ? "nouuid" : "noatime")
      else {
        throw Errno.ioError
      }
      defer { Self.unmount(other) }
      try body(other.appending(store))
    }
  }
#endif
