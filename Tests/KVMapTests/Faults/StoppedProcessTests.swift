import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A process is stopped or killed at each system call of an occasion, one after the other.
/// Readers go on at once; a writer that has to wait learns for which process; and when the
/// process goes on or is gone, the store is whole. Nothing is left to chance.
@Suite(.timeLimit(.minutes(10)))
struct StoppedProcessTests {
  enum Occasion: String, CaseIterable, Codable {
    case creation, creationByRenaming, creationInPlace, adoption
    case opening, openingForReading, joining, recovery, takeover
    case put, durablePut, checkpoint, closing, compaction, backup

    /// Whether there is no store before.
    var isCreation: Bool { [.creation, .creationByRenaming, .creationInPlace, .adoption].contains(self) }
  }

  @Test(arguments: Occasion.allCases)
  func readersGoOnAndWritersLearnForWhomTheyWait(occasion: Occasion) async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [occasion = occasion as Occasion] in
      let ground = try StoppingGround(occasion)
      for signal in [SIGSTOP, SIGKILL] {
        var calls = 0
        while try ground.run(signal, at: calls + 1) { calls += 1 }
        #expect(calls > 0)
        print("kvmap: \(occasion): \(signal == SIGSTOP ? "stopped" : "killed") at \(calls) system calls")
      }
    }
    if let output = result?.standardOutputContent {
      for line in String(decoding: output, as: UTF8.self).split(separator: "\n")
      where line.hasPrefix("kvmap:") {
        print(line)
      }
    }
  }
}

/// A store, and the occasion in which one process after the other is stopped or killed. For
/// exit tests.
final class StoppingGround {
  private let occasion: StoppedProcessTests.Occasion
  private let scratch: Scratch
  private let board = Board()
  private let image: Image?
  private var contents: Operation.Contents = [:]

  private var path: FilePath { scratch.path() }

  init(_ occasion: StoppedProcessTests.Occasion) throws {
    self.occasion = occasion
    scratch = try Scratch.inMemory()
    if occasion.isCreation {
      image = nil
      return
    }
    let store = try Store(scratch.path("before"))
    for number in 0..<20 { contents[bytes("key \(number)")] = patterned(100 * number, UInt64(number)) }
    contents[bytes("large")] = patterned(100_000, 1)
    if occasion == .closing {
      // With fewer index pages there is no reserve that closing could truncate.
      for number in 0..<1_000 { contents[bytes("small \(number)")] = [1] }
    }
    for (key, value) in contents { try store.put(value, forKey: key) }
    if occasion == .compaction || occasion == .closing {
      for round in 0..<80 { try store.put(patterned(60_000, UInt64(round)), forKey: "filler") }
      try store.remove("filler")
    }
    try store.checkpoint()
    for (key, value) in contents.prefix(5) { try store.put(value, forKey: key) }
    if occasion != .recovery { try store.close() }
    image = try Image(of: scratch.path("before"))
    withExtendedLifetime(store) {}
  }

  /// False if the process makes fewer calls.
  func run(_ signal: Int32, at nth: Int) throws -> Bool {
    for name in try scratch.names where name != "before" { try File.remove(scratch.path(name)) }
    if let image { try image.lay(at: path) }
    if occasion == .adoption { try File(opening: path, access: .readWrite, create: true).close() }
    board.message = ""
    let child = ForkedChild(board) { try live(signal, nth) }
    guard try child.waits(untilStoppedOrEnded: signal) else {
      #expect(board.message == "", "\(occasion) without a signal")
      return false
    }
    let what: Comment = "\(occasion), \(signal == SIGSTOP ? "stopped" : "killed") at call \(nth)"
    let start = ContinuousClock.now
    try read(what)
    #expect(ContinuousClock.now - start < .seconds(1), what)
    let isWritten = try write(child, what, isGone: signal == SIGKILL)
    if signal == SIGSTOP {
      kill(child.identifier, SIGCONT)
      _ = try child.waits { false }
      #expect(child.end == .well, "\(what.rawValue): \(board.message)")
    }
    try check(what, isWritten: isWritten)
    return true
  }

  // MARK: The child

