import Foundation
import TestSupport

/// How many processes were killed in each phase.
struct KillCount {
  /// The kills of a whole run; `KVMAP_KILLS` sets it.
  static let total = Environment.number("KVMAP_KILLS") ?? 400

  /// A part of them, in 530ths.
  static func share(_ count: Int) -> Int { max(1, count * total / 530) }

  private var byPhase: [KillPhase: Int] = [:]
  private(set) var all = 0

  mutating func add(_ phase: KillPhase) {
    byPhase[phase, default: 0] += 1
    all += 1
  }

  func report(_ name: String, reads: Int = 0) -> String {
    let parts = KillPhase.allCases.compactMap { phase in byPhase[phase].map { "\(phase) \($0)" } }
    let beside = reads == 0 ? "" : "; \(reads) reads beside them"
    return "\(name): \(all) kills: \(parts.joined(separator: ", "))\(beside)"
  }
}
