import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension ForkedChild {
  /// Runs `body` in a child, which ends with it. What `body` throws is noted on the board.
  convenience init(_ board: Board, _ body: () throws -> Void) {
    board.phase = .starting
    board.returned = 0
    self.init {
      do {
        try body()
      } catch {
        board.message = "\(error)"
        throw error
      }
    }
  }

  /// Waits for `condition`; false if the child ended before.
  ///
  /// Yields each time: there may be only one processor.
  func waits(until condition: () -> Bool) throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(120)
    while !condition() {
      if hasEnded { return condition() }
      if ContinuousClock.now > deadline { throw KillFailure("a process hangs") }
      sched_yield()
    }
    return true
  }
}

/// What a kill test found.
struct KillFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
