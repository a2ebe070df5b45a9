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
    let (seed, note) = (testSeed("whatHadReturnedIsThere"), try Note())
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, mode = mode as String, note = note.path as String] in
      let ground = try KillGround("whatHadReturnedIsThere", seed: seed)
      try ground.run { try ground.killWriters(mode, KillCount.share(50)) }
      try Note.write(ground.count.report("\(mode), nobody beside"), to: note)
    }
    note.print()
  }

  @Test(arguments: ["none", "onCommit", "exclusive"])
  func readersGoOn(mode: String) async throws {
    let (seed, note) = (testSeed("readersGoOn"), try Note())
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, mode = mode as String, note = note.path as String] in
      let ground = try KillGround("readersGoOn", seed: seed)
      var reads = 0
      try ground.run { reads = try ground.killWritersBesideAReader(mode, KillCount.share(38)) }
      try Note.write(ground.count.report("\(mode), beside a reader", reads: reads), to: note)
    }
    note.print()
  }

  @Test(arguments: ["none", "onCommit"])
  func anotherWriterTakesOver(mode: String) async throws {
    let (seed, note) = (testSeed("anotherWriterTakesOver"), try Note())
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, mode = mode as String, note = note.path as String] in
      let ground = try KillGround("anotherWriterTakesOver", seed: seed)
      var reads = 0
      try ground.run { reads = try ground.killOneOfTwoWriters(mode, KillCount.share(48)) }
      try Note.write(ground.count.report("\(mode), two writers", reads: reads), to: note)
    }
    note.print()
  }

  @Test(arguments: [false, true])
  func recoveryMayBeKilled(isTakeover: Bool) async throws {
    let (seed, note) = (testSeed("recoveryMayBeKilled"), try Note())
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, isTakeover = isTakeover as Bool, note = note.path as String] in
      let ground = try KillGround("recoveryMayBeKilled", seed: seed)
      var reads = 0
      try ground.run { reads = try ground.killRecoveries(isTakeover: isTakeover, KillCount.share(40)) }
      try Note.write(
        ground.count.report(isTakeover ? "takeovers" : "recoveries alone", reads: reads), to: note)
    }
    note.print()
  }

  @Test func creationMayBeKilled() async throws {
    let (seed, note) = (testSeed("creationMayBeKilled"), try Note())
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, note = note.path as String] in
      let ground = try KillGround("creationMayBeKilled", seed: seed)
      try ground.run { try ground.killCreations(KillCount.share(40)) }
      try Note.write(ground.count.report("creation"), to: note)
    }
    note.print()
  }

  /// What an exit test has to say: its own output goes nowhere.
  private struct Note {
    private let scratch: Scratch
    var path: String { scratch.path("note").string }

    init() throws { scratch = try Scratch() }

    static func write(_ text: String, to path: String) throws {
      try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    func print() {
      if let text = try? String(contentsOfFile: path, encoding: .utf8) { Swift.print(text) }
    }
  }
}

/// Uses up a little time, to come to a random instant of another process.
func spin(microseconds: Int) {
  let end = ContinuousClock.now + .microseconds(microseconds)
  while ContinuousClock.now < end {}
}
