import Foundation
import SystemPackage
import Testing

@testable import KVMap

/// Real processes, killed at random instants, in every phase: whatever had returned
/// is there, transactions are whole, and the store opens and is sound; readers
/// beside them never see an error, other bytes, an older value, or "absent" for a
/// key that is always there.
///
/// A quarter of the signals come from the test, so many microseconds after it saw
/// the phase; the others from the process itself, at a store into the file or
/// before a system call chosen by lot. Each run prints how many died in which phase.
///
/// `KVMAP_KILLS` sets how many are killed in all; `KVMAP_TEST_SEED` repeats a run,
/// but for the instants of the signals that come from the test. A failure keeps the
/// file, and says where and how to repeat it.
@Suite(.serialized, .timeLimit(.minutes(KillCount.total > 1_000 ? 180 : 10)))
struct KillTests {
  static let mix = Operation.Mix(keys: 60, largeEvery: 12, largestValue: 200_000, longestTransaction: 8)

  @Test(arguments: ["none", "onCommit", "exclusive", "interval"])
  func whatHadReturnedIsThere(mode: String) async throws {
    try await runInChild(.whatHadReturnedIsThere, mode)
  }

  @Test(arguments: ["none", "onCommit", "exclusive"])
  func readersGoOn(mode: String) async throws { try await runInChild(.readersGoOn, mode) }

  @Test(arguments: ["none", "onCommit"])
  func anotherWriterTakesOver(mode: String) async throws {
    try await runInChild(.anotherWriterTakesOver, mode)
  }

  @Test(arguments: ["none", "onCommit"])
  func whoCompactsMayBeKilled(mode: String) async throws {
    try await runInChild(.whoCompactsMayBeKilled, mode)
  }

  @Test(arguments: [false, true])
  func recoveryMayBeKilled(isTakeover: Bool) async throws {
    try await runInChild(.recoveryMayBeKilled, isTakeover ? "takeovers" : "recoveries alone")
  }

  @Test func creationMayBeKilled() async throws { try await runInChild(.creationMayBeKilled, "creation") }

  /// What is done by the test of the same name. An exit test can be given a name, but no closure.
  enum Scenario: String, Codable {
    case whatHadReturnedIsThere, readersGoOn, anotherWriterTakesOver, whoCompactsMayBeKilled
    case recoveryMayBeKilled, creationMayBeKilled

    /// Returns what was done, for a report.
    func run(_ mode: String, on ground: KillGround) throws -> String {
      switch self {
      case .whatHadReturnedIsThere:
        try ground.killWriters(mode, KillCount.share(50))
        return ground.count.report("\(mode), nobody beside")
      case .readersGoOn:
        let reads = try ground.killWritersBesideAReader(mode, KillCount.share(38))
        return ground.count.report("\(mode), beside a reader", reads: reads)
      case .anotherWriterTakesOver:
        let reads = try ground.killOneOfTwoWriters(mode, KillCount.share(48))
        return ground.count.report("\(mode), two writers", reads: reads)
      case .whoCompactsMayBeKilled:
        let reads = try ground.killCompactions(mode, KillCount.share(40))
        return ground.count.report("\(mode), a writer and one who compacts", reads: reads)
      case .recoveryMayBeKilled:
        let isTakeover = mode == "takeovers"
        let reads = try ground.killRecoveries(isTakeover: isTakeover, KillCount.share(40))
        return ground.count.report(mode, reads: reads)
      case .creationMayBeKilled:
        try ground.killCreations(KillCount.share(40))
        return ground.count.report(mode)
      }
    }
  }

  /// Runs a scenario in an exit test, and prints what it says.
  private func runInChild(_ scenario: Scenario, _ mode: String) async throws {
    let note = try KillNote(scenario.rawValue)
    await #expect(processExitsWith: .success) {
      [
        scenario = scenario as Scenario, mode = mode as String, seed = note.seed as UInt64,
        path = note.path as String
      ] in
      try KillNote.write(to: path, scenario.rawValue, seed) { try scenario.run(mode, on: $0) }
    }
    note.show()
  }
}

/// Uses up a little time, to come to a random instant of another process.
func spin(microseconds: Int) {
  let end = ContinuousClock.now + .microseconds(microseconds)
  while ContinuousClock.now < end {}
}
