import Foundation
import SystemPackage
import TestSupport

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension KillGround {
  /// Recovery of some megabytes of log is killed again and again: alone, or beside a reader as
  /// a takeover.
  func killRecoveries(isTakeover: Bool, _ kills: Int) throws -> Int {
    let script = Script(seed: seed)
    let board = Board()
    let path = path.string
    try create([script])
    let reader = isTakeover ? try KillReader(self, [script], [Board()]) : nil
    let filler = ForkedChild(board) {
      let store = try Store(path: path)
      for number in 0..<60 { try store.put(patterned(60_000, UInt64(number)), forKey: "filler \(number)") }
      for number in 0..<3_000 { try store.put("\(number)", forKey: "key \(number)") }
      try Self.dieInTransaction(store, board)
    }
    _ = try filler.waits { board.returned > 0 }
    filler.kill()
    let contents = try viewed()
    guard contents.count == 3_060 + Board.steadyKeys else { throw KillFailure("the log is not whole") }
    while count.all < kills {
      let plan = KillPlan([.opening], &generator)
      self.plan = "\(plan)"
      let child = ForkedChild(board) {
        let target = KillTarget(board, plan)
        target.enter(.opening)
        let store = try Store(path: path)
        try store.core.withWriteLock { _ throws(Store.Error) in }
        target.enter(.transaction)
        try Self.dieInTransaction(store, board)
      }
      try child.die(plan, board)
      try note(board.phase)
      guard try viewed() == contents else { throw KillFailure("the contents changed") }
      try reader?.expectProgress()
    }
    try recover(expecting: contents)
    try reader?.expectProgress()
    let reads = reader?.board.reads ?? 0
    try reader?.kill()
    return reads
  }

  /// Waits in a transaction until it is killed, so that there is something to recover.
  private static func dieInTransaction(_ store: Store, _ board: Board) throws {
    try store.transaction { transaction in
      for number in 0..<20 { try transaction.put("never", forKey: "torn \(number)") }
      for key in 0..<100 { try transaction.remove("key \(key)") }
      board.returned = 1_000
      while true { _ = poll(nil, 0, -1) }
    }
  }

  /// Processes make one store after the other and are killed. Each file with a store's name is
  /// a whole store, and no other file is left.
  func killCreations(_ kills: Int) throws {
    let board = Board()
    while count.all < kills {
      var plan = KillPlan([.creating], &generator)
      plan.after = generator.below(3)
      self.plan = "\(plan)"
      let directory = try Scratch()
      let place = directory.directory.string
      let child = ForkedChild(board) {
        let target = KillTarget(board, plan)
        for number in 0... {
          target.enter(.creating)
          let store = try Store(path: "\(place)/\(number)")
          target.enter(.writing)
          try store.put("first", forKey: "key")
          board.returned += 1
          target.enter(.closing)
          try store.close()
        }
      }
      try child.die(plan, board, limit: 4)
      count.add(board.phase)
      let files = try directory.names
      let names = files.compactMap { Int($0) }.sorted()
      guard files.count == names.count, names == Array(0..<names.count) else {
        throw KillFailure("files that are no stores: \(files)")
      }
      guard names.count == board.returned || names.count == board.returned + 1 else {
        throw KillFailure("\(board.returned) stores were made, \(names.count) are there")
      }
      for name in names {
        let store = try directory.store("\(name)") { $0.create = false }
        let value = try store.get("key", as: String.self)
        guard value == "first" || name == board.returned else {
          throw KillFailure("what returned is not there")
        }
        try expect(store.verify(), "store \(name)")
        try store.close()
      }
    }
  }
}
