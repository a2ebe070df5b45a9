import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Counts the readers of this process that are inside a call, so that nothing they may
/// still look at is rewritten by this process's writer, or unmapped.
///
/// Time is divided into periods, and readers are counted in one of two sets: that of odd
/// periods or of even ones. A period ends when somebody wants it to and the set of the
/// next one is empty. So when two have begun since some moment, all readers who were
/// inside then have left: the second could not begin before. Nobody waits for a reader;
/// who wants to know asks again later.
///
/// Counters are striped over cache lines so that threads do not share one.
@safe
struct ReaderGate: ~Copyable {
  private static let stripes = 16
  private static let stride = 8  // words: one counter to a cache line

  private let counters: UnsafeMutablePointer<Atomic<Int>>
  private let period = Atomic<Int>(0)

  /// A reader's place in the gate; returned when it leaves.
  struct Ticket {
    fileprivate var index: Int
  }

  /// A moment that readers were or were not inside at.
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
      // Sequentially consistent, as is the look at the counters: either it sees this
      // reader, or the reader sees all that happened before it.
      unsafe counters[index].wrappingAdd(1, ordering: .sequentiallyConsistent)
      if self.period.load(ordering: .sequentiallyConsistent) == period { return Ticket(index: index) }
      unsafe counters[index].wrappingSubtract(1, ordering: .releasing)
    }
  }

  @inline(__always)
  func leave(_ ticket: Ticket) {
    unsafe counters[ticket.index].wrappingSubtract(1, ordering: .releasing)
  }

  /// This moment: whoever enters later sees all that happened before.
  var now: Moment {
    // What happened before, a plain store above all, is seen before the period is read.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return Moment(period: period.load(ordering: .sequentiallyConsistent))
  }

  /// Whether all readers have left that were inside at a moment. Any thread may ask.
  func haveLeft(since moment: Moment) -> Bool {
    while period.load(ordering: .sequentiallyConsistent) < moment.period + 2 {
      if !endPeriod() { return false }
    }
    return true
  }

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
