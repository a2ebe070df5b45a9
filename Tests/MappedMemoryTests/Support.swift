import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

extension Scratch {
  func path() -> FilePath { path("file") }

  /// A file of `pages` pages; the bytes of a page are its number, from 1.
  func file(_ name: String = "file", pages: Int) throws -> File {
    let file = try File(opening: path(name), access: .readWrite, create: true, exclusive: true)
    for page in 0..<pages {
      try file.write([UInt8](repeating: UInt8(page + 1), count: PageSize.bytes), at: page * PageSize.bytes)
    }
    return file
  }
}

extension File {
  borrowing func write(_ bytes: [UInt8], at offset: Int) throws {
    try unsafe write(bytes.span.bytes, at: Int64(offset))
  }

  borrowing func bytes(_ count: Int, at offset: Int = 0) throws -> [UInt8] {
    try read(count: count, at: Int64(offset))
  }
}

extension RawSpan {
  func byte(_ offset: Int) -> UInt8 {
    let byte = unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    use(byte)
    return byte
  }
}

/// Keeps a load: the optimizer would leave it out if nothing used its result.
func use(_ byte: UInt8) { sink.store(byte, ordering: .relaxed) }

private let sink = Atomic<UInt8>(0)

extension Mapping {
  borrowing func byte(_ offset: Int) throws -> UInt8 { try withBytes { $0.byte(offset) } }
}

extension MutableMapping {
  borrowing func byte(_ offset: Int) throws -> UInt8 { try withBytes { $0.byte(offset) } }

  mutating func set(_ offset: Int, to value: UInt8) throws {
    try withMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt8.self) }
  }
}

extension Reservation {
  borrowing func byte(_ offset: Int) throws -> UInt8 {
    try unsafe withUnsafeMutableBytes(at: offset, length: 1) { unsafe $0[0] }
  }

  borrowing func set(_ offset: Int, to value: UInt8) throws {
    try unsafe withUnsafeMutableBytes(at: offset, length: 1) { unsafe $0[0] = value }
  }
}

/// What the kernel says about the mapping at an address (proc_pid_smaps(5)).
struct KernelView {
  var permissions = ""
  /// Two letters each: "dc" not copied on fork, "lo" locked, "nr" no reserve…
  var flags: [String] = []
  /// Bytes entered in this process's page table.
  var residentBytes = 0

  init?(at wanted: UInt) throws {
    var isFound = false
    for line in try kernelText("/proc/self/smaps").split(separator: "\n") {
      let words = line.split(separator: " ")
      let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      if bounds.count == 2, !words[0].hasSuffix(":") {
        if isFound { break }
        isFound = bounds[0] <= wanted && wanted < bounds[1]
        if isFound { permissions = String(words[1]) }
      } else if isFound, words[0] == "Rss:" {
        residentBytes = Int(words[1])! * 1024
      } else if isFound, words[0] == "VmFlags:" {
        flags = words.dropFirst().map(String.init)
      }
    }
    if !isFound { return nil }
  }
}

extension Mapping {
  var address: UInt { unsafe UInt(bitPattern: base) }
  borrowing func kernelView(_ offset: Int = 0) throws -> KernelView? {
    try KernelView(at: address + UInt(offset))
  }
}

extension MutableMapping {
  var address: UInt { unsafe UInt(bitPattern: base) }
  borrowing func kernelView(_ offset: Int = 0) throws -> KernelView? {
    try KernelView(at: address + UInt(offset))
  }
}

extension Reservation {
  var address: UInt { unsafe UInt(bitPattern: base) }
  borrowing func kernelView(_ offset: Int = 0) throws -> KernelView? {
    try KernelView(at: address + UInt(offset))
  }
}

/// What the process may do beyond an ordinary user's.
enum Capability: UInt64 {
  case ipcLock = 14
  case sysAdmin = 21

  var isHeld: Bool {
    guard let status = try? kernelText("/proc/self/status"),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
      let held = UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16)
    else { return false }
    return held >> rawValue & 1 == 1
  }
}

/// The exit status of a forked child that runs `body`.
///
/// For tests in a process of their own: a child has only the thread that forked.
func exitStatusOfChild(_ body: () throws -> Int32) -> Int32 { exitStatus(of: startChild(body)) }

func startChild(_ body: () throws -> Int32) -> pid_t {
  let fork = hidden("fork", as: (@convention(c) () -> pid_t).self)
  let child = fork()
  if child == 0 { _exit((try? body()) ?? 99) }
  return child
}

/// Waits for a child to end; minus the signal if one has ended it.
func exitStatus(of child: pid_t) -> Int32 {
  var status: Int32 = 0
  while unsafe waitpid(child, &status, 0) == -1 && errno == EINTR {}
  return status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
}

/// Mounts a tmpfs over a directory, for this thread alone. For tests in a process of
/// their own.
func mountTemporaryFileSystem(at directory: FilePath, options: String) throws {
  let unshare = hidden("unshare", as: (@convention(c) (Int32) -> Int32).self)
  let newMounts: Int32 = 0x20000
  try #require(unshare(newMounts) == 0)
  let recursivePrivate: UInt = 1 << 14 | 1 << 18
  try #require(mountCall("none", "/", "", recursivePrivate, "") == 0)
  try #require(mountCall("tmpfs", directory.string, "tmpfs", 0, options) == 0)
}

/// Changes a tmpfs mounted before to read-only.
func remountReadOnly(_ directory: FilePath) throws {
  let remountReadOnly: UInt = 32 | 1
  try #require(mountCall("tmpfs", directory.string, "tmpfs", remountReadOnly, "") == 0)
}

private func mountCall(_ source: String, _ target: String, _ type: String, _ flags: UInt, _ data: String)
  -> Int32
{
  typealias Mount =
    @convention(c) (
      UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>, UInt, UnsafePointer<CChar>
    ) -> Int32
  return unsafe hidden("mount", as: Mount.self)(source, target, type, flags, data)
}

/// Resources by the numbers of getrlimit(2), which the Swift module has in part.
enum Resource: UInt32 {
  case fileSize = 1
  case openFiles = 7
  case lockedMemory = 8
  case addressSpace = 9
}

/// Sets a soft limit of this process, and can drop its privileges.
func limit(_ resource: Resource, to value: UInt, dropPrivileges: Bool) throws {
  var limit = rlimit()
  let number = __rlimit_resource_t(resource.rawValue)
  try #require(unsafe getrlimit(number, &limit) == 0)
  limit.rlim_cur = value
  try #require(unsafe setrlimit(number, &limit) == 0)
  if dropPrivileges, geteuid() == 0 { try #require(seteuid(65534) == 0) }
}

/// The error that `body` throws; an issue if it throws none, or another kind.
func mappingError(
  _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) throws -> MappingError {
  let error = #expect(throws: MappingError.self, sourceLocation: sourceLocation) { try body() }
  return try #require(error, sourceLocation: sourceLocation)
}

/// A value that many threads write.
final class Shared<Value: Sendable>: @unchecked Sendable {
  // Unchecked: every access holds the lock.
  private let lock = NSLock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  @discardableResult
  func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    try lock.withLock { try body(&value) }
  }
}

/// Runs `body` on `count` threads at once, and waits for them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    let thread = Thread {
      body(index)
      group.leave()
    }
    thread.start()
  }
  group.wait()
}
