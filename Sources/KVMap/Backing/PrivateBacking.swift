import MappedMemory
import Synchronization
import SystemPackage

/// A private copy-on-write view of a store in a file: nobody else sees what is changed, and it
/// vanishes with the handle.
///
/// Changed pages exist only here and cannot be mapped a second time. If the view outgrows its
/// address space, it is copied to a larger one. That happens only in `reserveAddressSpace`, when
/// no caller holds an address.
final class PrivateBacking: UnsharedBacking {
  let mapping: StoreMapping
  private let file: File
  /// How many bytes of the file are viewed; what follows them is memory.
  private let viewedBytes: Int
  /// The file that is viewed, for its locks and sizes; kept so that its pins last.
  private let original: FileBacking
  private let isTight: Bool
  /// By how many bytes the view last failed to grow; 0 if it never did.
  private let missing = Atomic<Int>(0)

  /// A view of the first `count` bytes of a file, whose contents are pinned through `original`.
  ///
  /// - Parameter room: by how many bytes the view can grow without being copied, at least.
  init(
    viewing file: consuming File, count: Int, original: FileBacking, room: Int = PrivateBacking.leastRoom,
    _ addressSpace: AddressSpace = .standard
  ) throws(Store.Error) {
    viewedBytes = count
    self.original = original
    isTight = addressSpace.isTight
    var space = addressSpace
    space.room = Self.usualRoom
    mapping = try StoreMapping(forMapping: count + room, space)
    self.file = file
    guard try extendMapping(upTo: count) else { throw outgrown(count) }
  }

  private static let usualRoom = 64 << 20
  static let leastRoom = 2 << 20

  /// How much room to ask for after a view that had `room` was outgrown before anybody relied on
  /// it; nil if `error` is about something else.
  func room(after error: Store.Error, _ room: Int) -> Int? {
    let missing = missing.load(ordering: .relaxed)
    guard error.code == .notEnoughMemory, missing > 0, missing <= Int(Layout.largestFile) else { return nil }
    return 2 * room + missing
  }

  func grow(to bytes: Int) throws(Store.Error) {
    if bytes <= mappedBytes { return }
    let step = isTight ? 0 : max(1 << 20, mappedBytes / 16)
    let end = (max(bytes, mappedBytes + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes
    if try extendMapping(upTo: end) { return }
    guard try extendMapping(upTo: bytes) else { throw outgrown(bytes) }
  }

  private func outgrown(_ bytes: Int) -> Store.Error {
    missing.store(bytes - mappedBytes, ordering: .relaxed)
    return Store.Error(
      .notEnoughMemory,
      "the private view has address space for \(mapping.capacity) bytes and needs \(bytes); \(MemoryLimits.advice)"
    )
  }

  private func extendMapping(upTo end: Int) throws(Store.Error) -> Bool {
    guard end <= mapping.capacity else { return false }
    return try mapping.extend(to: end, available: { end }) { reservation, range throws(MappingError) in
      try place(reservation, range)
    }
  }

  private func place(_ reservation: borrowing Reservation, _ range: Range<Int>) throws(MappingError) {
    let viewed = range.clamped(to: 0..<viewedBytes)
    if !viewed.isEmpty {
      try reservation.place(
        file, fileOffset: Int64(viewed.lowerBound), at: viewed.lowerBound, length: viewed.count,
        protection: [.read, .write], sharing: .private,
        // Otherwise the system refuses a view that memory could not hold if all of it were
        // changed.
        options: .noReserve)
      try reservation.hint(at: viewed.lowerBound, length: viewed.count, .random)
    }
    let beyond = range.clamped(to: viewedBytes..<max(viewedBytes, range.upperBound))
    if !beyond.isEmpty {
      try reservation.placeAnonymous(
        at: beyond.lowerBound, length: beyond.count, protection: [.read, .write], options: .noReserve)
    }
  }

  func reserveAddressSpace(by bytes: Int) throws(Store.Error) {
    let slack = isTight ? 1 << 20 : (8 << 20) + mappedBytes / 8
    let needed = mappedBytes + bytes + slack
    if needed <= mapping.capacity { return }
    try mapping.copy(toFit: needed) { reservation, range throws(MappingError) in
      try place(reservation, range)
    }
    // Readers inside a call look at the old copy, which is no longer written; now they look
    // again.
    SharedState(bytes: fixed, start: SharedState.publicOffset).raise(.generation, by: 1)
  }

  /// Releases the lock and the pin that keep writers from reusing what is viewed.
  func letGo(_ pinned: Epoch?) {
    if let pinned { try? original.locks.unpin(pinned) }
    try? original.locks.unlock(.attached)
  }

  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool { bytes <= mappedBytes }
  func allocate(offset: Int, count: Int) throws(Store.Error) {}

  /// Not possible: the range would show the file again, not zeros.
  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool { false }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { original.dataRanges(range) }
  func sizes() throws(Store.Error) -> (file: Int, allocated: Int) { try original.sizes() }
  func residentPages() throws(Store.Error) -> Int? { try original.residentPages() }
}
