import KVMap

/// What `kvmap bench` puts into its store: keys, and how long their values are.
struct BenchRecords {
  private(set) var keys: [[UInt8]] = []
  /// The length of each key's value.
  private(set) var sizes: [Int] = []
  /// Bytes of all keys, and of all values.
  private(set) var keyBytes = 0
  private(set) var valueBytes = 0

  /// What the values are parts of: bytes that do not compress.
  private var pool: [UInt8] = []

  var count: Int { keys.count }
  var averageKey: Int { count == 0 ? 0 : keyBytes / count }
  var averageValue: Int { count == 0 ? 0 : valueBytes / count }

  func value(_ index: Int) -> ArraySlice<UInt8> { pool[..<sizes[index]] }

  /// Keys of 16 bytes, and values of one length.
  init(count: Int, valueBytes: Int) {
    keys.reserveCapacity(count)
    sizes.reserveCapacity(count)
    for number in 0..<count {
      // Each number has its own; neighbours have nothing in common.
      let digits = String(UInt64(number) &* 0x9E37_79B9_7F4A_7C15, radix: 16)
      append(Array((String(repeating: "0", count: 16 - digits.count) + digits).utf8), size: valueBytes)
    }
    fillPool()
  }

  /// The first keys of a store, and the lengths of their values.
  ///
  /// - Parameters:
  ///   - limit: at most so many records.
  ///   - byteLimit: no more after so many bytes.
  init(of store: Store, limit: Int, byteLimit: Int) throws {
    do {
      try store.forEach { key, value in
        if count == limit || keyBytes + valueBytes >= byteLimit { throw Enough() }
        append(try [UInt8](copying: key), size: value.byteCount)
      }
    } catch is Enough {}
    fillPool()
  }

  private struct Enough: Error {}

  private mutating func append(_ key: [UInt8], size: Int) {
    keys.append(key)
    sizes.append(size)
    keyBytes += key.count
    valueBytes += size
  }

  private mutating func fillPool() {
    let count = sizes.max() ?? 0
    var generator = BenchGenerator()
    pool.reserveCapacity(count + 8)
    while pool.count < count {
      let word = generator.next()
      for shift in stride(from: 0, to: 64, by: 8) {
        pool.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
  }
}

/// SplitMix64, the same numbers in every run.
struct BenchGenerator: RandomNumberGenerator {
  private var state: UInt64 = 0x6B76_6D61_70

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
