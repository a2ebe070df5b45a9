#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import Synchronization
  import SystemPackage
  import TestSupport

  /// A file system that a child process serves (FUSE) and that fails on demand. It passes
  /// everything on to the files of one flat directory, and has neither hard links nor files
  /// without a name.
  ///
  /// Needs the superuser and /dev/fuse.
  final class UserFileSystem {
    /// Sent to the child as a byte.
    enum Order: UInt8 {
      case failWrites, doWrites
    }

    enum Renaming: String {
      /// `rename` knows RENAME_NOREPLACE.
      case withoutReplacing
      /// It does not, as in many file systems in user space.
      case onlyReplacing
    }

    static var canMount: Bool {
      if geteuid() != 0 { return false }
      return unsafe access("/dev/fuse", R_OK | W_OK) == 0
    }

    /// Where it is mounted.
    let directory: FilePath
    /// The directory that everything is passed on to.
    let source: FilePath
    private let scratch: Scratch
    private let server: ChildProcess

    init(_ renaming: Renaming = .withoutReplacing) throws {
      scratch = try Scratch()
      directory = scratch.path("mounted")
      source = scratch.path("source")
      for path in [directory, source] {
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
      }
      server = try ChildProcess(.serveFiles, [directory.string, source.string, renaming.rawValue])
      guard try server.receive() == 1 else { throw Errno.ioError }
    }

    deinit {
      _ = unsafe umount2(directory.string, Int32(MNT_DETACH))
      server.kill()
    }

    func tell(_ order: Order) throws {
      try server.send(order.rawValue)
      _ = try server.receive()
    }

    // MARK: In the child

    static func serve(_ arguments: [String]) throws {
      let device = try FileDescriptor.open(FilePath("/dev/fuse"), .readWrite)
      let options = "fd=\(device.rawValue),rootmode=40000,user_id=0,group_id=0,allow_other"
      let bytes = Array(options.utf8CString)
      let result = unsafe mount("kvmap-test", arguments[0], "fuse", UInt(MS_NOSUID | MS_NODEV), bytes)
      guard result == 0 else { throw Errno(rawValue: errno) }
      let server = FileServer(
        device, FilePath(arguments[1]), hasExclusiveRename: arguments[2] == Renaming.withoutReplacing.rawValue
      )
      Thread.detachNewThread { server.run() }
      try Parent.tell()
      // Also if the parent has ended without an order.
      defer { _ = unsafe umount2(arguments[0], Int32(MNT_DETACH)) }
      while let byte = try Parent.input.nextByte(), let order = Order(rawValue: byte) {
        server.failsWrites.store(order == .failWrites, ordering: .relaxed)
        try Parent.tell()
      }
    }
  }

  /// The numbers of <linux/fuse.h>.
  private enum Request: UInt32 {
    case lookup = 1, forget, getattr, setattr
    case unlink = 10
    case rename = 12, link, open, read, write, statfs, release
    case fsync = 20
    case flush = 25, initialize, opendir, readdir, releasedir, fsyncdir
    case create = 35
    case destroy = 38
    case batchForget = 42
    case rename2 = 45
  }

  /// Answers the kernel's requests, one at a time.
  private final class FileServer: @unchecked Sendable {
    // Sendable: one thread uses everything but the flag.
    private let device: FileDescriptor
    private let directory: FilePath
    private let hasExclusiveRename: Bool
    let failsWrites = Atomic<Bool>(false)

    /// A file that the kernel knows. It is open as long as the kernel knows it, whatever happens
    /// to its name.
    private struct Node {
      var descriptor: FileDescriptor
      var lookups: UInt64
    }
    private var nodes: [UInt64: Node] = [:]
    /// The node of each inode.
    private var numbers: [UInt64: UInt64] = [:]
    private var nextNumber: UInt64 = 2
    private static let root: UInt64 = 1
    private static let headerBytes = 40
    private static let largestWrite = 128 << 10

    init(_ device: FileDescriptor, _ directory: FilePath, hasExclusiveRename: Bool) {
      self.device = device
      self.directory = directory
      self.hasExclusiveRename = hasExclusiveRename
    }

    func run() {
      var buffer = [UInt8](repeating: 0, count: Self.largestWrite + 8192)
      while true {
        let count: Int
        do {
          count = try unsafe buffer.withUnsafeMutableBytes { try unsafe device.read(into: $0) }
        } catch Errno.noSuchFileOrDirectory {
          continue
        } catch {
          return
        }
        if count < Self.headerBytes { return }
        answer(Message(bytes: Array(buffer[..<count])))
      }
    }

    private func answer(_ message: Message) {
      let kind = Request(rawValue: message.word(4))
      let node = message.long(16)
      do {
        guard let kind else { throw Errno.noFunction }
        if let result = try carryOut(kind, node, message) { reply(message, 0, result) }
      } catch let error as Errno {
        reply(message, -error.rawValue, Answer())
      } catch {
        reply(message, -EIO, Answer())
      }
    }

    private func reply(_ message: Message, _ error: Int32, _ result: Answer) {
      var answer = Answer()
      answer.word(UInt32(16 + result.bytes.count))
      answer.word(UInt32(bitPattern: error))
      answer.long(message.long(8))
      _ = try? device.writeAll(answer.bytes + result.bytes)
    }

    /// Nil where no answer is expected.
    private func carryOut(_ kind: Request, _ node: UInt64, _ message: Message) throws -> Answer? {
      var answer = Answer()
      switch kind {
      case .initialize:
        answer.word(7)
        answer.word(31)
        answer.word(message.word(48))
        answer.word(1 << 5)  // larger writes than a page
        answer.word(0)
        answer.word(UInt32(Self.largestWrite))
        answer.word(1)
        answer.pad(to: 64)
      case .lookup:
        entry(try look(message.name(40), flags: []), &answer)
      case .forget:
        forget(node, message.long(40))
        return nil
      case .batchForget:
        for index in 0..<Int(message.word(40)) {
          forget(message.long(48 + 16 * index), message.long(56 + 16 * index))
        }
        return nil
      case .getattr:
        answer.pad(to: 16)
        try attributes(node, &answer)
      case .setattr:
        let valid = message.word(40)
        if node != Self.root {
          let descriptor = try descriptor(node)
          if valid & 1 != 0 { try check(fchmod(descriptor.rawValue, mode_t(message.word(108) & 0o7777))) }
          if valid & 8 != 0 { try descriptor.resize(to: Int64(message.long(56))) }
        }
        answer.pad(to: 16)
        try attributes(node, &answer)
      case .open, .opendir:
        answer.long(0)
        answer.word(kind == .open ? 2 : 0)  // the page cache stays
        answer.word(0)
      case .create:
        let flags = Int32(message.word(40))
        entry(
          try look(
            message.name(56), flags: flags & O_EXCL != 0 ? [.create, .exclusiveCreate] : .create,
            mode: UInt16(message.word(44) & 0o7777)), &answer)
        answer.long(0)
        answer.word(2)
        answer.word(0)
      case .read:
        answer.bytes = try read(node, Int64(message.long(48)), Int(message.word(56)))
      case .write:
        let size = Int(message.word(56))
        if failsWrites.load(ordering: .relaxed) { throw Errno.ioError }
        let data = Array(message.bytes[80..<80 + size])
        try descriptor(node).writeAll(toAbsoluteOffset: Int64(message.long(48)), data)
        answer.word(UInt32(size))
        answer.word(0)
      case .statfs:
        answer.long(1 << 20)
        answer.long(1 << 19)
        answer.long(1 << 19)
        answer.long(1 << 20)
        answer.long(1 << 19)
        answer.word(4096)
        answer.word(255)
        answer.word(4096)
        answer.pad(to: 80)
      case .unlink:
        try check(unsafe Glibc.unlink(path(message.name(40)).string))
      case .rename:
        try rename(message, at: 48, flags: 0)
      case .rename2:
        guard hasExclusiveRename else { throw Errno.noFunction }
        try rename(message, at: 56, flags: message.word(48))
      case .fsync:
        try check(Glibc.fsync(descriptor(node).rawValue))
      case .readdir:
        answer.bytes = try list(from: message.long(48))
      case .release, .releasedir, .flush, .fsyncdir: break
      case .link: throw Errno.noFunction
      case .destroy: return nil
      }
      return answer
    }

    // MARK: Files

    private func path(_ name: String) -> FilePath { directory.appending(name) }

    private func check(_ result: Int32) throws {
      if result != 0 { throw Errno(rawValue: errno) }
    }

    private func look(_ name: String, flags: FileDescriptor.OpenOptions, mode: UInt16 = 0) throws -> UInt64 {
      let isNew = flags.contains(.create)
      let descriptor = try FileDescriptor.open(
        path(name), .readWrite, options: isNew ? flags : [],
        permissions: isNew ? FilePermissions(rawValue: mode_t(mode)) : nil)
      let inode = try UInt64(status(descriptor).st_ino)
      if let known = numbers[inode] {
        try descriptor.close()
        nodes[known]?.lookups += 1
        return known
      }
      let number = nextNumber
      nextNumber += 1
      nodes[number] = Node(descriptor: descriptor, lookups: 1)
      numbers[inode] = number
      return number
    }

    private func forget(_ number: UInt64, _ count: UInt64) {
      guard var node = nodes[number] else { return }
      node.lookups -= min(count, node.lookups)
      nodes[number] = node
      if node.lookups > 0 { return }
      if let inode = try? status(node.descriptor).st_ino { numbers[UInt64(inode)] = nil }
      try? node.descriptor.close()
      nodes[number] = nil
    }

    private func descriptor(_ number: UInt64) throws -> FileDescriptor {
      guard let node = nodes[number] else { throw Errno.staleNFSFileHandle }
      return node.descriptor
    }

    private func status(_ descriptor: FileDescriptor) throws -> stat {
      var result = stat()
      try check(unsafe fstat(descriptor.rawValue, &result))
      return result
    }

    private func read(_ number: UInt64, _ offset: Int64, _ size: Int) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: size)
      let descriptor = try descriptor(number)
      let count = try unsafe bytes.withUnsafeMutableBytes {
        try unsafe descriptor.read(fromAbsoluteOffset: offset, into: $0)
      }
      return Array(bytes[..<count])
    }

    private func rename(_ message: Message, at offset: Int, flags: UInt32) throws {
      let from = message.name(offset)
      let to = message.name(offset + from.utf8.count + 1)
      let source = path(from).string
      let target = path(to).string
      // RENAME_NOREPLACE. Nobody else uses the directory.
      if flags & 1 != 0, unsafe access(target, F_OK) == 0 { throw Errno.fileExists }
      try check(unsafe Glibc.rename(source, target))
    }

    private func list(from offset: UInt64) throws -> [UInt8] {
      // The few files fit in one answer.
      if offset != 0 { return [] }
      var answer = Answer()
      for (index, name) in try FileManager.default.contentsOfDirectory(atPath: directory.string).enumerated()
      {
        answer.long(UInt64(index) + 10)
        answer.long(UInt64(index) + 1)
        answer.word(UInt32(name.utf8.count))
        answer.word(UInt32(DT_REG))
        answer.bytes += Array(name.utf8)
        answer.pad(to: (answer.bytes.count + 7) / 8 * 8)
      }
      return answer.bytes
    }

    // MARK: Attributes

    private func entry(_ number: UInt64, _ answer: inout Answer) {
      answer.long(number)
      answer.pad(to: 40)
      try? attributes(number, &answer)
    }

    private func attributes(_ number: UInt64, _ answer: inout Answer) throws {
      var status = stat()
      if number == Self.root {
        try check(unsafe stat(directory.string, &status))
      } else {
        status = try self.status(descriptor(number))
      }
      for value in [number, UInt64(status.st_size), UInt64(status.st_blocks), 0, 0, 0] { answer.long(value) }
      for value in [
        0, 0, 0, status.st_mode, UInt32(status.st_nlink), status.st_uid, status.st_gid, 0, 4096, 0,
      ] {
        answer.word(value)
      }
    }
  }

  /// A request, whose fields lie where <linux/fuse.h> says.
  private struct Message {
    let bytes: [UInt8]

    func word(_ offset: Int) -> UInt32 {
      bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    func long(_ offset: Int) -> UInt64 { UInt64(word(offset)) | UInt64(word(offset + 4)) << 32 }
    func name(_ offset: Int) -> String {
      String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  private struct Answer {
    var bytes: [UInt8] = []

    mutating func word(_ value: UInt32) {
      for index in 0..<4 as Range<UInt32> { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
    mutating func long(_ value: UInt64) {
      word(UInt32(truncatingIfNeeded: value))
      word(UInt32(truncatingIfNeeded: value >> 32))
    }
    mutating func pad(to count: Int) {
      bytes += [UInt8](repeating: 0, count: max(0, count - bytes.count))
    }
  }
#endif
