import Glibc
import MappedMemory
import SystemPackage

@testable import KVMap

/// The bytes of a store's file, which can be damaged, written to a file and compared.
///
/// Only pages that are in use are written; the rest of the file is holes.
@safe
final class Image {
  let bytes: MappedBytes
  /// The length of the file, which may be less than what was read.
  var length: Int
  private let capacity: Int
  /// The numbers of the pages in use, in order.
  private(set) var pages: [Int] = []

  // SEEK_DATA and SEEK_HOLE, which the C library's Swift module lacks.
  private static let seekData: Int32 = 3
  private static let seekHole: Int32 = 4

  static let pageBytes = Layout.pageBytes

  init(_ path: FilePath) throws {
    let file = try File(opening: path, access: .readOnly)
    length = Int(try file.status().size)
    capacity = (length + Self.pageBytes - 1) & ~(Self.pageBytes - 1)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: Self.pageBytes)
    unsafe memset(memory, 0, capacity)
    unsafe bytes = MappedBytes(base: memory, count: capacity)
    for range in try file.dataRanges(from: 0, to: Int64(length)) {
      let data = try file.read(count: range.count, at: range.lowerBound)
      for (index, byte) in data.enumerated() where byte != 0 {
        bytes.store8(byte, Int(range.lowerBound) + index)
      }
    }
    pages = (0..<capacity / Self.pageBytes).filter { !isZero($0) }
  }

  deinit { unsafe bytes.base.deallocate() }

  func isZero(_ page: Int) -> Bool {
    let start = page * Self.pageBytes
    return (0..<Self.pageBytes / 8).allSatisfy { bytes.load64(start + 8 * $0) == 0 }
  }

  /// Notes that a page is in use, so that it is written.
  func use(_ page: Int) {
    if !pages.contains(page) { pages.append(page) }
  }

  func flip(_ bit: Int, of offset: Int) { bytes.store8(bytes.load8(offset) ^ 1 << UInt8(bit), offset) }

  /// The bytes of a page.
  func page(_ number: Int) -> [UInt8] {
    bytes.array(number * Self.pageBytes, count: Self.pageBytes)
  }

  func setPage(_ number: Int, _ content: [UInt8]) {
    unsafe bytes.copy(content.span.bytes, to: number * Self.pageBytes)
    use(number)
  }

  /// A state of the image that can be restored.
  struct Saved {
    fileprivate let length: Int
    fileprivate let pages: [Int: [UInt8]]
  }

  func save() -> Saved {
    Saved(length: length, pages: Dictionary(uniqueKeysWithValues: pages.map { ($0, page($0)) }))
  }

  func restore(_ saved: Saved) {
    length = saved.length
    for page in pages {
      if let content = saved.pages[page] {
        setPage(page, content)
      } else {
        bytes.zero(page * Self.pageBytes, count: Self.pageBytes)
      }
    }
    pages = saved.pages.keys.sorted()
  }

  // MARK: Files

  struct Failure: Error {
    let call: String
    let number = errno
  }

  static func makeEmptyFile(_ path: FilePath) throws {
    let descriptor = unsafe open(path.string, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { throw Failure(call: "open") }
    close(descriptor)
  }

  /// Writes this image to the file at `path`, in place of what is there.
  func write(to path: FilePath) throws {
    unsafe unlink(path.string)
    let descriptor = unsafe open(path.string, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { throw Failure(call: "open") }
    defer { close(descriptor) }
    guard ftruncate(descriptor, length) == 0 else { throw Failure(call: "ftruncate") }
    for page in pages {
      let start = page * Self.pageBytes
      let count = min(Self.pageBytes, length - start)
      if count <= 0 { continue }
      guard unsafe pwrite(descriptor, bytes.base + start, count, start) == count else {
        throw Failure(call: "pwrite")
      }
    }
  }

  /// The first byte in which the file at `path` differs; its length if only that differs; nil if
  /// nothing differs.
  func difference(from path: FilePath) throws -> Int? {
    let descriptor = unsafe open(path.string, O_RDONLY)
    guard descriptor >= 0 else { throw Failure(call: "open") }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw Failure(call: "fstat") }
    if status.st_size != length { return Int(status.st_size) }
    var known = Set(pages)
    var found = [UInt8](repeating: 0, count: Self.pageBytes)
    func compare(_ page: Int) throws -> Int? {
      let start = page * Self.pageBytes
      let count = min(Self.pageBytes, length - start)
      if count <= 0 { return nil }
      guard unsafe pread(descriptor, &found, count, start) == count else { throw Failure(call: "pread") }
      let isEqual = unsafe found.withUnsafeBytes {
        unsafe memcmp($0.baseAddress!, bytes.base + start, count) == 0
      }
      if isEqual { return nil }
      return start + (0..<count).first { bytes.load8(start + $0) != found[$0] }!
    }
    for page in pages { if let place = try compare(page) { return place } }
    // All other pages must be holes or zeros.
    var at = lseek(descriptor, 0, Self.seekData)
    while at >= 0, at < length {
      let end = lseek(descriptor, at, Self.seekHole)
      for page in at / Self.pageBytes..<(end + Self.pageBytes - 1) / Self.pageBytes
      where known.insert(page).inserted {
        if let place = try compare(page) { return place }
      }
      at = lseek(descriptor, end, Self.seekData)
    }
    return nil
  }
}
