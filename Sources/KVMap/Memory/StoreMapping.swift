import MappedMemory
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The mapping of a store in this process.
///
/// The file is mapped from its beginning, in a reservation of address space a few times as long.
/// A file that outgrows it is mapped anew as a whole, in a larger one. The old place stays mapped
/// until the last reader, span and snapshot that uses it is gone. For a file both places show the
/// same bytes. A private view is copied instead; nobody writes to the old copy any more.
///
/// Superblocks and shared state are also mapped separately, at an address that never changes, so
/// threads that communicate through them need not know where the rest is mapped.
@safe
final class StoreMapping: @unchecked Sendable {
  // Sendable: what changes is atomic, or accessed only with `lock` held.

  /// What this process knows of the store and shares among its threads.
  let local: UnsafeMutablePointer<LocalState>
  /// Superblocks and shared state, at an address that never changes.
  let fixed: MappedBytes
  private let window: Reservation
  private let lossFlag: LossFlag
  private let addressSpace: AddressSpace
  private let lock = Lock()
  private var current: Place
  /// Places that were outgrown, each with the moment after which readers find a later one.
  private var outgrown: [(place: Place, since: ReaderGate.Moment)] = []
  /// Whether `outgrown` has any elements.
  private let hasOutgrown = Atomic<Bool>(false)
  /// How many users hold a place and all later ones, by the number of the place that was current
  /// when they called `hold`.
  private var holders: [Int: Int] = [:]
  /// What sources point to.
  private var constants: [UnsafeMutablePointer<StoreConstants>] = unsafe []

  /// Where superblocks and shared state end, in bytes.
  static let fixedBytes = Int(Layout.firstFreeUnit) * Layout.unitBytes

