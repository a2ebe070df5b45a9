import MappedMemory
import Synchronization
import SystemPackage

/// Lets the nth of some system calls of this thread fail, once or from then on.
final class Fault: Sendable {
  private let calls: Set<SystemCall>
  private let nth: Int
  private let errno: Errno
  private let isLasting: Bool
  private let count = Mutex<Int>(0)

  init(_ calls: Set<SystemCall>, nth: Int, as errno: Errno) {
    self.calls = calls
    self.nth = nth
    self.errno = errno
    isLasting = false
  }

  /// All calls fail, from the nth on.
  init(_ calls: Set<SystemCall>, from nth: Int, as errno: Errno) {
    self.calls = calls
    self.nth = nth
    self.errno = errno
    isLasting = true
  }

  var hasStruck: Bool { count.withLock { $0 } >= nth }

  @discardableResult
  func during<R>(_ body: () throws -> R) rethrows -> R {
    let thread = Threads.current
    FaultInjection.install { [self] call in
      guard Threads.current == thread, calls.contains(call) else { return nil }
      return count.withLock { count in
        count += 1
        return count == nth || isLasting && count > nth ? errno : nil
      }
    }
    defer { FaultInjection.install(nil) }
    return try body()
  }
}
