import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Counts the readers of this process that are inside a call, so that this process's writer
/// neither rewrites nor unmaps what they may still look at.
///
/// Time is divided into periods. A reader is counted in the period it enters in; only two counts
/// exist, for odd and even periods. A period can end only when the next period's count is zero.
/// So once two periods have begun after a moment, every reader who was inside at that moment has
/// left. Nobody waits for a reader: callers ask again later.
///
/// Each count is split over several cache lines, so that threads seldom share one.
@safe
struct ReaderGate: ~Copyable {
  private static let stripes = 16
  private static let stride = 8  // words: one counter to a cache line

  private let counters: UnsafeMutablePointer<Atomic<Int>>
  private let period = Atomic<Int>(0)

  /// Says in which count a reader is; the reader hands it back when it leaves.
  struct Ticket {
    fileprivate var index: Int
  }

  /// A moment, for asking later whether the readers that were inside then have left.
  struct Moment {
    fileprivate var period: Int
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
      let period = period.load(ordering: .sequentiallyConsistent)
      let index = ((period & 1) &* Self.stripes &+ stripe) &* Self.stride
      // Sequentially consistent, like the look at the counters: either that look sees this
      // reader, or this reader sees everything that happened before it.
      unsafe counters[index].wrappingAdd(1, ordering: .sequentiallyConsistent)
      if self.period.load(ordering: .sequentiallyConsistent) == period { return Ticket(index: index) }
      unsafe counters[index].wrappingSubtract(1, ordering: .releasing)
    }
  }

  @inline(__always)
  func leave(_ ticket: Ticket) {
    unsafe counters[ticket.index].wrappingSubtract(1, ordering: .releasing)
  }

  /// The present moment. A reader that enters later sees everything that happened before.
  var now: Moment {
    // The fence makes earlier stores, plain ones too, visible before the period is read.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return Moment(period: period.load(ordering: .sequentiallyConsistent))
  }

  /// Whether all readers that were inside at `moment` have left. Does not wait. Any thread may
  /// ask.
  func haveLeft(since moment: Moment) -> Bool {
    while period.load(ordering: .sequentiallyConsistent) < moment.period + 2 {
      if !endPeriod() { return false }
    }
    return true
  }

  /// Begins the next period; false if a reader is still counted for it.
  private func endPeriod() -> Bool {
    let current = period.load(ordering: .sequentiallyConsistent)
    guard isEmpty(parity: (current + 1) & 1) else { return false }
    // Another thread may have ended it already.
    _ = period.compareExchange(
      expected: current, desired: current + 1, ordering: .sequentiallyConsistent)
    return true
  }

  private func isEmpty(parity: Int) -> Bool {
    for stripe in 0..<Self.stripes {
      let index = (parity * Self.stripes + stripe) * Self.stride
      if unsafe counters[index].load(ordering: .sequentiallyConsistent) != 0 { return false }
    }
    return true
  }

  /// A number for this thread, from 0 to 15; few threads share one.
  @inline(__always)
  static var stripe: Int {
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
