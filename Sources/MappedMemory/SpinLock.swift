import CMappedMemory
import Synchronization

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A lock for what is held briefly and hardly ever contended: the installation
/// of the handler and of a test's hook, and the count of threads that open files.
///
/// Not the library's `Mutex`, whose futex calls on Linux the thread sanitizer
/// does not see: it would report what they guard as a race.
///
/// In a forked child it is free, whoever held it in the parent: that thread is not there to
/// give it up.
struct SpinLock: ~Copyable, Sendable {
  /// The process whose thread holds it, 0 for none; see `kvmap_process_generation`.
  private let holder = Atomic<UInt32>(0)

  func withLock<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let process = kvmap_process_generation()
    while !tryToTake(process) { sched_yield() }
    defer { holder.store(0, ordering: .releasing) }
    return try body()
  }

  private func tryToTake(_ process: UInt32) -> Bool {
    let found = holder.load(ordering: .relaxed)
    if found == process { return false }
    // Acquire pairs with the release above.
    return holder.compareExchange(expected: found, desired: process, ordering: .acquiring).exchanged
  }
}
