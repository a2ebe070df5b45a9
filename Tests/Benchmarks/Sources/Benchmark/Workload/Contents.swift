/// What a contender must hold.
struct Contents {
  private let workload: Workload
  private var versions: [UInt64]
  /// No record has this version or a later one.
  private(set) var nextVersion: UInt64 = 1

  init(_ workload: Workload) {
    self.workload = workload
    versions = [UInt64](repeating: 0, count: workload.count)
  }

  /// The first of `count` versions that no record has had.
  mutating func newVersions(_ count: Int = 1) -> UInt64 {
    defer { nextVersion += UInt64(count) }
    return nextVersion
  }

  mutating func set(_ number: Int, version: UInt64) { versions[number] = version }

  /// The checksum that gets of these records, in this order, must have found.
  func fold(_ numbers: some Sequence<Int>) -> Fold {
    var fold = Fold()
    var value = workload.emptyValue
    for number in numbers { fold.add(checksum(number, &value)) }
    return fold
  }

  /// The checksum of a record's value. `value` is a buffer for it.
  func checksum(_ number: Int, _ value: inout [UInt8]) -> UInt64 {
    Workload.fill(&value, number, version: versions[number])
    return Bytes.checksum(value)
  }

  var keys: Tally {
    var tally = Tally()
    for number in 0..<workload.count { tally.add(key: workload.key(number)) }
    return tally
  }

  var records: Tally { tally(0..<workload.count) }

  /// The tally of some records, in any order.
  func tally(_ numbers: some Sequence<Int>) -> Tally {
    var tally = Tally()
    var value = workload.emptyValue
    for number in numbers {
      Workload.fill(&value, number, version: versions[number])
      tally.add(key: workload.key(number), value: value)
    }
    return tally
  }
}

/// Checksums of values in the order in which they were read.
struct Fold: Equatable {
  private var sum: UInt64 = 0

  @inline(__always)
  mutating func add(_ checksum: UInt64) { sum = sum &* 0x9E37_79B9_7F4A_7C15 &+ checksum }
}

/// Number and checksum of records that come in any order.
struct Tally: Equatable {
  private(set) var count = 0
  private var sum: UInt64 = 0

  @inline(__always)
  mutating func add(key: UnsafeRawBufferPointer) {
    count += 1
    sum &+= unsafe Bytes.checksum(key)
  }

  @inline(__always)
  mutating func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    count += 1
    let (key, value) = unsafe (Bytes.checksum(key), Bytes.checksum(value))
    sum &+= (key ^ (value << 32 | value >> 32)) &* 0x9E37_79B9_7F4A_7C15
  }

  @inline(__always)
  mutating func add(key: [UInt8]) { unsafe key.withUnsafeBytes { unsafe add(key: $0) } }

  @inline(__always)
  mutating func add(key: [UInt8], value: [UInt8]) {
    unsafe key.withUnsafeBytes { key in unsafe value.withUnsafeBytes { unsafe add(key: key, value: $0) } }
  }
}