  /// Reserves address space, and maps nothing yet.
  ///
  /// - Parameter bytes: how much will be mapped at least.
  /// - Throws: `notEnoughMemory` if there is no address space.
  init(forMapping bytes: Int, _ addressSpace: AddressSpace) throws(Store.Error) {
    let lossFlag = LossFlag()
    let window: Reservation
    do {
      window = try Reservation(atLeast: Self.fixedBytes, preferring: Self.fixedBytes, lossFlag: lossFlag)
    } catch {
      throw Store.Error(error)
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
    unsafe constants.forEach { unsafe $0.deallocate() }
  }

  /// Gives the current `StoreMemory` at any time, for a store with that seed.
  func source(seed: StoreSeed) -> MemorySource {
    let pair = UnsafeMutablePointer<StoreConstants>.allocate(capacity: 2)
    for (index, offset) in [SharedState.publicOffset, SharedState.shadowOffset].enumerated() {
      unsafe (pair + index).initialize(
        to: StoreConstants(
          fixed: fixed, seed: seed, local: LocalStateReference(local), sharedOffset: offset))
    }
    lock.withLock { unsafe constants.append(pair) }
    return unsafe MemorySource(pair)
  }

  /// How much of the file is mapped, in bytes.
  var mappedBytes: Int { unsafe local.pointee.mappedBytes.load(ordering: .acquiring) }

  /// Whether part of the mapping was lost: it could not be read or written, or the file was cut
  /// short. For use after an access.
  var isLost: Bool {
    // The access comes first, then the load of the flag. The signal handler sets the flag before
    // it replaces the page.
    atomicMemoryFence(ordering: .acquiring)
    return unsafe local.pointee.isLost
  }

  /// Records a loss that no access has met.
  func markLost() { lossFlag.raise() }

  // MARK: Growing

  /// Maps at least `count` bytes, and more if the file is longer. `available` returns how long it
  /// is; false if that is less than `count`. `place` maps a range of the file at the same offset
  /// of a reservation.
  func extend(
    to count: Int, available: () throws(Store.Error) -> Int,
    place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(Store.Error) -> Bool {
    try lock.withLock { () throws(Store.Error) in
      let mapped = mappedBytes
      if count <= mapped { return true }
      let end = addressSpace.isTight ? min(count, try available()) : try available()
      guard end >= count else { return false }
      do throws(MappingError) {
        if mapped < Self.fixedBytes { try place(window, 0..<min(end, Self.fixedBytes)) }
      } catch {
        throw Store.Error(error)
      }
      if count > current.byteCount {
        try moveOn(mapping: end, place)
      } else {
        let end = min(end, current.byteCount)
        do throws(MappingError) { try place(current.reservation, mapped..<end) } catch {
          throw Store.Error(error)
        }
        unsafe local.pointee.mappedBytes.store(end, ordering: .releasing)
      }
      return true
    }
  }

  /// Maps the whole store anew, in a larger place.
  private func moveOn(
    mapping end: Int, _ place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(Store.Error) {
    let next = try Place(number: current.number + 1, forMapping: end, addressSpace, lossFlag)
    do throws(MappingError) { try place(next.reservation, 0..<end) } catch { throw Store.Error(error) }
    adopt(next, end)
  }

  /// Copies the whole store to a place with room for `count` bytes: for memory that cannot be
  /// mapped twice. From then on the old place stays as it is; what is written to it is lost.
  func copy(
    toFit count: Int, place: (borrowing Reservation, Range<Int>) throws(MappingError) -> Void
  ) throws(Store.Error) {
    try lock.withLock { () throws(Store.Error) in
      let end = mappedBytes
      let next = try Place(number: current.number + 1, forMapping: count, addressSpace, lossFlag)
      do throws(MappingError) { try place(next.reservation, 0..<end) } catch { throw Store.Error(error) }
      next.copyWhatDiffers(from: current, end)
      adopt(next, end)
    }
  }

  /// How many bytes of a store can be mapped at the current place.
  var capacity: Int { lock.withLock { current.byteCount } }

  /// Makes `next`, with `end` bytes mapped, the place that readers find. With `lock` held.
  private func adopt(_ next: Place, _ end: Int) {
    next.takeMarks(from: current)
    let old = current
    current = next
    unsafe local.pointee.view.store(next.view, ordering: .releasing)
    // A reader that sees the new size also sees the new place.
    unsafe local.pointee.mappedBytes.store(end, ordering: .releasing)
    // Readers that enter from now on find the new one.
    outgrown.append((old, unsafe local.pointee.readers.now))
    hasOutgrown.store(true, ordering: .relaxed)
  }

  /// Runs `cut`, and counts nothing beyond `bytes` as mapped from before it runs. The pages stay
  /// mapped until growth maps them anew: a wrong reference into them then loses the mapping, and
  /// does not kill the process.
  func noteCut<R>(at bytes: Int, _ cut: () throws(Store.Error) -> R) throws(Store.Error) -> R {
    try lock.withLock { () throws(Store.Error) in
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

  /// As above, with the place through which `part` of the file is written: superblocks and shared
  /// state have their own mapping.
  func withReservation<R>(
    for part: Range<Int>, _ body: (borrowing Reservation) throws(MappingError) -> R
  ) throws(MappingError) -> R {
    part.upperBound <= Self.fixedBytes ? try body(window) : try withReservation(body)
  }

  #if CRASH_SIMULATION
    /// Whether the store's first byte is mapped at this address.
    func isMapped(at base: UnsafeMutableRawPointer) -> Bool {
      if unsafe base == fixed.base { return true }
      return lock.withLock {
        unsafe base == current.reservation.base
          || outgrown.contains { unsafe $0.place.reservation.base == base }
      }
    }
  #endif

  // MARK: What is still in use

  /// Keeps the present place and all later ones mapped until `release` is called with the number
  /// returned. For users who are not counted as readers.
  func hold() -> Int {
    lock.withLock {
      holders[current.number, default: 0] += 1
      return current.number
    }
  }

  /// Ends a hold.
  func release(_ number: Int) {
    lock.withLock {
      let left = holders[number, default: 1] - 1
      holders[number] = left > 0 ? left : nil
    }
  }

  /// Unmaps outgrown places that nobody uses any more. The caller knows that no writer of this
  /// process is at work.
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
    // The places are unmapped here, outside the lock.
    withExtendedLifetime(unused) {}
  }
}

/// How much address space a store reserves.
struct AddressSpace {
  /// For tests: take no spare address space, so that each growth moves the mapping.
  var isTight = false

  #if CRASH_SIMULATION
    /// For stores that are opened from now on. The environment variable
    /// `KVMAP_TIGHT_ADDRESS_SPACE` of a test asks for no spare address space.
    static let standard = AddressSpace(
      isTight: unsafe getenv("KVMAP_TIGHT_ADDRESS_SPACE").map { unsafe $0.pointee != 0 } ?? false)
  #else
    static let standard = AddressSpace()
  #endif

  /// Spare bytes to reserve beyond what is to be mapped. nil for three times as much as is
  /// mapped: the file must then grow to four times its length to outgrow the place, so mapping it
  /// anew is rare, and the outgrown places take at most a third as much as the present one.
  var room: Int?

  /// How many bytes to reserve if `bytes` are to be mapped.
  func preferred(forMapping bytes: Int) -> Int {
    if isTight { return bytes }
    let most = Int(Layout.largestFile)
    return max(bytes, min(bytes + (room ?? max(bytes, 1 << 20) * 3), most))
  }
}

/// A reservation of address space in which the store is mapped from its beginning, and what is
/// known of the store's pages there.
@safe
private final class Place: @unchecked Sendable {
  // Sendable: only the marks change, and they are atomics.
  let number: Int
  let reservation: Reservation
  /// What readers load to find the place, without retaining this object.
  let view: UnsafeMutablePointer<MappedView>
  private let table: UnsafeMutableRawPointer
  private let pages: Int

  init(
    number: Int, forMapping bytes: Int, _ addressSpace: AddressSpace, _ lossFlag: LossFlag
  ) throws(Store.Error) {
    self.number = number
    let length = addressSpace.preferred(forMapping: bytes)
    do {
      reservation = try Reservation(atLeast: bytes, preferring: length, lossFlag: lossFlag)
    } catch {
      throw Store.Error(error, needing: bytes)
    }
    var pages = reservation.length / Layout.pageBytes
    // Zeroed memory, which takes physical pages only where it is used. With a smaller table,
    // pages are only checked more often.
    var table = unsafe calloc(pages, 1)
    if unsafe table == nil {
      pages = 1
      unsafe table = calloc(1, 1)
    }
    guard let table = unsafe table else {
      throw Store.Error(.notEnoughMemory, "there is no memory left; end other programs, or raise the limits")
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

  /// How many bytes of a store can be mapped here.
  var byteCount: Int { reservation.length }

  /// Makes the first `count` bytes equal to those of another place. Stores only the pages that
  /// differ: the others stay pages of the file, and take no memory.
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

  /// Copies the marks of another place: pages that were found intact need not be checked again.
  func takeMarks(from other: Place) {
    unsafe view.pointee.verified.insert(all: other.view.pointee.verified)
  }
}
