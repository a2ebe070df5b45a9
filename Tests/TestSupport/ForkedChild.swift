#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A child made by `fork` alone. That takes a millisecond, so that thousands can be killed.
///
/// Only for exit tests, whose other threads do nothing: a child has only the thread that forked.
/// The parent may have no store and no database open. A child dies with its parent.
package final class ForkedChild {
  /// How a child ended.
  package enum End: Equatable, CustomStringConvertible {
    case well
    /// By itself, with this status.
    case gaveUp(Int32)
    case signal(Int32)

    package var description: String {
      switch self {
      case .well: "status 0"
      case .gaveUp(let status): "status \(status)"
      case .signal(let number): "signal \(number)"
      }
    }
  }

  package let identifier: Int32
  /// How it ended, once `hasEnded`, `kill` or `wait` has found that out.
  package private(set) var end: End?

  /// Runs `body` in a child, which ends with it: with status 1 if `body` throws.
  ///
  /// - Parameter isQuiet: a crash prints no backtrace, which takes seconds.
  package init(isQuiet: Bool = false, _ body: () throws -> Void) {
    let fork = hidden("fork", as: (@convention(c) () -> pid_t).self)
    identifier = fork()
    if identifier == 0 {
      Self.dieWithParent()
      if isQuiet {
        for number in [SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP] { signal(number, SIG_DFL) }
      }
      do { try body() } catch { _exit(1) }
      _exit(0)
    }
    precondition(identifier > 0, "fork failed")
  }

  deinit { kill() }

  private static func dieWithParent() {
    #if os(Linux)
      let prctl = hidden("prctl", as: (@convention(c) (Int32, Int, Int, Int, Int) -> Int32).self)
      let setParentDeathSignal: Int32 = 1
      _ = prctl(setParentDeathSignal, Int(SIGKILL), 0, 0, 0)
    #endif
  }

  /// Whether it has ended, by itself or killed.
  package var hasEnded: Bool {
    if end != nil { return true }
    var status: Int32 = 0
    if unsafe waitpid(identifier, &status, WNOHANG) == identifier { end = Self.end(status) }
    return end != nil
  }

  /// Whether SIGKILL ended it.
  package var wasKilled: Bool { end == .signal(SIGKILL) }

  /// Kills it, if it still runs, and waits until it is gone.
  package func kill() {
    if end != nil { return }
    sendSignal(SIGKILL)
    _ = wait()
  }

  private func sendSignal(_ number: Int32) {
    #if canImport(Glibc)
      _ = Glibc.kill(identifier, number)
    #elseif canImport(Musl)
      _ = Musl.kill(identifier, number)
    #else
      _ = Darwin.kill(identifier, number)
    #endif
  }

  /// Waits until it has ended.
  @discardableResult
  package func wait() -> End {
    if let end { return end }
    var status: Int32 = 0
    while unsafe waitpid(identifier, &status, 0) == -1, errno == EINTR {}
    let found = Self.end(status)
    end = found
    return found
  }

  /// Waits until the first of these has ended; nil if there are none.
  package static func firstToEnd(of children: [ForkedChild]) -> ForkedChild? {
    while children.contains(where: { $0.end == nil }) {
      var status: Int32 = 0
      let identifier = unsafe waitpid(-1, &status, 0)
      if identifier == -1, errno != EINTR { return nil }
      let found = children.first { $0.identifier == identifier && $0.end == nil }
      guard let child = found else { continue }
      child.end = end(status)
      return child
    }
    return nil
  }

  /// What the status means that waitpid(2) gives.
  private static func end(_ status: Int32) -> End {
    if status & 0x7f != 0 { return .signal(status & 0x7f) }
    return status == 0 ? .well : .gaveUp(status >> 8 & 0xff)
  }
}
