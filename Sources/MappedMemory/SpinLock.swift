import Synchronization

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A lock for what is held briefly and hardly ever contended: the installation
/// of the handler, and that of a test's hook.
///
/// Not the library's `Mutex`, whose futex calls on Linux the thread sanitizer
/// does not see: it would report what they guard as a race.
struct SpinLock: ~Copyable, Sendable {
  private let isHeld = Atomic<Bool>(false)

  func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Acquire pairs with the release below.
    while isHeld.exchange(true, ordering: .acquiring) { sched_yield() }
    defer { isHeld.store(false, ordering: .releasing) }
    return try body()
  }
}
