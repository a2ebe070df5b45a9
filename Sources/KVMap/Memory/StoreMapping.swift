import MappedMemory
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A store as this process has it mapped.
///
/// The file is mapped from its beginning on, in a piece of address space a few times as
/// long. A file that outgrows it is mapped anew, all of it, in a larger piece. The old one
/// stays until the last reader, span and snapshot that uses it is gone: both show the same
/// file, so both are right.
///
/// Superblocks and live page are mapped once more, by themselves, at an address that never
/// changes: what threads tell one another through them does not depend on where the rest is.
@safe
final class StoreMapping: @unchecked Sendable {
  // Sendable: what changes is atomic or touched only under `lock`.

  /// What the threads of this process share of the store.
  let local: UnsafeMutablePointer<LocalState>
  /// Superblocks and live page.
  let fixed: MappedBytes
  private let window: Reservation
  private let lossFlag: LossFlag
  private let addressSpace: AddressSpace
  private let lock = Lock()
  private var current: Place
  /// Places that were outgrown, and since when nobody can have come to them.
  private var outgrown: [(place: Place, since: ReaderGate.Moment)] = []
  /// Whether there are any.
  private let hasOutgrown = Atomic<Bool>(false)
  /// How many users there are that keep what was mapped when they came, by the number of
  /// the place that was current then.
  private var holders: [Int: Int] = [:]

  /// Where superblocks and live page end.
  static let fixedBytes = Int(Layout.firstFreeUnit) * Layout.unitBytes

  /// Nothing is mapped yet.
  ///
  /// - Parameter bytes: how much is going to be, at least.
  init(forMapping bytes: Int, _ addressSpace: AddressSpace) throws(StoreError) {
    let lossFlag = LossFlag()
    let window: Reservation
    do {
      window = try Reservation(atLeast: Self.fixedBytes, preferring: Self.fixedBytes, lossFlag: lossFlag)
    } catch {
      throw StoreError(error)
    }
    current = try Place(number: 0, forMapping: bytes, addressSpace, lossFlag)
    unsafe fixed = MappedBytes(base: window.base, count: Self.fixedBytes)
    self.window = window
    self.lossFlag = lossFlag
    self.addressSpace = addressSpace
    unsafe local = .allocate(capacity: 1)
    unsafe local.initialize(to: LocalState(view: current.view, lost: lossFlag.word))
  }

  deinit {
    unsafe local.deinitialize(count: 1)
    unsafe local.deallocate()
  }

  /// Where the present mapping is had, for a store with that seed.
  func source(seed: StoreSeed) -> MemorySource { unsafe MemorySource(local: local, fixed: fixed, seed: seed) }

  /// How much of the file is mapped, in bytes.
  var mappedBytes: Int { unsafe local.pointee.mappedBytes.load(ordering: .acquiring) }

  var isLost: Bool {
    // The access that may have lost it comes first, then the flag; the handler sets the
    // flag first, then the page.
    atomicMemoryFence(ordering: .acquiring)
    return unsafe local.pointee.isLost
  }

  /// For a loss that no access has met.
  func markLost() { lossFlag.raise() }

  // MARK: Growing

