@testable import KVMap

/// Which pages of a file surely have disk space: a store into another one may end in a
/// signal when the disk is full.
struct DiskSpace {
  private var pages = [Bool](repeating: false, count: PagedMemory.pageCount)

  subscript(page: Int) -> Bool {
    get { pages[page] }
    set { pages[page] = newValue }
  }

  /// Whole pages only: a part of one has none without the rest.
  mutating func set(_ first: Int, _ end: Int, _ isReal: Bool) {
    for page in first / Layout.pageBytes..<(end + Layout.pageBytes - 1) / Layout.pageBytes {
      pages[page] = isReal
    }
  }

  /// Takes over from another what it says of a range.
  mutating func take(_ first: Int, _ end: Int, from other: DiskSpace) {
    for page in first / Layout.pageBytes..<(end + Layout.pageBytes - 1) / Layout.pageBytes {
      pages[page] = other.pages[page]
    }
  }

  /// A page of the range that has none.
  func missing(_ offset: Int, _ count: Int) -> Int? {
    (offset / Layout.pageBytes...(offset + count - 1) / Layout.pageBytes).first { !pages[$0] }
  }
}