  /// What the process does; `counted` is the part in which it is stopped.
  private func live(_ counted: (() throws -> Void) throws -> Void) throws {
    // Which call is the nth must not depend on another thread.
    var options = Store.Options(checkpoints: .inline)
    func open() throws -> Store { try Store(path, options: options) }
    switch occasion {
    case .creation, .creationByRenaming, .creationInPlace, .adoption, .recovery, .opening:
      try counted {
        let store = try open()
        try store.put("by the child", forKey: "child")
        try store.close()
      }
    case .openingForReading:
      options.access = .readOnly
      try counted {
        let found = try open().get("key 1")
        #expect(found == contents[bytes("key 1")])
      }
    case .joining:
      let other = try open()
      try counted { try open().put("by the child", forKey: "child") }
      try other.close()
    case .takeover:
      let store = try open()
      try store.put("by the child", forKey: "child")
      store.core.shared[.busy] = 1
      try counted { try store.put("again", forKey: "child") }
    case .put, .durablePut:
      options.durability = occasion == .put ? .none : .onCommit
      let store = try open()
      try counted {
        try store.put("by the child", forKey: "child")
        try store.put(patterned(150_000, 3), forKey: "child's")
      }
    case .checkpoint:
      let store = try open()
      try store.put("by the child", forKey: "child")
      try counted { try store.checkpoint() }
    case .closing:
      let store = try open()
      try store.put(patterned(1_000, 1), forKey: "child")
      try counted { try store.close() }
    case .compaction:
      let store = try open()
      try counted { try store.compact() }
    case .backup:
      let store = try open()
      try counted { try store.backup(to: scratch.path("copy")) }
    }
  }

  /// Sends the signal at the nth call, and lets the calls fail that the occasion does without.
  private func live(_ signal: Int32, _ nth: Int) throws {
    let calls = Mutex<[SystemCall]>([])
    let hasLocked = Mutex(false)
    let occasion = occasion
    try live { body in
      FaultInjection.install { call in
        let number = calls.withLock { calls in
          calls.append(call)
          return calls.count
        }
        if number == nth { raise(signal) }
        switch (occasion, call) {
        case (.creationInPlace, .linkat), (.creationInPlace, .renameat): return .notSupported
        case (_, .lock):
          hasLocked.withLock { $0 = true }
          return nil
        // This tells the store that a file without a name cannot get one.
        case (.creationByRenaming, .stat): return hasLocked.withLock { $0 } ? nil : .noFunction
        default: return nil
        }
      }
      defer { FaultInjection.install(nil) }
      try body()
      // Without a signal, closing truncates the file.
      let made = calls.withLock { $0 }
      if occasion == .closing, nth > made.count, !made.contains(.ftruncate) {
        throw KillFailure("the file was not truncated")
      }
    }
  }

  // MARK: The others

  private func read(_ what: Comment) throws {
    let options = Store.Options(access: .readOnly)
    do {
      let store = try Store(path, options: options)
      for (key, value) in contents { #expect(try store.get(key) == value, what) }
      for (key, value) in try store.everything() {
        #expect(contents[key] == value || key.starts(with: bytes("child")), what)
      }
    } catch {
      #expect(occasion.isCreation && (error as? Store.Error)?.code == .notFound, "\(what.rawValue): \(error)")
    }
  }

  /// Whether a put was done. If not, its error names the process that it waited for.
  private func write(_ child: ForkedChild, _ what: Comment, isGone: Bool) throws -> Bool {
    let options = Store.Options(timeout: .milliseconds(isGone ? 10_000 : 20))
    do throws(Store.Error) {
      let store = try Store(path, options: options)
      try store.put("by the parent", forKey: "written")
      try store.close()
      return true
    } catch {
      #expect(!isGone && error.code == .busy, "\(what.rawValue): \(error)")
      #expect(error.holder == child.identifier, "\(what.rawValue): \(error)")
      return false
    }
  }

  private func check(_ what: Comment, isWritten: Bool) throws {
    let store = try Store(path)
    var found = try store.everything()
    #expect((found.removeValue(forKey: bytes("written")) != nil) == isWritten, what)
    for key in ["child", "child's"] { found[bytes(key)] = nil }
    #expect(found == contents, what)
    try expectSound(store, what)
    try store.close()
    for name in try scratch.names where !["before", "store"].contains(name) {
      if name == "copy" {
        let copy = try Store(scratch.path(name))
        try expectSound(copy, what)
        continue
      }
      // Where a hidden file is needed, a killed process leaves it.
      #expect(occasion == .creationByRenaming || occasion == .creationInPlace, "\(what.rawValue): \(name)")
      #expect(name.hasPrefix(".store.tmp-"), what)
    }
  }
}

extension ForkedChild {
  /// Waits until a signal has stopped it or ended it; false if it ended by itself.
  fileprivate func waits(untilStoppedOrEnded signal: Int32) throws -> Bool {
    if signal == SIGKILL {
      _ = try waits { false }
      return wasKilled
    }
    return try waits { self.isStopped }
  }

  /// Whether a signal has stopped it.
  private var isStopped: Bool {
    var information = unsafe siginfo_t()
    let result = unsafe waitid(P_PID, id_t(identifier), &information, WSTOPPED | WNOHANG | WNOWAIT)
    if result != 0 { return false }
    return unsafe information.si_signo == SIGCHLD
  }
}
