import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Whichever system call fails while a store is made, the whole store is there, or nothing.
/// In a process of its own, since the hook is for the whole process.
@Suite(.timeLimit(.minutes(5)))
struct CreationFaultTests {
  enum Making: String, CaseIterable, Codable { case new, fromEmptyFile, backup, salvage }

  /// If a call is not supported, the store is made in another way.
  private static let reasons: [Errno] = [.ioError, .noSpace, .notSupported]

  @Test(arguments: Making.allCases)
  func leavesAWholeStoreOrNothing(making: Making) async {
    await #expect(processExitsWith: .success) { [making = making as Making] in
      var failures = 0
      var points = 0
      for reason in Self.reasons {
        for isLasting in [false, true] {
          for nth in 1... {
            let fault = try Self.make(making, nth, reason, isLasting, &failures)
            if !fault.hasStruck { break }
            points += 1
          }
        }
      }
      #expect(points > 100 && failures > 40, "\(points) calls, \(failures) failures")
    }
  }

  private static func make(
    _ making: Making, _ nth: Int, _ reason: Errno, _ isLasting: Bool, _ failures: inout Int
  ) throws -> Fault {
    let what = "\(making), call \(nth), \(reason)\(isLasting ? " from then on" : "")"
    let scratch = try Scratch.inMemory()
    let path = scratch.path("new")
    if making == .backup || making == .salvage {
      try scratch.store("source").put("value", forKey: "key")
    }
    if making == .fromEmptyFile {
      try File(opening: path, access: .readWrite, create: true, exclusive: true).close()
    }
    let before = try scratch.names
    let source = making == .backup ? try scratch.store("source") : nil
    // Removing what was half made needs unlink, and stat to see which file has the name.
    var calls = Set(SystemCall.allCases).subtracting([.close, .munmap, .unlink, .stat, .fstat, .sigaction])
    // Emptying a file that was there before needs ftruncate.
    if isLasting, making == .fromEmptyFile { calls.remove(.ftruncate) }
    let fault = Fault(calls, nth: nth, as: reason, isLasting: isLasting)
    let found = code {
      try fault.during {
        switch making {
        case .new, .fromEmptyFile: _ = try scratch.store("new") { $0.timeout = .zero }
        case .backup: try source?.backup(to: path)
        case .salvage: _ = try Store.salvage(from: scratch.path("source"), into: path)
        }
      }
    }
    try source?.close()
    let isThere = try isStore(path)
    if let found {
      failures += 1
      // If the store is there, only opening it has failed.
      if isThere {
        #expect(found != .cannotCreate && source == nil && making != .salvage, "\(what): \(found)")
      }
      if !isThere { #expect(try scratch.names == before, "\(what)") }
    } else {
      #expect(isThere, "\(what)")
    }
    #expect(try Set(scratch.names).isSubset(of: before + ["new"]), "\(what)")
    if isThere {
      let store = try scratch.store("new") { $0.create = false }
      #expect(try store.count == (before.contains("source") ? 1 : 0), "\(what)")
      try expectSound(store, "\(what)")
    }
    return fault
  }
  private static func isStore(_ path: FilePath) throws -> Bool {
    guard try File.identity(of: path) != nil else { return false }
    let file = try File(opening: path, access: .readOnly)
    if case .store = try FileKind(file) { return true }
    #expect(try file.status().size == 0, "a file that is no store is not empty")
    return false
  }
}
