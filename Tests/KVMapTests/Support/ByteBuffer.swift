import TestSupport

@testable import KVMap

/// Memory that a test reads and writes like a mapped file.
@safe
final class ByteBuffer {
  let bytes: MappedBytes
  let count: Int

  init(count: Int) {
    self.count = count
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    unsafe bytes = MappedBytes(base: memory, count: count)
  }

  deinit { unsafe bytes.base.deallocate() }

  func array(_ range: Range<Int>) -> [UInt8] { bytes.array(range.lowerBound, count: range.count) }
}
