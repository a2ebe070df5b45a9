import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A file is removed or replaced while it is open. Processes that open the path would not see
/// what is written to it.
@Suite(.timeLimit(.minutes(5)))
struct ReplacedFileTests {
  enum Change: CaseIterable { case removed, replacedByAStore, replacedByAnotherFile, moved }

  /// A clock that the test sets.
  private final class Watch: Sendable {
    private let milliseconds = Atomic<UInt64>(1_000_000)
    var clock: Clock { Clock(now: { self.milliseconds.load(ordering: .relaxed) }) }
    func turn(by difference: Int) {
      milliseconds.wrappingAdd(UInt64(bitPattern: Int64(difference)), ordering: .relaxed)
    }
  }

  private func make(_ change: Change, in scratch: Scratch) throws {
    let path = scratch.path()
    switch change {
    case .removed: try File.remove(path)
    case .moved: try File.rename(path, to: scratch.path("elsewhere"), replacing: false)
    case .replacedByAStore:
      try scratch.store("other").close()
      try File.rename(scratch.path("other"), to: path, replacing: true)
    case .replacedByAnotherFile:
      try write(Data("something else".utf8), to: scratch.path("other"))
      try File.rename(scratch.path("other"), to: path, replacing: true)
    }
  }

  private func open(_ scratch: Scratch, _ watch: Watch, exclusive: Bool) throws -> Store {
    let options = Store.Options(exclusive: exclusive)
    return Store(
      core: try Opening(path: scratch.path(), options: options, clock: watch.clock).open())
  }

  @Test(arguments: Change.allCases, [false, true])
  func theNextWriteIsRefused(change: Change, exclusive: Bool) throws {
    let scratch = try Scratch()
    let watch = Watch()
    let store = try open(scratch, watch, exclusive: exclusive)
    try store.put("value", forKey: "key")
    try make(change, in: scratch)
    let replacement = change == .removed || change == .moved ? nil : try contents(scratch.path())
    // The path is checked every 50 ms.
    watch.turn(by: 49)
    #expect(code { try store.put("value", forKey: "other") } == nil)
    watch.turn(by: 1)
    let count = try store.count
    for _ in 0..<2 {
      #expect(code { try store.put("lost", forKey: "later") } == .replaced)
      #expect(code { try store.remove("key") } == .replaced)
      #expect(code { try store.transaction { try $0.put("lost", forKey: "later") } } == .replaced)
      #expect(code { try store.sync() } == .replaced)
    }
    // The old file can still be read.
    #expect(try store.get("key", as: String.self) == "value")
    #expect(try store.count == count)
    #expect(try store.get("later") == nil)
    try? store.close()
    if let replacement { #expect(try contents(scratch.path()) == replacement) }
    if change == .removed || change == .moved {
      #expect(code { try scratch.store { $0.create = false } } == .notFound)
    }
  }

  @Test func aClockThatIsSetBackDoesNotDelayTheCheck() throws {
    let scratch = try Scratch()
    let watch = Watch()
    let store = try open(scratch, watch, exclusive: false)
    try store.put("value", forKey: "key")
    try make(.removed, in: scratch)
    watch.turn(by: -100_000)
    #expect(code { try store.put("lost", forKey: "later") } == .replaced)
  }

  /// The process may have given up rights since it opened the store.
  @Test func aHandleThatMayNotCheckThePathGoesOnWriting() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let watch = Watch()
        let store = try ReplacedFileTests().open(scratch, watch, exclusive: false)
        try store.put("value", forKey: "key")
        watch.turn(by: 50)
        let fault = Fault([.stat], from: 1, as: .permissionDenied)
        #expect(code { try fault.during { try store.put("value", forKey: "other") } } == nil)
        #expect(fault.hasStruck)
        #expect(try store.count == 2)
      }
    }
  }

  @Test func aFileThatIsPutBackCanBeWrittenAgain() throws {
    let scratch = try Scratch()
    let watch = Watch()
    let store = try open(scratch, watch, exclusive: false)
    try store.put("value", forKey: "key")
    try make(.moved, in: scratch)
    watch.turn(by: 50)
    #expect(code { try store.put("lost", forKey: "later") } == .replaced)
    try File.rename(scratch.path("elsewhere"), to: scratch.path(), replacing: false)
    try store.put("value", forKey: "later")
    try store.close()
    #expect(try scratch.store().get("later", as: String.self) == "value")
  }
}
