import Foundation
import MappedMemory
import SystemPackage

/// The contents of a store's file at one moment, which can be written as a file again and again.
struct Image {
  private let size: Int64
  /// The parts that are not holes.
  private let parts: [(offset: Int64, bytes: [UInt8])]

  init(of path: FilePath) throws {
    let file = try File(opening: path, access: .readOnly)
    let length = try file.status().size
    var found: [(offset: Int64, bytes: [UInt8])] = []
    for range in try file.dataRanges(from: 0, to: length) {
      let bytes = try file.read(count: range.count, at: range.lowerBound)
      // Pages of zeros become holes, which read the same.
      for start in stride(from: 0, to: bytes.count, by: 4096) {
        let page = bytes[start..<min(start + 4096, bytes.count)]
        if page.contains(where: { $0 != 0 }) { found.append((range.lowerBound + Int64(start), Array(page))) }
      }
    }
    size = length
    parts = found
  }

  var byteCount: Int { Int(size) }

  /// Writes the contents to `path`, in place of what is there.
  func lay(at path: FilePath) throws {
    try? File.remove(path)
    let file = try File(opening: path, access: .readWrite, create: true, exclusive: true)
    try file.setSize(size)
    for part in parts { try unsafe file.write(part.bytes.span.bytes, at: part.offset) }
  }
}
