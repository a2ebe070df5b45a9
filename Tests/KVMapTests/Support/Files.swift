import Foundation
import MappedMemory
import SystemPackage

/// `count` bytes, which differ for each `stamp`.
func patterned(_ count: Int, _ stamp: UInt64) -> [UInt8] {
  var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: stamp &* 31), count: count)
  for index in 0..<min(8, count) { bytes[index] = UInt8(truncatingIfNeeded: stamp >> UInt64(8 * index)) }
  if count > 16 { bytes[count - 1] = UInt8(truncatingIfNeeded: stamp &* 7) }
  return bytes
}

func contents(_ path: FilePath) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path.string)) }

func write(_ data: Data, to path: FilePath) throws { try data.write(to: URL(fileURLWithPath: path.string)) }

/// Changes bytes of a file in place.
func overwrite(_ path: FilePath, at offset: Int, with bytes: [UInt8]) throws {
  let file = try File(opening: path, access: .readWrite)
  try unsafe file.write(bytes.span.bytes, at: Int64(offset))
}

func flip(_ path: FilePath, at offset: Int, mask: UInt8 = 1) throws {
  let file = try File(opening: path, access: .readOnly)
  let byte = try file.read(count: 1, at: Int64(offset))
  try overwrite(path, at: offset, with: [byte[0] ^ mask])
}
