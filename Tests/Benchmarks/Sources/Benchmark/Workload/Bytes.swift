enum Bytes {
  @inline(__always)
  static func store(_ number: UInt64, in array: inout [UInt8], at offset: Int) {
    unsafe array.withUnsafeMutableBytes {
      unsafe $0.storeBytes(of: number, toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Depends on all bytes and their order. Takes some nanoseconds for 100 bytes.
  @inline(__always)
  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var sum = UInt64(truncatingIfNeeded: bytes.count)
    var at = 0
    while at &+ 8 <= bytes.count {
      sum = (sum << 5 | sum >> 59) &+ (unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at &+= 8
    }
    while at < bytes.count {
      sum = (sum << 5 | sum >> 59) &+ UInt64(unsafe bytes[at])
      at &+= 1
    }
    return sum
  }

  @inline(__always)
  static func checksum(_ start: UnsafeRawPointer?, _ count: Int) -> UInt64 {
    unsafe checksum(UnsafeRawBufferPointer(start: start, count: count))
  }

  @inline(__always)
  static func checksum(_ bytes: [UInt8]) -> UInt64 {
    unsafe bytes.withUnsafeBytes { unsafe checksum($0) }
  }

  /// The checksum of a copy, for contenders that return no copy.
  @inline(__always)
  static func checksumOfCopy(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    checksum(unsafe [UInt8](bytes))
  }
}
