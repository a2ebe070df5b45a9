import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A child made by `fork` alone. Only in exit tests, whose other threads do
/// nothing, and with no store or database open.
final class ForkedProcess {
  /// How a child ended.
  enum End: Equatable {
    case well
    /// By itself, with this status.
    case gaveUp(Int32)
    case signal(Int32)

    /// The signals of the clocks that children set.
    var isTimeout: Bool { self == .signal(SIGPROF) || self == .signal(SIGALRM) }
  }

  private let identifier: pid_t
  private var status: Int32?

  init(_ body: () throws -> Void) {
    let fork = Self.hidden("fork", as: (@convention(c) () -> pid_t).self)
    identifier = fork()
    if identifier == 0 {
      Self.dieWithParent()
      // Else the runtime would write about a crash, for seconds.
      for number in [SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP] { signal(number, SIG_DFL) }
      do { try body() } catch { _exit(1) }
      _exit(0)
    }
    precondition(identifier > 0, "fork failed")
  }

  deinit {
    kill()
    _ = wait()
  }

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

  /// In a child: gives what follows so much processor time, and ten times as much
  /// time by the clock.
  static func limitTime(seconds: Int) {
    // The numbers of ITIMER_PROF and ITIMER_REAL, which are of other types here and there.
    for (clock, limit) in [(2, seconds), (0, 10 * seconds)] as [(Int32, Int)] {
      var timer = itimerval()
      timer.it_value.tv_sec = limit
      unsafe setitimer(clock, &timer, nil)
    }
  }

  var hasEnded: Bool {
    if status != nil { return true }
    var raw: Int32 = 0
    if unsafe waitpid(identifier, &raw, WNOHANG) == identifier { status = raw }
    return status != nil
  }

  func kill() {
    if status != nil { return }
    #if canImport(Glibc)
      _ = Glibc.kill(identifier, SIGKILL)
    #else
      _ = Darwin.kill(identifier, SIGKILL)
    #endif
  }

  /// Waits until it has ended.
  func wait() -> End {
    var raw: Int32 = 0
    while status == nil {
      if unsafe waitpid(identifier, &raw, 0) == identifier { status = raw }
    }
    let status = status ?? 0
    if status & 0x7f != 0 { return .signal(status & 0x7f) }
    return status == 0 ? .well : .gaveUp(status >> 8 & 0xff)
  }
}