  /// Maps the first bytes of the store, `count` of them at least, or as many as
  /// `available` says; false if that is less. `place` maps a part of the file at the same
  /// offset of a reservation.
  func extend(
    to count: Int, available: () throws(StoreError) -> Int,
    place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(StoreError) -> Bool {
    try lock.withLock { () throws(StoreError) in
      let mapped = mappedBytes
      if count <= mapped { return true }
      let end = addressSpace.isTight ? min(count, try available()) : try available()
      guard end >= count else { return false }
      do throws(MappingError) {
        if mapped < Self.fixedBytes { try place(window, 0..<min(end, Self.fixedBytes)) }
      } catch {
        throw StoreError(error)
      }
      if count > current.byteCount {
        try moveOn(mapping: end, place)
      } else {
        let end = min(end, current.byteCount)
        do throws(MappingError) { try place(current.reservation, mapped..<end) } catch {
          throw StoreError(error)
        }
        unsafe local.pointee.mappedBytes.store(end, ordering: .releasing)
      }
      return true
    }
  }

  /// Maps all of it anew, in a larger place.
  private func moveOn(
    mapping end: Int, _ place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(StoreError) {
    let next = try Place(number: current.number + 1, forMapping: end, addressSpace, lossFlag)
    do throws(MappingError) { try place(next.reservation, 0..<end) } catch { throw StoreError(error) }
    adopt(next, end)
  }

  /// Copies all of it to a place with room for `count` bytes: for memory that cannot be mapped
  /// twice. The old place stays as it is from now on; what is written to it is lost.
  func copy(
    toFit count: Int, place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(StoreError) {
    try lock.withLock { () throws(StoreError) in
      let end = mappedBytes
      let next = try Place(number: current.number + 1, forMapping: count, addressSpace, lossFlag)
      do throws(MappingError) { try place(next.reservation, 0..<end) } catch { throw StoreError(error) }
      next.copyWhatDiffers(from: current, end)
      adopt(next, end)
    }
  }

  /// Bytes of a store that can be mapped where it is.
  var capacity: Int { lock.withLock { current.byteCount } }

  /// Lets readers find a new place, with so many bytes mapped. Under `lock`.
  private func adopt(_ next: Place, _ end: Int) {
    next.takeMarks(from: current)
    let old = current
    current = next
    unsafe local.pointee.view.store(next.view, ordering: .releasing)
    // Who sees that more is mapped sees where.
    unsafe local.pointee.mappedBytes.store(end, ordering: .releasing)
    // Readers that enter from now on find the new one.
    outgrown.append((old, unsafe local.pointee.readers.now))
    hasOutgrown.store(true, ordering: .relaxed)
  }

  /// Called when the end of the file has been cut off: what lies there stays mapped until
  /// growth maps it anew, so that whoever follows a wrong reference there loses the mapping,
  /// not the process.
  func noteCut<R>(at bytes: Int, _ cut: () throws(StoreError) -> R) throws(StoreError) -> R {
    try lock.withLock { () throws(StoreError) in
      unsafe local.pointee.mappedBytes.store(min(bytes, mappedBytes), ordering: .releasing)
      return try cut()
    }
  }

  /// Calls `body` with the present place, which stays mapped meanwhile.
  func withReservation<R>(
    _ body: (borrowing Reservation) throws(MappingError) -> R
  ) throws(MappingError) -> R {
    let place = lock.withLock { current }
    return try body(place.reservation)
  }

  /// The same with the place that a part of the file is written through: superblocks and
  /// live page are where they never move.
  func withReservation<R>(
    for part: Range<Int>, _ body: (borrowing Reservation) throws(MappingError) -> R
  ) throws(MappingError) -> R {
    part.upperBound <= Self.fixedBytes ? try body(window) : try withReservation(body)
  }

  #if CRASH_SIMULATION
    /// Whether an address is one at which the store's first byte is mapped.
    func isMapped(at base: UnsafeMutableRawPointer) -> Bool {
      if unsafe base == fixed.base { return true }
      return lock.withLock {
        unsafe base == current.reservation.base
          || outgrown.contains { unsafe $0.place.reservation.base == base }
      }
    }
  #endif

  // MARK: What is still in use

  /// Keeps all that is mapped now or later until `release`, for who looks at it without
  /// being counted as a reader.
  func hold() -> Int {
    lock.withLock {
      holders[current.number, default: 0] += 1
      return current.number
    }
  }

  func release(_ number: Int) {
    lock.withLock {
      let left = holders[number, default: 1] - 1
      holders[number] = left > 0 ? left : nil
    }
  }

  /// Unmaps places that were outgrown and that nobody uses any more. Called by who knows
  /// that no writer of this process is at work.
  @inline(__always)
  func unmapOutgrown() {
    if hasOutgrown.load(ordering: .relaxed) { unmapNow() }
  }

  @inline(never)
  private func unmapNow() {
    let unused = lock.withLock { () -> [Place] in
      let first = holders.keys.min() ?? .max
      var unused: [Place] = []
      outgrown.removeAll { place, since in
        guard place.number < first, unsafe local.pointee.readers.haveLeft(since: since) else { return false }
        unused.append(place)
        return true
      }
      hasOutgrown.store(!outgrown.isEmpty, ordering: .relaxed)
      return unused
    }
    // They end here, outside the lock.
    withExtendedLifetime(unused) {}
  }
}

/// How much address space a store takes.
struct AddressSpace {
  /// Only what is mapped, and only what is asked for is: for tests, each growth moves the
  /// mapping.
  var isTight = false

  #if CRASH_SIMULATION
    /// What stores take that are opened from now on: a test's environment can ask for the
    /// least.
    static let standard = AddressSpace(
      isTight: unsafe getenv("KVMAP_TIGHT_ADDRESS_SPACE").map { unsafe $0.pointee != 0 } ?? false)
  #else
    static let standard = AddressSpace()
  #endif

  /// How much is taken besides what is to be mapped; nil for three times as much again: to
  /// fill that, the file has to grow to four times its length, so mapping it anew is rare,
  /// and what was outgrown is a third of the present place at most.
  var room: Int?

  func preferred(forMapping bytes: Int) -> Int {
    if isTight { return bytes }
    let most = Int(Layout.largestFile)
    return max(bytes, min(bytes + (room ?? max(bytes, 1 << 20) * 3), most))
  }
}

/// A piece of address space, and what is known of the pages of the store that is mapped in
/// it from its beginning on.
@safe
private final class Place: @unchecked Sendable {
  // Sendable: nothing of it changes but the marks, which are atomics.
  let number: Int
  let reservation: Reservation
  /// As readers find it, without counting a reference to this object.
  let view: UnsafeMutablePointer<MappedView>
  private let table: UnsafeMutableRawPointer
  private let pages: Int

  init(
    number: Int, forMapping bytes: Int, _ addressSpace: AddressSpace, _ lossFlag: LossFlag
  ) throws(StoreError) {
    self.number = number
    let length = addressSpace.preferred(forMapping: bytes)
    do {
      reservation = try Reservation(atLeast: bytes, preferring: length, lossFlag: lossFlag)
    } catch {
      throw StoreError(error, needing: bytes)
    }
    var pages = reservation.length / Layout.pageBytes
    // Zeroed, and memory only where it is used. With less, more is checked more often.
    var table = unsafe calloc(pages, 1)
    if unsafe table == nil {
      pages = 1
      unsafe table = calloc(1, 1)
    }
    guard let table = unsafe table else {
      throw StoreError(.notEnoughMemory, "there is no memory left; end other programs, or raise the limits")
    }
    unsafe self.table = unsafe table
    self.pages = pages
    unsafe view = .allocate(capacity: 1)
    unsafe view.initialize(
      to: MappedView(
        bytes: MappedBytes(base: reservation.base, count: reservation.length),
        verified: VerifiedPages(table: table, count: pages)))
  }

  deinit {
    unsafe view.deallocate()
    unsafe free(table)
  }

  /// Bytes of a store that can be mapped here.
  var byteCount: Int { reservation.length }

  /// Makes `count` bytes equal to those of another place. Only what differs is stored: the
  /// rest stays the file's, and takes no memory.
  func copyWhatDiffers(from other: Place, _ count: Int) {
    let (target, source) = unsafe (reservation.base, other.reservation.base)
    for chunk in stride(from: 0, to: count, by: Layout.unitBytes)
    where unsafe memcmp(target + chunk, source + chunk, min(Layout.unitBytes, count - chunk)) != 0 {
      for page in stride(from: chunk, to: min(chunk + Layout.unitBytes, count), by: Layout.pageBytes)
      where unsafe memcmp(target + page, source + page, Layout.pageBytes) != 0 {
        unsafe memcpy(target + page, source + page, Layout.pageBytes)
      }
    }
  }

  /// What was found intact before does not have to be looked at again.
  func takeMarks(from other: Place) {
    unsafe view.pointee.verified.insert(all: other.view.pointee.verified)
  }
}
