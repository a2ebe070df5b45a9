import MappedMemory
import SystemPackage

@testable import KVMap

/// A store whose memory and disk are apart: memory is private to the simulation,
/// and what reaches the disk is decided when a crash image is made.
///
/// All that happens to the memory is written to a trace, if there is one.
final class SimulatedBacking: Backing, @unchecked Sendable {
  // Sendable: a simulation runs on one thread.
  private let reservation: Reservation
  let bytes: MappedBytes
  private(set) var mappedBytes: Int
  /// Offsets of pages that ever held anything, in order.
  private(set) var written: Set<Int>
  let trace: Trace?

  static let largest = 64 << 20

  /// An empty file.
  init(trace: Trace?) throws {
    reservation = try Reservation(atLeast: Self.largest, preferring: Self.largest)
    unsafe bytes = MappedBytes(base: reservation.base)
    mappedBytes = 0
    written = []
    self.trace = trace
  }

  /// A private copy of a disk, `length` bytes of a file.
  init(_ disk: borrowing File, length: Int, written: Set<Int>, trace: Trace?) throws {
    reservation = try Reservation(atLeast: Self.largest, preferring: Self.largest)
    if length > 0 {
      try reservation.place(
        disk, fileOffset: 0, at: 0, length: length, protection: [.read, .write], sharing: .private)
    }
    unsafe bytes = MappedBytes(base: reservation.base)
    mappedBytes = length
    self.written = written.filter { $0 < length }
    self.trace = trace
  }

  var isShared: Bool { true }
  var isLost: Bool { false }

  func markWritten(_ pages: Set<Int>) { written.formUnion(pages.filter { $0 < mappedBytes }) }

  func noteStore(_ offset: Int, _ count: Int) {
    guard count > 0 else { return }
    var page = offset & ~4095
    while page < offset + count {
      written.insert(page)
      page += 4096
    }
    trace?.append(.store(offset: offset, bytes: bytes.array(offset, count: count)))
  }

  func grow(to bytes: Int) throws(StoreError) {
    if bytes <= mappedBytes { return }
    guard bytes <= Self.largest else { throw StoreError(.diskFull, "the simulated disk is full") }
    do {
      try reservation.placeAnonymous(
        at: mappedBytes, length: bytes - mappedBytes, protection: [.read, .write])
    } catch {
      throw StoreError(error)
    }
    mappedBytes = bytes
    trace?.append(.grow(to: bytes))
  }

  func extendMapping(to bytes: Int) throws(StoreError) -> Bool { bytes <= mappedBytes }

  func makeReal(offset: Int, count: Int, scattered: Bool) throws(StoreError) {
    // As the file does: log space is overwritten with zeros.
    if !scattered, written.contains(where: { $0 >= offset && $0 < offset + count }) {
      bytes.zero(offset, count: count)
    }
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] {
    written.filter { $0 + 4096 > range.lowerBound && $0 < range.upperBound }.sorted().map {
      max($0, range.lowerBound)..<min($0 + 4096, range.upperBound)
    }
  }

  func sync(offset: Int, count: Int) throws(StoreError) {
    trace?.append(.sync(first: offset & ~4095, end: (offset + count + 4095) & ~4095))
  }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { true }
  func unlock(_ name: LockName) throws(StoreError) {}
  func isLockedByOthers(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { false }
  func pin(_ epoch: Epoch) throws(StoreError) {}
  func unpin(_ epoch: Epoch) throws(StoreError) {}
  func lowestPin() throws(StoreError) -> Epoch? { nil }
  func sizes() throws(StoreError) -> (file: Int, allocated: Int, resident: Int) {
    (mappedBytes, mappedBytes, 0)
  }
}

/// What happened to a simulated file, in order.
final class Trace {
  enum Event {
    case store(offset: Int, bytes: [UInt8])
    case grow(to: Int)
    case sync(first: Int, end: Int)
    /// A commit is about to be made; its number counts from 1.
    case begun(Int)
    /// All commits up to this one were acknowledged as durable.
    case durable(Int)
  }

  private(set) var events: [Event] = []
  func append(_ event: Event) { events.append(event) }
}
