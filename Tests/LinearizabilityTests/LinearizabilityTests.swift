import Foundation
import SystemPackage
import TestSupport
import Testing

/// Histories of several threads, handles and processes on a few keys; some processes are killed
/// in the middle. Each history must be linearizable, which `Checker` decides.
///
/// Each history has keys of its own, which are absent at first, and some 30 operations, ten for
/// each thread. Meanwhile the store writes checkpoints, removes old keys, and moves and reuses
/// space. At times a thread yields between two stores into the file. After every 50 histories
/// the store is opened anew, read and verified.
///
/// `KVMAP_HISTORIES` sets how many are made in all (2,000). `KVMAP_TEST_SEED` repeats the plan
/// of a run, but not its instants.
@Suite(.serialized, .timeLimit(.minutes(180)))
struct LinearizabilityTests {
  private static let histories = Environment.number("KVMAP_HISTORIES") ?? 2_000

  @Test(arguments: Setting.all.map(\.name))
  func historiesAreLinearizable(setting name: String) async throws {
    let seed = testSeed("historiesAreLinearizable")
    let scratch = try Scratch()
    let note = scratch.path("note").string
    await #expect(processExitsWith: .success) {
      [name = name as String, seed = seed as UInt64, note = note as String] in
      try Self.run(name, seed, note)
    }
    let text = (try? String(contentsOfFile: note, encoding: .utf8)) ?? "the process ended without a report"
    print("\(text); seed \(seed), KVMAP_HISTORIES=\(Self.histories)")
  }

  /// In the exit test: writes the report to a file, since its own output goes nowhere.
  private static func run(_ name: String, _ seed: UInt64, _ note: String) throws {
    guard let setting = Setting.all.first(where: { $0.name == name }) else { return }
    let text: String
    var isRight = false
    do {
      var ground = try Ground(setting, seed: seed)
      text = try ground.run(max(1, histories / Setting.all.count))
      isRight = true
    } catch {
      text = "\(name): \(error)"
    }
    try text.write(toFile: note, atomically: false, encoding: .utf8)
    if !isRight { exit(EXIT_FAILURE) }
  }
}
