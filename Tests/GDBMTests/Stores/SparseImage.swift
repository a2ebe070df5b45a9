import SystemPackage

/// A file with holes as a small file without: only the bytes that are not zero.
///
/// It has the text `KVMSPARS`, the file's length as 8 bytes, and then parts: the offset as 8
/// bytes, the number of bytes as 4, and the bytes. All numbers are little-endian.
struct SparseImage: Equatable {
  var length: UInt64
  var runs: [(offset: UInt64, bytes: [UInt8])]

  private static let magic = Array("KVMSPARS".utf8)
  /// A line of so many zeros becomes a hole.
  private static let lineBytes = 32

  struct Malformed: Error {}

  static func == (left: SparseImage, right: SparseImage) -> Bool {
    left.length == right.length && left.runs.elementsEqual(right.runs) { $0 == $1 }
  }

  /// The image of a file's bytes.
  init(of bytes: [UInt8]) {
    length = UInt64(bytes.count)
    runs = []
    var run: Range<Int>?
    for start in stride(from: 0, to: bytes.count, by: Self.lineBytes) {
      let line = start..<min(start + Self.lineBytes, bytes.count)
      if bytes[line].contains(where: { $0 != 0 }) {
        run = (run?.lowerBound ?? start)..<line.upperBound
      } else if let ended = run {
        runs.append((UInt64(ended.lowerBound), Array(bytes[ended])))
        run = nil
      }
    }
    if let run { runs.append((UInt64(run.lowerBound), Array(bytes[run]))) }
  }

  /// Reads an image.
  init(encoded: [UInt8]) throws {
    var rest = encoded[...]
    guard rest.starts(with: Self.magic) else { throw Malformed() }
    rest.removeFirst(Self.magic.count)
    length = try Self.number(8, &rest)
    runs = []
    while !rest.isEmpty {
      let offset = try Self.number(8, &rest)
      let count = Int(try Self.number(4, &rest))
      guard count <= rest.count, offset + UInt64(count) <= length else { throw Malformed() }
      runs.append((offset, Array(rest.prefix(count))))
      rest.removeFirst(count)
    }
  }

  private static func number(_ count: Int, _ rest: inout ArraySlice<UInt8>) throws -> UInt64 {
    guard rest.count >= count else { throw Malformed() }
    let bytes = rest.prefix(count)
    rest.removeFirst(count)
    return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  var encoded: [UInt8] {
    var result = Self.magic
    func append(_ number: UInt64, _ count: Int) {
      for index in 0..<count { result.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index))) }
    }
    append(length, 8)
    for run in runs {
      append(run.offset, 8)
      append(UInt64(run.bytes.count), 4)
      result += run.bytes
    }
    return result
  }

  /// Makes the file, with holes.
  func restore(to path: FilePath) throws {
    let file = try FileDescriptor.open(
      path, .writeOnly, options: [.create, .exclusiveCreate], permissions: .ownerReadWrite)
    try file.closeAfter {
      try file.resize(to: Int64(length))
      for run in runs { try file.writeAll(toAbsoluteOffset: Int64(run.offset), run.bytes) }
    }
  }
}
