@testable import KVMap

/// Which pages of a file surely have disk space. On a full disk, a store into another page may
/// end in a signal.
struct DiskSpace {
  private var pages = [Bool](repeating: false, count: PagedMemory.pageCount)

  subscript(page: Int) -> Bool {
    get { pages[page] }
    set { pages[page] = newValue }
  }

  /// Applies to whole pages: a page that the range touches is in it.
  mutating func set(_ first: Int, _ end: Int, _ isAllocated: Bool) {
    for page in first / Layout.pageBytes..<(end + Layout.pageBytes - 1) / Layout.pageBytes {
      pages[page] = isAllocated
    }
  }

  /// Copies a range from another one.
  mutating func take(_ first: Int, _ end: Int, from other: DiskSpace) {
    for page in first / Layout.pageBytes..<(end + Layout.pageBytes - 1) / Layout.pageBytes {
      pages[page] = other.pages[page]
    }
  }

  /// A page of the range that has no disk space.
  func missing(_ offset: Int, _ count: Int) -> Int? {
    (offset / Layout.pageBytes...(offset + count - 1) / Layout.pageBytes).first { !pages[$0] }
  }
}
