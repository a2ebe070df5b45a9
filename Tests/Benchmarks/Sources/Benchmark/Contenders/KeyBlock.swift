/// Keys in one piece of memory, for C interfaces that take pointers to many of them.
struct KeyBlock {
  private let bytes: [UInt8]
  private let counts: [Int]

  init(_ keys: [[UInt8]]) {
    bytes = Array(keys.joined())
    counts = keys.map(\.count)
  }

  func withPointers<R>(_ body: ([UnsafeRawBufferPointer]) throws -> R) rethrows -> R {
    try unsafe bytes.withUnsafeBytes { all in
      var start = 0
      return try unsafe body(
        counts.map { count in
          defer { start += count }
          return unsafe UnsafeRawBufferPointer(rebasing: all[start..<start + count])
        })
    }
  }
}
