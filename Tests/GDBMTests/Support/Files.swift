import Foundation
import SystemPackage

/// All bytes of a file.
func contents(_ path: FilePath) throws -> [UInt8] { Array(try data(path)) }

/// All bytes of a file, for fast comparison.
func data(_ path: FilePath) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path.string)) }

func write(_ bytes: [UInt8], to path: FilePath) throws { try write(Data(bytes), to: path) }

func write(_ bytes: Data, to path: FilePath) throws {
  try bytes.write(to: URL(fileURLWithPath: path.string))
}

/// Bytes for a message: as text if they are text, shortened.
func show(_ bytes: [UInt8]?) -> String {
  guard let bytes else { return "nothing" }
  let start = bytes.prefix(24)
  let isText = start.allSatisfy { (0x20..<0x7f).contains($0) }
  let shown =
    isText
    ? "\"\(String(decoding: start, as: UTF8.self))\""
    : start.map { String($0, radix: 16) }.joined(separator: " ")
  return bytes.count > 24 ? "\(shown)… (\(bytes.count) bytes, hash \(bytes.hashValue))" : shown
}
