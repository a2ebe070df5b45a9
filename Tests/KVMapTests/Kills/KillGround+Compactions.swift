import Foundation
import SystemPackage
import TestSupport

@testable import KVMap

extension KillGround {
  /// One process writes, one compacts the store all the time, and one reads. The writer and the
  /// compactor are killed alternately.
  func killCompactions(_ mode: String, _ kills: Int) throws -> Int {
    var reads = 0
    while count.all < kills {
      try? FileManager.default.removeItem(atPath: path.string)
      var pair = try WriterAndCompactor(Script(seed: seed &+ UInt64(count.all)), self, mode)
      for _ in 0..<min(20, kills - count.all) {
        if count.all % 2 == 0 { try pair.killWriter(self) } else { try pair.killCompactor(self) }
      }
      reads += try pair.end(self)
    }
    return reads
  }

  fileprivate func startCompactor(_ plan: KillPlan, _ board: Board) -> ForkedChild {
    let path = path.string
    return ForkedChild(board) {
      let target = KillTarget(board, plan)
      let options = Store.Options(timeout: .seconds(100))
      target.enter(.opening)
      let store = try Store(path: path, options: options)
      while true {
        target.enter(.compacting)
        try store.compact()
        target.board.returned += 1
      }
    }
  }
}

private struct WriterAndCompactor {
  private var script: Script
  private let mode: String
  private let writerBoard = Board()
  private let compactorBoard = Board()
  private let reader: KillReader
  private var writerPlan: KillPlan
  private var compactorPlan: KillPlan
  private var writer: ForkedChild
  private var compactor: ForkedChild

  init(_ script: Script, _ ground: KillGround, _ mode: String) throws {
    self.script = script
    self.mode = mode
    try ground.create([script], garbage: 3)
    reader = try KillReader(ground, [script], [writerBoard])
    writerPlan = KillPlan(ground.phases(mode), &ground.generator)
    writer = ground.start(script, mode, writerPlan, writerBoard)
    compactorPlan = Self.planOfCompactor(ground)
    compactor = ground.startCompactor(compactorPlan, compactorBoard)
  }

  private static func planOfCompactor(_ ground: KillGround) -> KillPlan {
    var plan = KillPlan([.compacting, .compacting, .compacting, .opening], &ground.generator)
    // A compaction takes long, so there are few of them.
    plan.after %= 3
    return plan
  }

  mutating func killWriter(_ ground: KillGround) throws {
    ground.plan = "writer: \(writerPlan); compactor: \(compactorPlan)"
    try writer.die(writerPlan, writerBoard)
    ground.count.add(writerBoard.phase)
    if ground.generator.chance(20) { compactor.kill() }
    let before = compactorBoard.returned
    try expect(
      try compactor.waits { compactorBoard.returned >= before + 2 }, compactor, compactorBoard, ground)
    try settle(ground)
    writerPlan = KillPlan(ground.phases(mode), &ground.generator)
    writer = ground.start(script, mode, writerPlan, writerBoard)
  }

  mutating func killCompactor(_ ground: KillGround) throws {
    ground.plan = "compactor: \(compactorPlan); writer: \(writerPlan)"
    try compactor.die(compactorPlan, compactorBoard, limit: 4)
    ground.count.add(compactorBoard.phase)
    let before = writerBoard.returned
    try expect(try writer.waits { writerBoard.returned >= before + 2 }, writer, writerBoard, ground)
    compactorPlan = Self.planOfCompactor(ground)
    compactor = ground.startCompactor(compactorPlan, compactorBoard)
  }

  /// The process that is left goes on, or was killed too.
  private func expect(
    _ goesOn: Bool, _ other: ForkedChild, _ board: Board, _ ground: KillGround
  ) throws {
    if !goesOn {
      guard other.wasKilled else { throw KillFailure("the other process gave up: \(board.message)") }
      try ground.takeOver()
    }
    try reader.expectProgress()
  }

  private mutating func settle(_ ground: KillGround) throws {
    let store = try ground.scratch.store { $0.access = .readOnly }
    try script.settle(returned: writerBoard.returned, ground.entries(store))
    try store.close()
  }

  /// Kills all that are left, and returns how much was read.
  mutating func end(_ ground: KillGround) throws -> Int {
    writer.kill()
    compactor.kill()
    try ground.takeOver()
    try script.settle(returned: writerBoard.returned, ground.viewed())
    try ground.recover(expecting: script.contents)
    let reads = reader.board.reads
    try reader.kill()
    return reads
  }
}
