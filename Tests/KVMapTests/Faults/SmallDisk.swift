import Foundation
import MappedMemory
import SystemPackage
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A disk that is soon full: a file system of a few MiB, or a limit for the length of this process's files.
final class SmallDisk {
  enum Kind: String, Codable {
    case tmpfs, ext4
    /// These two share blocks between files. They need 300 MiB at least, most of which is taken
    /// at once.
    case btrfs, xfs
    /// A limit for the length of files, which any process can set for itself.
    case limit

    /// The kinds that this process can make.
    static let all: [Kind] = SmallDisk.canMount ? [.tmpfs, .ext4, .xfs, .btrfs, .limit] : [.limit]
    fileprivate static let leastMegabytes = 320
  }

  /// Whether this process can mount a file system. Only root can, and not in every container.
  static let canMount = geteuid() == 0 && (try? SmallDisk(.tmpfs, megabytes: 1)) != nil

  struct CannotMount: Error, CustomStringConvertible {
    let kind: Kind

    var description: String {
      "cannot make and mount a file system (\(kind)); install e2fsprogs, btrfs-progs and xfsprogs"
    }
  }

  let kind: Kind
  /// Whether a sync takes time.
  var hasRealSyncs: Bool { kind != .tmpfs && kind != .limit }
  let directory: FilePath
  private let scratch: Scratch
  private let megabytes: Int

  /// - Parameter limiting: whether a disk of the kind `limit` sets the limit for this process.
  init(_ kind: Kind, megabytes: Int, limiting: Bool = true) throws {
    // The images of slow file systems lie in memory.
    scratch = try [.limit, .btrfs, .xfs].contains(kind) ? .inMemory() : Scratch()
    self.megabytes = megabytes
    self.kind = kind
    directory = scratch.path("disk")
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: false)
    guard mount() else { throw CannotMount(kind: kind) }
    if kind == .xfs || kind == .btrfs, megabytes < Kind.leastMegabytes { try takeAll(but: megabytes) }
    if kind == .limit, limiting { try limitFileSize(to: UInt64(megabytes) << 20) }
  }

  deinit {
    if kind != .limit { _ = Self.run("umount", "-l", directory.string) }
  }

  private func mount() -> Bool {
    switch kind {
    case .limit: return true
    case .tmpfs:
      return Self.run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", directory.string)
    case .ext4, .btrfs, .xfs:
      let image = scratch.path("image")
      guard let file = try? File(opening: image, access: .readWrite, create: true),
        (try? file.setSize(Int64(kind == .ext4 ? megabytes : max(megabytes, Kind.leastMegabytes)) << 20))
          != nil
      else { return false }
      let isMade =
        switch kind {
        case .ext4: Self.run("mkfs.ext4", "-q", "-F", "-m", "0", image.string)
        case .btrfs: Self.run("mkfs.btrfs", "-q", image.string)
        default: Self.run("mkfs.xfs", "-q", image.string)
        }
      return isMade && Self.run("mount", "-o", "loop", image.string, directory.string)
    }
  }

  static func run(_ command: String...) -> Bool { output(command) != nil }

  /// What a command prints; nil if it fails.
  static func output(_ command: [String]) -> String? {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + command
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    do { try process.run() } catch { return nil }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? String(decoding: output, as: UTF8.self) : nil
  }

  /// Mounts the disk read-only. No file may be open for writing. Processes that other tests
  /// start have copies of all descriptors for a moment, so it tries several times.
  func makeReadOnly() -> Bool {
    for _ in 0..<200 {
      if Self.run("mount", "-o", "remount,ro", directory.string) { return true }
      usleep(50_000)
    }
    return false
  }

  /// Makes a file that takes up space until `makeRoom`.
  func takeRoom(_ bytes: Int) throws {
    if kind == .limit { return try limitFileSize(to: UInt64(megabytes) << 20 - UInt64(bytes)) }
    let file = try File(opening: directory.appending("other"), access: .readWrite, create: true)
    try file.allocate(offset: 0, length: Int64(bytes))
  }

  /// Takes all the space there is.
  func takeAllRoom() throws { try takeAll(directory.appending("other"), steps: [1 << 20, 65_536, 4096]) }

  @discardableResult
  private func takeAll(_ path: FilePath, steps: [Int64]) throws -> Int64 {
    let file = try File(opening: path, access: .readWrite, create: true)
    var end: Int64 = 0
    for step in steps {
      while (try? file.allocate(offset: end, length: step)) != nil { end += step }
    }
    return end
  }

  private static let ballast = "ballast"

  private func takeAll(but megabytes: Int) throws {
    let path = directory.appending(Self.ballast)
    let end = try takeAll(path, steps: [1 << 20])
    let file = try File(opening: path, access: .readWrite)
    try file.setSize(end - Int64(megabytes) << 20)
    // Space that becomes free can be taken again only after these syncs.
    try file.sync()
    try File.syncDirectory(directory)
  }

  var names: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: directory.string).filter {
        ![Self.ballast, "lost+found"].contains($0)
      }
    }
  }

  /// Frees the space that was taken.
  func makeRoom() throws {
    if kind == .limit { return try limitFileSize(to: UInt64(megabytes) << 21) }
    try File.remove(directory.appending("other"))
  }
}

/// Limits the length of this process's files (`RLIMIT_FSIZE`).
func limitFileSize(to bytes: UInt64) throws {
  #if canImport(Glibc)
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
  #else
    let resource = RLIMIT_FSIZE
  #endif
  var limit = rlimit()
  guard unsafe getrlimit(resource, &limit) == 0 else { throw Errno(rawValue: errno) }
  limit.rlim_cur = rlim_t(bytes)
  guard unsafe setrlimit(resource, &limit) == 0 else { throw Errno(rawValue: errno) }
}
