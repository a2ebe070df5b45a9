import Foundation
import SystemPackage
import Testing

@testable import KVMap

/// Real processes are killed at random instants, in every phase. Whatever had returned is
/// there, transactions are whole, and the store opens and is sound. Readers beside them never
/// see an error, other bytes or an older value, and never find a steady key absent.
///
/// The test sends a quarter of the signals, some microseconds after it saw the phase. The other
/// targets kill themselves, at a random store into the file or system call. Each run prints how
/// many died in which phase.
///
/// `KVMAP_KILLS` sets how many are killed in all. `KVMAP_TEST_SEED` repeats a run, but for the
/// instants of the signals that the test sends. A failure keeps the file, and says where it is
/// and how to repeat the run.
@Suite(.serialized, .timeLimit(.minutes(KillCount.total > 1_000 ? 180 : 10)))
struct KillTests {
  static let mix = Operation.Mix(keys: 60, largeEvery: 12, largestValue: 200_000, longestTransaction: 8)

  @Test(arguments: ["none", "onCommit", "exclusive", "interval"])
  func whateverReturnedIsThere(mode: String) async throws {
    try await runInChild(.whateverReturnedIsThere, mode)
  }

  @Test(arguments: ["none", "onCommit", "exclusive"])
  func readersGoOn(mode: String) async throws { try await runInChild(.readersGoOn, mode) }

  @Test(arguments: ["none", "onCommit"])
  func anotherWriterTakesOver(mode: String) async throws {
    try await runInChild(.anotherWriterTakesOver, mode)
  }

  @Test(arguments: ["none", "onCommit"])
  func compactionMayBeKilled(mode: String) async throws {
    try await runInChild(.compactionMayBeKilled, mode)
  }

  @Test(arguments: [false, true])
  func recoveryMayBeKilled(isTakeover: Bool) async throws {
    try await runInChild(.recoveryMayBeKilled, isTakeover ? "takeovers" : "recoveries alone")
  }

  @Test func creationMayBeKilled() async throws { try await runInChild(.creationMayBeKilled, "creation") }

  /// What the test of the same name does. An exit test can be given a name, but no closure.
  enum Scenario: String, Codable {
    case whateverReturnedIsThere, readersGoOn, anotherWriterTakesOver, compactionMayBeKilled
    case recoveryMayBeKilled, creationMayBeKilled

    /// Returns a report.
    func run(_ mode: String, on ground: KillGround) throws -> String {
      switch self {
      case .whateverReturnedIsThere:
        try ground.killWriters(mode, KillCount.share(50))
        return ground.count.report("\(mode), one writer")
      case .readersGoOn:
        let reads = try ground.killWritersBesideAReader(mode, KillCount.share(38))
        return ground.count.report("\(mode), beside a reader", reads: reads)
      case .anotherWriterTakesOver:
        let reads = try ground.killOneOfTwoWriters(mode, KillCount.share(48))
        return ground.count.report("\(mode), two writers", reads: reads)
      case .compactionMayBeKilled:
        let reads = try ground.killCompactions(mode, KillCount.share(40))
        return ground.count.report("\(mode), a writer and a compactor", reads: reads)
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

  /// Runs a scenario in an exit test, and prints its report.
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

/// Keeps the processor busy for a time, more exactly than sleeping does.
func spin(microseconds: Int) {
  let end = ContinuousClock.now + .microseconds(microseconds)
  while ContinuousClock.now < end {}
}
