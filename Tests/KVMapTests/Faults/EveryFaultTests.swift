import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Each system call of a store's life fails, in each way, once and from then on. Nothing is
/// left to chance.
@Suite(.timeLimit(.minutes(10)))
struct EveryFaultTests {
  private static let reasons: [Errno] = [.ioError, .noSpace, .noMemory, .diskQuotaExceeded, .interrupted]

  /// How often each call is made in an undisturbed run.
  private static func count(_ chapter: Chapter, _ image: (Image, Operation.Contents)?, _ scratch: Scratch)
    throws -> [SystemCall: Int]
  {
    let counts = Counts()
    let life = try FaultyLife(chapter, from: image, in: scratch, what: "\(chapter)")
    try life.run { body in
      FaultInjection.install { call in
        counts.count(call)
        return nil
      }
      defer { FaultInjection.install(nil) }
      try body()
    }
    #expect(life.failures == 0, "\(chapter) fails without a fault")
    // sigaction is called once in a process, before its first mapping.
    return counts.all.filter { $0.key != .sigaction }
  }

  private final class Counts: Sendable {
    private let counts = Mutex<[SystemCall: Int]>([:])
    func count(_ call: SystemCall) { counts.withLock { $0[call, default: 0] += 1 } }
    var all: [SystemCall: Int] { counts.withLock { $0 } }
  }

  /// Every operation works or throws a typed error. Nothing traps, hangs, leaks a descriptor
  /// or reports damage. When the fault is gone, the store is whole, with everything
  /// acknowledged and nothing half done. An interrupted call is made again.
  @Test(arguments: Chapter.allCases)
  func everyCallFails(chapter: Chapter) async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [chapter = chapter as Chapter] in
      let start = ContinuousClock.now
      let scratch = try Scratch.inMemory()
      let image = try chapter.image(in: scratch)
      let counts = try Self.count(chapter, image, scratch)
      let descriptors = try Self.openDescriptors(scratch.directory)
      var points = 0
      for (call, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        for nth in 1...count {
          for reason in Self.reasons {
            for isLasting in [false, true] {
              let fault = Fault([call], nth: nth, as: reason, isLasting: isLasting)
              let what = "\(chapter), \(call) \(nth), \(reason)\(isLasting ? " from then on" : "")"
              let life = try FaultyLife(chapter, from: image, in: scratch, what: what)
              try life.run { try fault.during($0) }
              #expect(fault.hasStruck, "\(what): never came to that call")
              if reason == .interrupted { #expect(life.failures == 0, "\(what): not made again") }
              points += 1
            }
          }
        }
      }
      #expect(try Self.openDescriptors(scratch.directory) == descriptors)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      let calls = counts.values.reduce(0, +)
      print("kvmap: \(chapter): \(calls) calls, \(points) fault points, \(seconds) s")
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    for line in output.split(separator: "\n") where line.hasPrefix("kvmap: ") { print(line) }
  }

  /// How many descriptors are open for files in the directory. Others may be the language
  /// runtime's.
  private static func openDescriptors(_ directory: FilePath) throws -> Int {
    let names = try FileManager.default.contentsOfDirectory(atPath: "/dev/fd")
    #if os(Linux)
      return names.count { name in
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
        return target?.hasPrefix(directory.string) == true
      }
    #else
      return names.count
    #endif
  }
}
