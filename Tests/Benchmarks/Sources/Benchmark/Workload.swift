/// Keys, orders and values: the same for all contenders.
struct Workload {
  static let keyBytes = 16
  static let valueBytes = 100
  private static let seed: UInt64 = 0x6B76_6D61_70

  let count: Int

  /// Record numbers in a random order; each phase has its own.
  func order(_ phase: UInt64) -> [Int] {
    var generator = SeededGenerator(seed: Self.seed &+ phase &* 0x1234_5678_9ABC_DEF1)
    var order = Array(0..<count)
    order.shuffle(using: &generator)
    return order
  }

  /// The key of a record; from `count` on those that are never stored.
  func key(_ number: Int) -> [UInt8] {
    var generator = SeededGenerator(seed: Self.seed &+ UInt64(number) &* 2)
    var key = [UInt8](repeating: 0, count: Self.keyBytes)
    Bytes.store(generator.next(), in: &key, at: 0)
    Bytes.store(generator.next(), in: &key, at: 8)
    return key
  }

  /// Makes `buffer` the value of a record after it was written `version` times.
  @inline(__always)
  static func fill(_ buffer: inout [UInt8], _ number: Int, version: UInt64) {
    Bytes.store(UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15, in: &buffer, at: 0)
    Bytes.store(version &+ 1, in: &buffer, at: 48)
    Bytes.store(~UInt64(truncatingIfNeeded: number), in: &buffer, at: 88)
  }

  static var emptyValue: [UInt8] { (0..<valueBytes).map { UInt8($0) } }

  /// The sum of the checksums of all values.
  func sum(version: UInt64) -> UInt64 {
    var value = Self.emptyValue
    return (0..<count).reduce(0) { sum, number in
      Self.fill(&value, number, version: version)
      return unsafe sum &+ value.withUnsafeBytes { unsafe Bytes.checksum($0) }
    }
  }
}

enum Bytes {
  @inline(__always)
  static func store(_ number: UInt64, in array: inout [UInt8], at offset: Int) {
    unsafe array.withUnsafeMutableBytes {
      unsafe $0.storeBytes(of: number, toByteOffset: offset, as: UInt64.self)
    }
  }

  /// Touches all bytes and depends on their order; some nanoseconds for 100 bytes.
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
}
