import Foundation
import SystemPackage
import TestSupport

@testable import KVMap

extension KillGround {
  private static let writing: [KillPhase] = [
    .opening, .writing, .large, .transaction, .growing, .checkpointing, .freezing, .compacting,
    .closing,
  ]

  /// The phases of a writer with this durability.
  func phases(_ mode: String) -> [KillPhase] {
    Self.writing + (mode == "onCommit" ? [.syncing, .syncing] : [])
  }

  func start(
    _ script: Script, _ mode: String, _ plan: KillPlan, _ board: Board
  ) -> ForkedChild {
    self.plan = "\(plan)"
    let path = path.string
    return ForkedChild(board) { try script.run(path, mode, KillTarget(board, plan)) }
  }

  // MARK: One process

  /// One writer after the other, and no other process.
  func killWriters(_ mode: String, _ kills: Int) throws {
    let board = Board()
    while count.all < kills {
      // A new store at times: old ones have much space to reuse and hardly grow.
      try? FileManager.default.removeItem(atPath: path.string)
      var script = Script(seed: seed &+ UInt64(count.all))
      try create([script], garbage: generator.below(2) * 3)
      for _ in 0..<min(40, kills - count.all) {
        let plan = KillPlan(phases(mode), &generator)
        let child = start(script, mode, plan, board)
        try child.die(plan, board)
        try note(board.phase)
        try script.settle(returned: board.returned, viewed())
        // Otherwise the next writer recovers, and may be killed meanwhile.
        if generator.chance(50) { try recover(expecting: script.contents) }
      }
    }
  }

  // MARK: Beside others

  /// One writer after the other, beside a reader, which is killed at times too.
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
          // The reader may die between any two instructions, for example with a pin.
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

  /// Two writers and a reader. When a writer dies, the other one takes over, or this process if
  /// both are dead.
  func killOneOfTwoWriters(_ mode: String, _ kills: Int) throws -> Int {
    var reads = 0
    while count.all < kills {
      try? FileManager.default.removeItem(atPath: path.string)
      let seed = seed &+ UInt64(count.all)
      var pair = try Pair(
        [Script(seed: seed, prefix: "a"), Script(seed: seed &+ 1, prefix: "b")], self, mode)
      for _ in 0..<min(40, kills - count.all) { try pair.kill(count.all % 2, self) }
      reads += try pair.end(self)
    }
    return reads
  }

  /// Two writers with keys of their own, and a reader of both.
  private struct Pair {
    private var scripts: [Script]
    private let mode: String
    private let boards = [Board(), Board()]
    private let reader: KillReader
    private var plans: [KillPlan] = []
    private var children: [ForkedChild] = []

    init(_ scripts: [Script], _ ground: KillGround, _ mode: String) throws {
      self.scripts = scripts
      self.mode = mode
      try ground.create(scripts)
      reader = try KillReader(ground, scripts, boards)
      for index in scripts.indices {
        plans.append(KillPlan(ground.phases(mode), &ground.generator))
        children.append(ground.start(scripts[index], mode, plans[index], boards[index]))
      }
    }

    /// Kills one writer. The other one goes on, or is dead; the first one is started again.
    mutating func kill(_ target: Int, _ ground: KillGround) throws {
      let other = 1 - target
      ground.plan = "\(plans[target]); other: \(plans[other])"
      try children[target].die(plans[target], boards[target])
      if ground.generator.chance(20) { children[other].kill() }
      ground.count.add(boards[target].phase)
      let before = boards[other].returned
      let goesOn = try children[other].waits { boards[other].returned >= before + 2 }
      if !goesOn {
        guard children[other].wasKilled else {
          throw KillFailure("the other writer gave up: \(boards[other].message)")
        }
        try ground.takeOver()
      }
      try reader.expectProgress()
      let store = try ground.scratch.store { $0.access = .readOnly }
      try settle(target, ground.entries(store))
      try store.close()
      plans[target] = KillPlan(ground.phases(mode), &ground.generator)
      children[target] = ground.start(scripts[target], mode, plans[target], boards[target])
    }

    private mutating func settle(_ index: Int, _ entries: Operation.Contents) throws {
      let prefix = scripts[index].mix.prefix
      let own = entries.filter { $0.key.starts(with: prefix) }
      try scripts[index].settle(returned: boards[index].returned, own)
    }

    /// Kills all that are left, and returns how much was read.
    mutating func end(_ ground: KillGround) throws -> Int {
      for child in children { child.kill() }
      try ground.takeOver()
      for index in scripts.indices { try settle(index, ground.viewed()) }
      let contents = scripts[0].contents.merging(scripts[1].contents) { first, _ in first }
      try ground.recover(expecting: contents)
      let reads = reader.board.reads
      try reader.kill()
      return reads
    }
  }
}
