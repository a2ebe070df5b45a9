import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Another process of this test program.
///
/// An environment variable tells it to play one role instead of running the tests. It reads
/// bytes from descriptor 3 and writes them to descriptor 4, so that what the testing library
/// prints does not interfere.
final class ChildProcess {
  private static let variable = "KVMAP_TEST_CHILD"

  let identifier: pid_t
  private let toChild: FileDescriptor
  private let fromChild: FileDescriptor
  private var isReaped = false
  private var hasInput = true

  /// No child may inherit another one's pipes, which must end with their only writer.
  private static let oneAtATime = Mutex<Void>(())

  /// Starts a child in `role`; arguments must not hold line ends.
  init(_ role: ChildRole, _ arguments: [String]) throws {
    let request = ([role.rawValue] + arguments).joined(separator: "\n")
    (identifier, toChild, fromChild) = try Self.oneAtATime.withLock { _ in
      let input = try FileDescriptor.pipeForOneProcess()
      let output = try FileDescriptor.pipeForOneProcess()
      let identifier = try Self.spawn(request, reads: input.read, writes: output.write)
      try input.read.close()
      try output.write.close()
      return (identifier, input.write, output.read)
    }
  }

  deinit {
    kill()
    // Closed only once: another file may have the number later.
    if hasInput { try? toChild.close() }
    try? fromChild.close()
  }

  private static func spawn(
    _ request: String, reads input: FileDescriptor, writes output: FileDescriptor
  ) throws -> pid_t {
    let arguments = [
      CommandLine.arguments[0], "--testing-library", "swift-testing", "--filter", "ChildEntry",
    ]
    var environment = ProcessInfo.processInfo.environment
    environment[variable] = request
    var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
    var envp = unsafe environment.map { unsafe strdup("\($0)=\($1)") } + [nil]
    defer { unsafe (argv + envp).forEach { unsafe free($0) } }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    // In two steps, since the descriptors may themselves have the numbers 3, 4 and 5.
    for (index, descriptor) in [input.rawValue, output.rawValue, 2].enumerated() {
      unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, 900 + Int32(index))
    }
    for index in 0..<3 as Range<Int32> {
      unsafe posix_spawn_file_actions_adddup2(&actions, 900 + index, 3 + index)
      unsafe posix_spawn_file_actions_addclose(&actions, 900 + index)
    }
    // The child's test run prints nothing. When its role begins, it gets its standard error
    // back from 5.
    unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var identifier = pid_t()
    let status = unsafe posix_spawn(&identifier, arguments[0], &actions, nil, &argv, &envp)
    guard status == 0 else { throw Errno(rawValue: status) }
    return identifier
  }

  /// Ends the child with SIGKILL, if it still runs, and waits until it is gone.
  func kill() {
    if isReaped { return }
    #if canImport(Glibc)
      _ = Glibc.kill(identifier, SIGKILL)
    #else
      _ = Darwin.kill(identifier, SIGKILL)
    #endif
    _ = wait()
  }

  /// Waits until the child has ended; its raw wait status.
  func wait() -> Int32 {
    if isReaped { return 0 }
    var status: Int32 = 0
    while unsafe waitpid(identifier, &status, 0) == -1, errno == EINTR {}
    isReaped = true
    return status
  }

  func send(_ byte: UInt8) throws { try toChild.writeAll([byte]) }
  func endInput() throws {
    hasInput = false
    try toChild.close()
  }

  /// The next byte from the child; nil when it has ended.
  func receive() throws -> UInt8? { try fromChild.nextByte() }

  /// Whether the child sends something within that time.
  func hasNews(within milliseconds: Int32) -> Bool {
    var descriptor = pollfd(fd: fromChild.rawValue, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&descriptor, 1, milliseconds) > 0
  }

  /// All that is left to read from a child that has ended.
  func drain() throws -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe fromChild.read(into: $0) }
      if count == 0 { return all }
      all += buffer[..<count]
    }
  }

  // MARK: In the child

  /// Set in a child: its role and what goes with it.
  static let request: [String]? = ProcessInfo.processInfo.environment[variable]?.components(
    separatedBy: "\n")
}

/// The parent, as a child sees it.
enum Parent {
  static let input = FileDescriptor(rawValue: 3)
  static let output = FileDescriptor(rawValue: 4)

  static func tell(_ byte: UInt8 = 1) throws { try output.writeAll([byte]) }

  /// Waits for the parent's next byte; ends this process if there is none.
  @discardableResult
  static func listen() throws -> UInt8 {
    guard let byte = try input.nextByte() else { exit(0) }
    return byte
  }
}

extension FileDescriptor {
  func nextByte() throws -> UInt8? {
    var byte: [UInt8] = [0]
    let count = try unsafe byte.withUnsafeMutableBytes { try unsafe read(into: $0) }
    return count == 0 ? nil : byte[0]
  }

  fileprivate static func pipeForOneProcess() throws -> (read: FileDescriptor, write: FileDescriptor) {
    let ends = try FileDescriptor.pipe()
    for end in [ends.readEnd, ends.writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    return (ends.readEnd, ends.writeEnd)
  }
}
