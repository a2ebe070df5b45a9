import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// What KVMap and gdbm lose when a process is killed while it makes changes, and how they take
/// a flipped bit: with the same records, changes and checks. The losses of both are counted and
/// printed; the tests check only what KVMap promises.
///
/// `KVMAP_CRASHES` sets the kills of each mode that does not sync; there are a third as many of
/// the others. `KVMAP_FLIPS` sets how many bits are flipped, at most one in each byte.
/// `KVMAP_TEST_SEED` repeats a run, but for the instants of the kills.
@Suite("Losses, against gdbm", .serialized, .timeLimit(.minutes(60)))
struct CrashComparisonTests {
  static let kills = Environment.number("KVMAP_CRASHES") ?? 150
  static let flips = Environment.number("KVMAP_FLIPS") ?? 6_000

  @Test("Killed while changing")
  func killed() async throws {
    let scratch = try Scratch()
    let seed = testSeed("CrashComparisonTests/killed")
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, note = scratch.path("note").string as String] in
      try blocking {
        var rows: [[String]] = [
          [
            "killed while changing", "kills", "all right at once", "lost records", "wrong values", "repaired",
            "repair failed", "cannot be opened", "crashed when read",
          ]
        ]
        var subjects: [(any CrashSubject, Int, Int)] = [
          (StoreCrashSubject(durability: .none), CrashComparisonTests.kills, 2_000),
          (GDBMCrashSubject(mode: .byDefault), CrashComparisonTests.kills, 2_000),
          (StoreCrashSubject(durability: .onCommit), CrashComparisonTests.kills / 3, 40),
          (GDBMCrashSubject(mode: .syncing), CrashComparisonTests.kills / 3, 40),
        ]
        var remark = ""
        if let reason = GDBMCrashSubject.reasonAgainstSnapshots(in: try Scratch()) {
          remark = "gdbm has no crash tolerance here: \(reason)\n"
        } else {
          subjects.append((GDBMCrashSubject(mode: .snapshots), CrashComparisonTests.kills / 3, 40))
        }
        for (subject, kills, longest) in subjects {
          let counts = try KillComparison(subject: subject, scratch: Scratch(), seed: seed)
            .run(kills, longest: longest)
          rows.append([
            subject.name, "\(counts.kills)", "\(counts.right)",
            "\(counts.withLosses) (\(counts.lostRecords) records)",
            "\(counts.withWrong) (\(counts.wrongRecords) records)", "\(counts.repairs)",
            "\(counts.failedRepairs)", "\(counts.unopenable)", "\(counts.crashes)",
          ])
          #expect(counts.kills == kills, "\(subject.name)")
          if subject is StoreCrashSubject { #expect(counts.right == kills, "\(subject.name): \(counts)") }
        }
        try write(Array((CrashComparisonTests.table(rows) + remark).utf8), to: FilePath(note))
      }
    }
    Self.show(scratch.path("note"))
  }

  @Test("One bit flipped")
  func flipped() async throws {
    let scratch = try Scratch()
    let seed = testSeed("CrashComparisonTests/flipped")
    await #expect(processExitsWith: .success) {
      [seed = seed as UInt64, note = scratch.path("note").string as String] in
      try blocking {
        var rows: [[String]] = [
          [
            "one bit flipped", "bytes in use", "bits flipped", "all right", "error", "silently wrong",
            "hangs", "process dies",
          ]
        ]
        let subjects: [any CrashSubject] = [
          StoreCrashSubject(durability: .none), GDBMCrashSubject(mode: .byDefault),
        ]
        for subject in subjects {
          let (bytes, outcomes) = try FlipComparison(subject: subject, scratch: Scratch(), seed: seed)
            .run(CrashComparisonTests.flips)
          let counts = FlipComparison.Outcome.allCases.map { outcomes[$0] ?? 0 }
          let all = counts.reduce(0, +)
          rows.append([subject.name, "\(bytes)", "\(all)"] + counts.map { "\($0)" })
          #expect(all == min(bytes, CrashComparisonTests.flips))
          #expect(counts[1] > 0, "\(subject.name) never noticed anything")
          if subject is StoreCrashSubject {
            #expect(counts[2...].allSatisfy { $0 == 0 }, "\(subject.name): \(outcomes)")
          }
        }
        try write(Array(CrashComparisonTests.table(rows).utf8), to: FilePath(note))
      }
    }
    Self.show(scratch.path("note"))
  }

  static func table(_ rows: [[String]]) -> String {
    let lines = rows.map { "| " + $0.joined(separator: " | ") + " |" }
    let rule = "|" + String(repeating: "---|", count: rows[0].count)
    return ([lines[0], rule] + lines[1...]).joined(separator: "\n") + "\n"
  }

  /// Prints the report of an exit test, whose own output goes nowhere.
  private static func show(_ note: FilePath) {
    if let text = try? contents(note) { print(String(decoding: text, as: UTF8.self)) }
  }
}
