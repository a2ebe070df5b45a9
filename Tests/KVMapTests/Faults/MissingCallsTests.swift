import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Kernels, file systems and filters of system calls that do not know a call or refuse it: each
/// call by itself and all together, over a whole life of a store.
@Suite(.timeLimit(.minutes(10)))
struct MissingCallsTests {
  private static let answers: [Errno] = [.noFunction, .notPermitted, .invalidArgument, .notSupported]

  /// The store works without these, if slower. Some are made only where others are missing.
  private static let dispensable: Set<SystemCall> = [
    .openUnnamed, .linkat, .renameat, .fstatfs, .fallocate, .zeroRange, .punchHole, .clone, .lseek,
    .madvise, .populateRead, .dontFork, .mincore,
  ]

  @Test(arguments: Chapter.allCases)
  func theStoreWorksWithoutDispensableCalls(chapter: Chapter) async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [chapter = chapter as Chapter] in
      let scratch = try Scratch.inMemory()
      let image = try chapter.image(in: scratch)
      let made = try Self.callsMade(chapter, image, scratch)
      var runs = 0
      func run(without calls: Set<SystemCall>, _ answer: Errno, named: SystemCall? = nil) throws -> Int {
        let life = try FaultyLife(
          chapter, from: image, in: scratch, what: "\(chapter), \(calls.map(\.rawValue)): \(answer)",
          allowed: [.system, .permissionDenied, .outcomeUnknown, .cannotCreate, .notEnoughMemory],
          named: named)
        let fault = Fault(calls, from: 1, as: answer)
        try life.run { try fault.during($0) }
        runs += 1
        return life.failures
      }
      for answer in Self.answers {
        for call in made.sorted(by: { $0.rawValue < $1.rawValue }) {
          if Self.dispensable.contains(call) {
            #expect(try run(without: [call], answer) == 0, "\(chapter), \(call.rawValue): \(answer)")
          } else {
            // An error names the missing call.
            _ = try run(without: [call], answer, named: call)
          }
        }
        #expect(try run(without: Self.dispensable, answer) == 0, "\(chapter), all: \(answer)")
      }
      let pairs = Self.dispensable.sorted { $0.rawValue < $1.rawValue }
      for (number, first) in pairs.enumerated() where made.contains(first) {
        for second in pairs[..<number] {
          let failures = try run(without: [first, second], .notPermitted)
          #expect(failures == 0, "\(chapter), \(first.rawValue), \(second.rawValue)")
        }
      }
      let without = made.intersection(Self.dispensable).count
      print("kvmap: \(chapter): \(made.count) calls, \(without) dispensable, \(runs) runs")
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    for line in output.split(separator: "\n") where line.hasPrefix("kvmap: ") { print(line) }
  }

  /// Each is made in some chapter, so that the test above tries it.
  @Test func everyDispensableCallIsMade() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch.inMemory()
      var made: Set<SystemCall> = []
      for chapter in Chapter.allCases {
        let image = try chapter.image(in: scratch)
        for missing: Set<SystemCall> in [[], [.openUnnamed, .fallocate, .zeroRange]] {
          made.formUnion(try Self.callsMade(chapter, image, scratch, without: missing))
        }
        try? File.remove(scratch.path("before"))
      }
      let unmade = Self.dispensable.subtracting(made).map(\.rawValue)
      if !unmade.isEmpty { print("kvmap: never made: \(unmade)") }
      #expect(unmade == [])
    }
  }

  private static func callsMade(
    _ chapter: Chapter, _ image: (Image, Operation.Contents)?, _ scratch: Scratch,
    without missing: Set<SystemCall> = []
  ) throws -> Set<SystemCall> {
    let made = Calls()
    let life = try FaultyLife(chapter, from: image, in: scratch, what: "\(chapter)")
    try life.run { body in
      FaultInjection.install { call in
        made.insert(call)
        return missing.contains(call) ? .noFunction : nil
      }
      defer { FaultInjection.install(nil) }
      try body()
    }
    return made.all
  }

  private final class Calls: Sendable {
    private let calls = Mutex<Set<SystemCall>>([])
    func insert(_ call: SystemCall) { calls.withLock { _ = $0.insert(call) } }
    var all: Set<SystemCall> { calls.withLock { $0 } }
  }
}
