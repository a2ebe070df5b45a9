import MappedMemory
import SystemPackage
import TestSupport

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// In a child: notes the phase on the board, and kills the child as planned.
final class KillTarget: @unchecked Sendable {
  // Unchecked: `thread` alone uses what the hooks use.
  let board: Board
  private let plan: KillPlan
  private let thread = Threads.current
  private var left = 0
  #if CRASH_SIMULATION
    private var observer: StoreObserver?
  #endif

  init(_ board: Board, _ plan: KillPlan) {
    self.board = board
    self.plan = plan
    switch plan.instant {
    case .signal: break
    case .store(let number):
      left = number
      #if CRASH_SIMULATION
        let observer = unsafe StoreObserver { [unowned self] _, _, _ in count() }
        self.observer = observer
        StoreObserver.current = observer
      #endif
    case .call(let number): left = number
    }
    FaultInjection.install { [unowned self] call in
      if Threads.current == thread { note(call) }
      return nil
    }
  }

  func enter(_ phase: KillPhase) { board.phase = phase }

  private func note(_ call: SystemCall) {
    if case .call = plan.instant { count() }
    switch board.phase {
    case .writing, .large, .transaction:
      switch call {
      case .ftruncate, .fallocate, .mmap: enter(.growing)
      case .msync: enter(.syncing)
      default: break
      }
    default: break
    }
  }

  private func count() {
    guard board.phase == plan.phase, board.returned >= plan.after else { return }
    left -= 1
    if left == 0 { kill(getpid(), SIGKILL) }
  }
}
