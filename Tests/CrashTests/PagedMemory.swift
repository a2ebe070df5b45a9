import MappedMemory

@testable import KVMap

/// The memory of the largest simulated file. It knows which pages were written, so that only
/// those have to be copied or cleared.
final class PagedMemory {
  static let byteCount = 64 << 20
  static let pageCount = byteCount / Layout.pageBytes

  private let file: File
  private let reservation: Reservation
  let bytes: MappedBytes
  /// The numbers of the pages written since the last `forget`, each once.
  private(set) var written: [Int] = []
  private var isWritten = [Bool](repeating: false, count: PagedMemory.pageCount)

  init() throws {
    file = try File(inMemory: "simulation")
    try file.setSize(Int64(Self.byteCount))
    reservation = try Reservation(atLeast: Self.byteCount, preferring: Self.byteCount)
    try Self.place(file, reservation, 0..<Self.byteCount)
    unsafe bytes = MappedBytes(base: reservation.base, count: Self.byteCount)
  }

  private static func place(
    _ file: borrowing File, _ reservation: borrowing Reservation, _ range: Range<Int>
  ) throws(MappingError) {
    try reservation.place(
      file, fileOffset: Int64(range.lowerBound), at: range.lowerBound, length: range.count,
      protection: [.read, .write], sharing: .shared)
  }

  /// Maps a range at the same offset of a reservation.
  func place(_ reservation: borrowing Reservation, _ range: Range<Int>) throws(MappingError) {
    try Self.place(file, reservation, range)
  }

  /// Enters a range as written.
  func note(_ offset: Int, _ count: Int) {
    guard count > 0 else { return }
    for page in offset / Layout.pageBytes...(offset + count - 1) / Layout.pageBytes
    where !isWritten[page] {
      isWritten[page] = true
      written.append(page)
    }
  }

  func isWritten(page: Int) -> Bool { isWritten[page] }

  /// Writes bytes, unseen by observers of stores.
  func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
    guard let start = source.baseAddress else { return }
    unsafe (bytes.base + offset).copyMemory(from: start, byteCount: source.count)
    note(offset, source.count)
  }

  func write(page: Int, from other: PagedMemory) {
    let offset = page * Layout.pageBytes
    unsafe (bytes.base + offset).copyMemory(
      from: other.bytes.base + offset, byteCount: Layout.pageBytes)
  }

  /// Forgets which pages were written.
  func forget() {
    for page in written { isWritten[page] = false }
    written.removeAll(keepingCapacity: true)
  }

  /// Makes everything zero.
  func clear() {
    for page in written { zero(page: page) }
    forget()
  }

  func zero(page: Int) {
    let offset = page * Layout.pageBytes
    unsafe (bytes.base + offset).initializeMemory(
      as: UInt8.self, repeating: 0, count: Layout.pageBytes)
  }
}
