import MappedMemory
import Synchronization
import SystemPackage

/// Makes the nth of some system calls of this thread fail, once or from then on.
final class Fault: Sendable {
  private let kinds: Set<SystemCall>
  private let nth: Int
  private let errno: Errno
  private let isLasting: Bool
  private let count = Mutex<Int>(0)

  /// A lasting interruption is one of three attempts, since a caller may try for ever.
  init(_ calls: Set<SystemCall>, nth: Int, as errno: Errno, isLasting: Bool = false) {
    kinds = calls
    self.nth = nth
    self.errno = errno
    self.isLasting = isLasting
  }

  /// All calls fail, from the nth on.
  convenience init(_ calls: Set<SystemCall>, from nth: Int, as errno: Errno) {
    self.init(calls, nth: nth, as: errno, isLasting: true)
  }

  /// How many of the calls have been made.
  var calls: Int { count.withLock { $0 } }
  var hasStruck: Bool { calls >= nth }

  private func answer(_ number: Int) -> Errno? {
    if number == nth { return errno }
    guard isLasting, number > nth else { return nil }
    return errno == .interrupted && number > nth + 2 ? nil : errno
  }

  @discardableResult
  func during<R>(_ body: () throws -> R) rethrows -> R {
    let thread = Threads.current
    FaultInjection.install { [self] call in
      guard Threads.current == thread, kinds.contains(call) else { return nil }
      return count.withLock { count in
        count += 1
        return answer(count)
      }
    }
    defer { FaultInjection.install(nil) }
    return try body()
  }
}
