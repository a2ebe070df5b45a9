import CMappedMemory
import Synchronization

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A lock for short uses without contention: the installation of the handler and
/// of a test's hook, and the count of threads that open files.
///
/// It is not the library's `Mutex`, because the thread sanitizer does not see the
/// `Mutex`'s futex calls on Linux and would report a race.
///
/// In a forked child it is free, even if a thread of the parent held it: that thread does
/// not exist in the child.
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
