import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Counts the readers of this process that are inside a call, so that nothing
/// they may still look at is rewritten by this process's writer.
///
/// Two sets of counters, and a parity that says which one new readers enter. To
/// learn that all readers of before are gone, the writer flips the parity and
/// waits (without blocking: it asks again later) for the old set to fall to 0.
/// Counters are striped over cache lines so that threads do not share one.
@safe
struct ReaderGate: ~Copyable {
  private static let stripes = 16
  private static let stride = 8  // words: one counter to a cache line

  private let counters: UnsafeMutablePointer<Atomic<Int>>
  private let parity = Atomic<Int>(0)

  /// A reader's place in the gate; returned when it leaves.
  struct Ticket {
    fileprivate var index: Int
  }

  init() {
    let count = 2 * Self.stripes * Self.stride
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
    unsafe raw.initializeMemory(as: UInt8.self, repeating: 0, count: count * 8)
    unsafe counters = unsafe raw.bindMemory(to: Atomic<Int>.self, capacity: count)
  }

  deinit { unsafe UnsafeMutableRawPointer(counters).deallocate() }

  @inline(__always)
  func enter() -> Ticket {
    let stripe = Self.stripe
    while true {
      let parity = parity.load(ordering: .sequentiallyConsistent)
      let index = (parity &* Self.stripes &+ stripe) &* Self.stride
      // Sequentially consistent, as is the writer's look at the counters: either
      // it sees this reader, or the reader sees all that happened before its look.
      unsafe counters[index].wrappingAdd(1, ordering: .sequentiallyConsistent)
      if self.parity.load(ordering: .sequentiallyConsistent) == parity { return Ticket(index: index) }
      unsafe counters[index].wrappingSubtract(1, ordering: .releasing)
    }
  }

  @inline(__always)
  func leave(_ ticket: Ticket) {
    unsafe counters[ticket.index].wrappingSubtract(1, ordering: .releasing)
  }

  /// Whether the set that the next flip leads to holds no reader of before: the flip after
  /// it would find none of them.
  var isReadyToFlip: Bool { isEmpty(parity: 1 - parity.load(ordering: .sequentiallyConsistent)) }

  /// New readers are counted apart from now on; returns the parity of the old ones.
  func flip() -> Int {
    let old = parity.load(ordering: .sequentiallyConsistent)
    parity.store(1 - old, ordering: .sequentiallyConsistent)
    return old
  }

  /// Whether no reader that entered under `parity` is left.
  func isEmpty(parity: Int) -> Bool {
    for stripe in 0..<Self.stripes {
      let index = (parity * Self.stripes + stripe) * Self.stride
      if unsafe counters[index].load(ordering: .sequentiallyConsistent) != 0 { return false }
    }
    return true
  }

  /// Whether no reader is inside at all, as far as one look can tell.
  var isEmpty: Bool { isEmpty(parity: 0) && isEmpty(parity: 1) }

  @inline(__always)
  private static var stripe: Int {
    #if canImport(Darwin)
      let word = unsafe UInt(bitPattern: pthread_self())
    #else
      let word = pthread_self()
    #endif
    // Thread descriptors are pages apart: the bits above the page differ.
    let mixed = UInt64(truncatingIfNeeded: word >> 12) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 60)
  }
}
