import Synchronization
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory that a test shares with the children it forks. What a child stored here before it died
/// is still here.
@safe
final class SharedBytes: Sendable {
  private let count: Int
  nonisolated(unsafe) private let base: UnsafeMutableRawPointer

  init(_ count: Int) {
    let mapped = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { fatalError("no memory") }
    unsafe base = mapped
    self.count = count
  }

  deinit { unsafe munmap(base, count) }

  subscript(index: Int) -> Int {
    get {
      precondition(8 * index + 8 <= count)
      // Acquire pairs with the release below: what was done before the store is visible.
      return unsafe Int(word(index).pointee.load(ordering: .acquiring))
    }
    set {
      precondition(8 * index + 8 <= count)
      unsafe word(index).pointee.store(Int64(newValue), ordering: .releasing)
    }
  }

  private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<Int64>> {
    unsafe (base + 8 * index).assumingMemoryBound(to: Atomic<Int64>.self)
  }
}
