import Foundation
import SystemPackage

@testable import KVMap

extension KillGround {
  private static let writing: [KillPhase] = [
    .opening, .writing, .large, .transaction, .growing, .checkpointing, .closing,
  ]

  /// The phases that a writer of this durability comes to.
  private func phases(_ mode: String) -> [KillPhase] {
    Self.writing + (mode == "onCommit" ? [.syncing, .syncing] : [])
  }

  private func start(
    _ script: Script, _ mode: String, _ plan: KillPlan, _ board: Board
  ) -> ForkedChild {
    self.plan = "\(plan)"
    let path = path.string
    return ForkedChild(board) { try script.run(path, mode, Victim(board, plan)) }
  }

  // MARK: One process

  /// One writer after the other, nobody beside them.
  func killWriters(_ mode: String, _ kills: Int) throws {
    let board = Board()
    while count.all < kills {
      // A new store now and then: old ones have much space to reuse and grow little.
      try? FileManager.default.removeItem(atPath: path.string)
      var script = Script(seed: seed &+ UInt64(count.all))
      try create([script])
      for _ in 0..<min(40, kills - count.all) {
        let plan = KillPlan(phases(mode), &generator)
        let child = start(script, mode, plan, board)
        try child.die(plan, board)
        try note(board.phase)
        try script.settle(returned: board.returned, viewed())
        // Else the next writer finds what this one left, and may be killed over it.
        if generator.chance(50) { try recover(expecting: script.contents) }
      }
    }
  }

  // MARK: Beside others

  /// One writer after the other, beside a reader, which is killed now and then too.
  func killWritersBesideAReader(_ mode: String, _ kills: Int) throws -> Int {
    let board = Board()
    var reads = 0
    while count.all < kills {
      try? FileManager.default.removeItem(atPath: path.string)
      var script = Script(seed: seed &+ UInt64(count.all))
      try create([script])
      for key in 0..<Board.steadyKeys { board[floor: key] = 0 }
      var reader = try KillReader(self, [script], [board])
      for _ in 0..<min(40, kills - count.all) {
        let plan = KillPlan(phases(mode), &generator)
        let child = start(script, mode, plan, board)
        if generator.chance(12) {
          // Between any two of its instructions, in a pin for example.
          _ = try child.waits { board.returned >= plan.after }
          reads += reader.board.reads
          try reader.kill()
          count.add(.reading)
          reader = try KillReader(self, [script], [board])
        }
        try child.die(plan, board)
        try note(board.phase)
        try reader.expectProgress()
        try script.settle(returned: board.returned, viewed())
        if generator.chance(50) { try recover(expecting: script.contents) }
        try reader.expectProgress()
      }
      reads += reader.board.reads
      try reader.kill()
    }
    return reads
  }

  /// Two writers and a reader; when a writer dies, the other one takes over, or, if
  /// that is dead too, this process.
  func killOneOfTwoWriters(_ mode: String, _ kills: Int) throws -> Int {
    var scripts = [Script(seed: seed, prefix: "a"), Script(seed: seed &+ 1, prefix: "b")]
    let boards = [Board(), Board()]
    try create(scripts)
    let reader = try KillReader(self, scripts, boards)
    var plans = scripts.map { _ in KillPlan(phases(mode), &generator) }
    var children = scripts.indices.map { start(scripts[$0], mode, plans[$0], boards[$0]) }
    while count.all < kills {
      let victim = count.all % 2
      let other = 1 - victim
      plan = "\(plans[victim]); other: \(plans[other])"
      try children[victim].die(plans[victim], boards[victim])
      if generator.chance(20) { children[other].kill() }
      try note(boards[victim].phase)
      let before = boards[other].returned
      let goesOn = try children[other].waits { boards[other].returned >= before + 2 }
      if !goesOn {
        guard children[other].wasKilled else {
          throw KillFailure("the other writer gave up: \(boards[other].message)")
        }
        try takeOver()
      }
      try reader.expectProgress()
      let store = try scratch.store { $0.access = .readOnly }
      let prefix = scripts[victim].mix.prefix
      let found = try entries(store).filter { $0.key.starts(with: prefix) }
      try store.close()
      try scripts[victim].settle(returned: boards[victim].returned, found)
      plans[victim] = KillPlan(phases(mode), &generator)
      children[victim] = start(scripts[victim], mode, plans[victim], boards[victim])
    }
    for child in children { child.kill() }
    try takeOver()
    for index in scripts.indices {
      let prefix = scripts[index].mix.prefix
      try scripts[index].settle(
        returned: boards[index].returned, viewed().filter { $0.key.starts(with: prefix) })
    }
    try recover(expecting: scripts[0].contents.merging(scripts[1].contents) { first, _ in first })
    let reads = reader.board.reads
    try reader.kill()
    return reads
  }
}
