import Foundation
import SystemPackage
import TestSupport
import Testing

/// A child process in which hostile files are opened. A trap, a hang, a file that grows without
/// bound, or memory taken for an unchecked length ends it, and the parent says in which case.
///
/// `KVMAP_HOSTILE_SCALE` (1) multiplies the random cases. From 8 on, each bit of each used page
/// is flipped, not only one in each byte. `KVMAP_TEST_SEED` repeats a run, and with
/// `KVMAP_HOSTILE_CASE` one forgery of it.
@safe
final class Cage {
  /// Where the files are: in memory if possible.
  let directory: FilePath
  private let status: Int32
  private(set) var cases = 0

  /// The longest time of a case, in seconds of the processor and, since the machine may be busy,
  /// of the clock. Most take less than a millisecond.
  private static let longestWork = 10, longestCase: UInt32 = 120
  /// How much memory the process may take. Each open handle reserves 256 MiB for marks of
  /// pages, without touching them.
  private static let mostData: UInt = 4 << 30
  private static let mostResident = 600 << 10
  private static let largestFile: UInt = 8 << 30

  /// Not with sanitizers, which reserve terabytes of memory and use much of it.
  private static let limitsMemory =
    unsafe dlsym(nil, "__tsan_init") == nil && dlsym(nil, "__asan_init") == nil

  static let scale = Environment.number("KVMAP_HOSTILE_SCALE") ?? 1

  /// `KVMAP_HOSTILE_CASE`: the only forgery to try.
  static let onlyCase = Environment.number("KVMAP_HOSTILE_CASE")

  private init(_ directory: String) throws {
    self.directory = FilePath(directory)
    status = unsafe open(self.directory.appending("status").string, O_RDWR | O_CREAT, 0o600)
    if Self.limitsMemory {
      var data = rlimit(rlim_cur: Self.mostData, rlim_max: Self.mostData)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &data)
    }
    var file = rlimit(rlim_cur: Self.largestFile, rlim_max: Self.largestFile)
    unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &file)
  }

  /// Begins a case: notes its name for the parent, and sets the watchdog.
  func begin(_ name: @autoclosure () -> String) {
    cases += 1
    let text = Array("case \(cases): \(name())\n".utf8.prefix(199))
    let line = text + [UInt8](repeating: 0x20, count: 200 - text.count)
    _ = unsafe pwrite(status, line, 200, 0)
    windWatchdog(Self.longestWork, Self.longestCase)
  }

  private func windWatchdog(_ work: Int, _ time: UInt32) {
    var timer = itimerval(it_interval: timeval(), it_value: timeval(tv_sec: work, tv_usec: 0))
    unsafe setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    alarm(time)
  }

  /// The most memory that this process ever had. `getrusage` would include what its parent had
  /// when it started this process.
  private static var mostResidentKibibytes: Int {
    get throws {
      let lines = try kernelText("/proc/self/status").split(separator: "\n")
      let line = try #require(lines.first { $0.hasPrefix("VmHWM:") })
      return try #require(Int(line.split(separator: " ")[1]))
    }
  }

  private func finish(_ name: String) throws {
    windWatchdog(0, 0)
    let resident = try Self.mostResidentKibibytes
    #expect(
      !Self.limitsMemory || resident < Self.mostResident, "\(resident) KiB of memory were used")
    print("\(name): \(cases) cases, at most \(resident) KiB of memory")
    _ = unsafe pwrite(status, Array("done ".utf8), 5, 0)
  }

  // MARK: The parent's side

  /// Makes a directory for a child.
  static func prepare() throws -> String {
    let directory = "\(Scratch.memory)/kvmap-hostile-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    return directory
  }

  static func remove(_ directory: FilePath) {
    try? FileManager.default.removeItem(atPath: directory.string)
  }

  static func conclude(_ directory: String) {
    let status = try? String(contentsOfFile: "\(directory)/status", encoding: .utf8)
    if status?.hasPrefix("done") != true {
      Issue.record("the child ended in \(status ?? "nothing")")
    }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// In the child: runs `body` within the limits.
  static func run(_ name: String, _ directory: String, _ body: (Cage) throws -> Void) throws {
    let cage = try Cage(directory)
    try body(cage)
    try cage.finish(name)
  }
}
