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
      // Real threads: what blocks one must not starve another.
      Thread { [running] in
        body()
        running.leave()
      }.start()
    }
  }

  /// Waits until all have ended.
  func join() { running.wait() }

  /// What tells the calling thread from others.
  static var current: UInt {
    #if canImport(Darwin)
      unsafe UInt(bitPattern: pthread_self())
    #else
      UInt(pthread_self())
    #endif
  }
}
