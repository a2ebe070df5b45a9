import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A child made by `fork` alone: within a millisecond, so that thousands can be
/// killed. Only in exit tests, whose other threads do nothing: a child has but the
/// thread that forked. Nothing of the parent's may be open.
final class ForkedChild {
  let identifier: pid_t
  private var status: Int32?

  /// Runs `body` in a child, and ends it; what `body` throws is on the board.
  init(_ board: Board, _ body: () throws -> Void) {
    board.phase = .starting
    board.returned = 0
    let fork = Self.hidden("fork", as: (@convention(c) () -> pid_t).self)
    identifier = fork()
    if identifier == 0 {
      Self.dieWithParent()
      do {
        try body()
      } catch {
        board.message = "\(error)"
        _exit(1)
      }
      _exit(0)
    }
    precondition(identifier > 0, "fork failed")
  }

  deinit { kill() }

  /// A function of the C library that its Swift module hides.
  private static func hidden<Function>(_ name: String, as type: Function.Type) -> Function {
    unsafe unsafeBitCast(dlsym(nil, name)!, to: type)
  }

  private static func dieWithParent() {
    #if os(Linux)
      let prctl = hidden("prctl", as: (@convention(c) (Int32, Int, Int, Int, Int) -> Int32).self)
      let setParentDeathSignal: Int32 = 1
      _ = prctl(setParentDeathSignal, Int(SIGKILL), 0, 0, 0)
    #endif
  }

  /// Whether it has ended, by itself or killed.
  var hasEnded: Bool {
    if status != nil { return true }
    var raw: Int32 = 0
    if unsafe waitpid(identifier, &raw, WNOHANG) == identifier { status = raw }
    return status != nil
  }

  /// Kills it, if it still runs, and waits until it is gone.
  func kill() {
    if status != nil { return }
    #if canImport(Glibc)
      _ = Glibc.kill(identifier, SIGKILL)
    #else
      _ = Darwin.kill(identifier, SIGKILL)
    #endif
    var raw: Int32 = 0
    while unsafe waitpid(identifier, &raw, 0) == -1, errno == EINTR {}
    status = raw
  }

  /// How it ended, for a message.
  var end: String {
    guard let status else { return "it still runs" }
    return status & 0x7f == 0 ? "status \(status >> 8)" : "signal \(status & 0x7f)"
  }

  /// Whether SIGKILL ended it. It must have ended.
  var wasKilled: Bool { (status ?? 0) & 0x7f == SIGKILL }

  /// Waits for `condition`; false if the child ended before.
  ///
  /// The processor is given away each time, not kept: there may be but one.
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

/// What a kill test found, with all that is needed to look into it.
struct KillFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
