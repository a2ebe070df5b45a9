import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A child made by `fork` alone, within a millisecond. Only in exit tests, whose other
/// threads do nothing: a child has but the thread that forked. Nothing of the parent's
/// may be open.
struct ForkedChild {
  let identifier: pid_t

  /// Runs `body` in a child.
  init(_ body: () -> Never) {
    let fork = Self.hidden("fork", as: (@convention(c) () -> pid_t).self)
    identifier = fork()
    if identifier == 0 {
      Self.dieWithParent()
      body()
    }
    precondition(identifier > 0, "fork failed")
  }

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

  /// Waits until any child has ended: which, and how; nil if there is none.
  static func waitForAny() -> (identifier: pid_t, status: Int32)? {
    var status: Int32 = 0
    while true {
      let identifier = unsafe waitpid(-1, &status, 0)
      if identifier > 0 { return (identifier, status) }
      if errno != EINTR { return nil }
    }
  }

  static func wasKilled(_ status: Int32) -> Bool { status & 0x7f == SIGKILL }
  static func succeeded(_ status: Int32) -> Bool { status == 0 }

  func kill() {
    #if canImport(Glibc)
      _ = Glibc.kill(identifier, SIGKILL)
    #else
      _ = Darwin.kill(identifier, SIGKILL)
    #endif
  }
}
