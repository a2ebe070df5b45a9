import Foundation
import KVMap
import SystemPackage
import TestSupport

/// A store on which processes make histories, each of which is then checked. For exit tests.
struct Ground {
  let setting: Setting
  let seed: UInt64
  private let scratch: Scratch
  private(set) var tally = Tally()

  /// What has been checked.
  struct Tally {
    var histories = 0
    var operations = 0
    var overlapping = 0
    var kills = 0
    var cutOff = 0
  }

  private static let historiesAtOnce = 50

  private var path: String { scratch.path("store").string }

  init(_ setting: Setting, seed: UInt64) throws {
    self.setting = setting
    self.seed = seed
    scratch = try Scratch()
  }

  /// Makes and checks `count` histories, and returns a report.
  mutating func run(_ count: Int) throws -> String {
    let start = ContinuousClock.now
    if !setting.isInMemory { try Store(path: path).close() }
    var group = 0
    while tally.histories < count {
      try run(group, min(Self.historiesAtOnce, count - tally.histories))
      group += 1
    }
    let duration = ContinuousClock.now - start
    let milliseconds =
      duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
    return "\(setting.name): \(tally.histories) histories of \(tally.operations) operations, "
      + "\(tally.overlapping * 100 / max(1, tally.operations)) % of them beside others; "
      + "\(tally.kills) processes killed, \(tally.cutOff) operations interrupted; \(milliseconds) ms"
  }

  /// Histories that the same processes make one after the other. Killed ones are replaced.
  private mutating func run(_ group: Int, _ histories: Int) throws {
    var generator = SeededGenerator(seed: seed, group)
    let plan = Plan(seed: generator.next(), setting: setting)
    let board = Board(histories: histories, lanes: setting.lanes.count)
    var lives = [Int](repeating: 0, count: setting.processes.count)
    var children: [(process: Int, child: ForkedChild)] = []
    func start(_ process: Int) {
      let member = Member(plan: plan, process: process, board: board, path: path, life: lives[process])
      lives[process] += 1
      children.append((process, ForkedChild { member.run() }))
    }
    for process in setting.processes.indices { start(process) }
    while let child = ForkedChild.firstToEnd(of: children.map(\.child)) {
      guard let index = children.firstIndex(where: { $0.child === child }) else { continue }
      let process = children.remove(at: index).process
      let lanes = setting.lanes.indices.filter { setting.lanes[$0].process == process }
      for lane in lanes { board.bury(lane) }
      if setting.isDeadly, child.wasKilled {
        tally.kills += 1
        // In the last history killed processes are not replaced.
        let goesOn = lanes.contains { board[done: $0] < histories - 1 }
        if goesOn, !board.hasFailed { start(process) }
      } else if child.end != .well {
        board.fail("process \(process) ended: \(child.wait())")
      }
    }
    if board.hasFailed { throw Failure("group \(group): \(board.message)") }
    if !setting.isInMemory { try readAfterwards(board, plan) }
    for number in 0..<histories { try judge(board.history(number), "group \(group), history \(number)") }
  }

  /// Opens the store when all processes are gone, and reads what the last history left.
  private func readAfterwards(_ board: Board, _ plan: Plan) throws {
    let store = try Store(path: path)
    let last = board.histories - 1
    for key in 0..<Plan.keys {
      board.invoke(Call(kind: .get, key: key), last, board.lanes, key)
      let value = NumberedValue.number(try store.get(Plan.keyName(key, history: last)))
      board.complete(Answer(first: value), last, board.lanes, key)
    }
    let report = try store.verify()
    guard report.isSound else { throw Failure("the store is not sound: \(report.faults.prefix(5))") }
    // The next group's keys have the same names.
    var keys: [[UInt8]] = []
    try store.forEach { key, _ in keys.append(key.array) }
    guard try store.count == keys.count else {
      throw Failure("\(try store.count) keys are counted, and \(keys.count) are there")
    }
    for key in keys { try store.remove(key) }
    try store.close()
  }

  private mutating func judge(_ history: History, _ name: String) throws {
    tally.histories += 1
    tally.operations += history.operations.count
    tally.overlapping += history.overlapping
    tally.cutOff += history.operations.count { $0.killed != nil }
    guard Checker.accepts(history) else {
      throw Failure("\(name) is not linearizable (times in µs):\n\(history)")
    }
  }
}
