import Dispatch
import Foundation
import Synchronization
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Threads that all run the same closure.
final class Threads: Sendable {
  private let running: DispatchGroup

  @discardableResult
  init(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    running = DispatchGroup()
    for _ in 0..<count {
      running.enter()
      // Real threads, so that a blocked one does not starve another.
      Thread { [running] in
        body()
        running.leave()
      }.start()
    }
  }

  /// Waits until all have ended.
  func join() { running.wait() }

  /// Identifies the calling thread.
  static var current: UInt {
    #if canImport(Darwin)
      unsafe UInt(bitPattern: pthread_self())
    #else
      UInt(pthread_self())
    #endif
  }
}

/// Something that one thread waits for and another gives, once.
final class Signal: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let given = Atomic<Bool>(false)
  var isGiven: Bool { given.load(ordering: .acquiring) }
  func give() {
    given.store(true, ordering: .releasing)
    semaphore.signal()
  }
  func wait() { semaphore.wait() }

  /// Whether it is given within that time, for what must not happen.
  func isGiven(within milliseconds: Int) -> Bool {
    semaphore.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
  }
}

/// Waits for a condition that other threads bring about; false after a minute.
func waits(until condition: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(60)
  while try !condition() {
    if ContinuousClock.now > deadline { return false }
    usleep(1_000)
  }
  return true
}
