import MappedMemory
import Synchronization
import SystemPackage

/// A store in memory, or a private copy-on-write view of one in a file: nothing
/// that is changed is seen by anybody else, and it vanishes with the handle.
final class PrivateBacking: Backing {
  private let reservation: Reservation
  private let mapped = Atomic<Int>(0)
  /// Locks of the file that is viewed; kept so that its pins last.
  private let locks: FileBacking?

  let bytes: MappedBytes
  var isShared: Bool { false }

  /// An empty store in memory.
  init() throws(StoreError) {
    do {
      reservation = try Reservation(atLeast: 64 << 20, preferring: 1 << 40)
    } catch {
      throw StoreError(error)
    }
    locks = nil
    unsafe bytes = MappedBytes(base: reservation.base)
  }

  /// A view of the first `count` bytes of a file, which is pinned through `locks`.
  init(viewing file: borrowing File, count: Int, locks: FileBacking) throws(StoreError) {
    do {
      reservation = try Reservation(
        atLeast: count + (64 << 20), preferring: max(1 << 40, 2 * count / Layout.unitBytes * Layout.unitBytes)
      )
      try reservation.place(
        file, fileOffset: 0, at: 0, length: count, protection: [.read, .write], sharing: .private,
        // Else the system refuses what memory could not hold if all of it was changed.
        options: .noReserve)
      try reservation.advise(at: 0, length: count, .random)
    } catch {
      throw StoreError(error)
    }
    self.locks = locks
    mapped.store(count, ordering: .releasing)
    unsafe bytes = MappedBytes(base: reservation.base)
  }

  var mappedBytes: Int { mapped.load(ordering: .acquiring) }
  var isLost: Bool { reservation.isLost }

  func grow(to bytes: Int) throws(StoreError) {
    let from = mappedBytes
    if bytes <= from { return }
    let step = max(1 << 20, from / 16)
    let end = min(
      (max(bytes, from + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes,
      reservation.length)
    guard end >= bytes else {
      throw StoreError(.diskFull, "the process has no address space for more than \(from) bytes")
    }
    do {
      try reservation.placeAnonymous(
        at: from, length: end - from, protection: [.read, .write], options: .noReserve)
    } catch {
      throw StoreError(error)
    }
    mapped.store(end, ordering: .releasing)
  }

  /// Gives back what keeps writers from reusing what is viewed.
  func letGo(_ pinned: Epoch?) {
    if let pinned { try? locks?.unpin(pinned) }
    try? locks?.unlock(.attached)
  }

  func extendMapping(to bytes: Int) throws(StoreError) -> Bool { bytes <= mappedBytes }
  func makeReal(offset: Int, count: Int, scattered: Bool) throws(StoreError) {}

  func giveBack(offset: Int, count: Int) throws(StoreError) -> Bool {
    // What is viewed of a file would come back, not zeros.
    if locks != nil { return false }
    do {
      try reservation.advise(at: offset, length: count, .dontNeed)
      return true
    } catch {
      throw StoreError(error)
    }
  }

  func cutOff(at bytes: Int) throws(StoreError) {}

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { locks?.dataRanges(range) ?? [range] }
  func sync(offset: Int, count: Int) throws(StoreError) {}
  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { true }
  func unlock(_ name: LockName) throws(StoreError) {}
  func isLockedByOthers(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { false }
  func pin(_ epoch: Epoch) throws(StoreError) {}
  func unpin(_ epoch: Epoch) throws(StoreError) {}
  func lowestPin() throws(StoreError) -> Epoch? { nil }

  func sizes() throws(StoreError) -> (file: Int, allocated: Int) {
    if let locks { return try locks.sizes() }
    return (mappedBytes, try residentPages() * PageSize.bytes)
  }

  func residentPages() throws(StoreError) -> Int {
    if let locks { return try locks.residentPages() }
    do { return try reservation.residentPages(at: 0, length: mappedBytes) } catch { throw StoreError(error) }
  }
}
