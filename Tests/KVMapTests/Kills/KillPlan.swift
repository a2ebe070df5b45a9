import TestSupport

/// When a child is to be killed.
struct KillPlan: CustomStringConvertible {
  /// Which process sends the signal, and when.
  enum Instant {
    /// The test, some time after it saw the phase.
    case signal(microseconds: Int)
    /// The child itself, right after its nth store into the file in the phase. Needs the trait
    /// that shows stores.
    case store(Int)
    /// The child itself, right before its nth system call in the phase.
    case call(Int)
  }

  var phase: KillPhase
  /// How many steps have returned before.
  var after: Int
  var instant: Instant

  init(_ phases: [KillPhase], _ generator: inout SeededGenerator) {
    phase = phases[generator.below(phases.count)]
    after = phase == .opening ? 0 : generator.below(1 << (1 + generator.below(6)))
    // Small numbers are as likely as large ones.
    switch generator.below(4) {
    case 0: instant = .call(1 + generator.below(1 << generator.below(4)))
    case 1, 2:
      #if CRASH_SIMULATION
        instant = .store(1 + generator.below(1 << generator.below(phase == .opening ? 15 : 10)))
      #else
        instant = .call(1 + generator.below(1 << generator.below(7)))
      #endif
    default: instant = .signal(microseconds: generator.below(1 << generator.below(13)))
    }
  }

  var description: String { "after \(after) steps, \(phase), \(instant)" }
}

extension ForkedChild {
  /// Waits until the child is killed as planned, and kills it otherwise.
  func die(_ plan: KillPlan, _ board: Board, limit: Int = 200) throws {
    switch plan.instant {
    case .signal(let microseconds):
      _ = try waits { board.returned >= plan.after }
      _ = try waits { board.phase == plan.phase || board.returned > plan.after + limit }
      spin(microseconds: microseconds)
    case .store, .call:
      // The phase may have fewer calls than the plan says. It may come again.
      _ = try waits { board.returned > plan.after + limit }
    }
    kill()
    if !wasKilled { throw KillFailure("a process gave up, \(board.phase), \(wait()): \(board.message)") }
  }
}
