/// The 64-bit hash of a key, and the numbers that the index takes from it.
///
/// The hash is SipHash-1-3 (Aumasson and Bernstein, https://131002.net/siphash/), keyed by the
/// store's random seed: without the seed nobody can construct keys that collide. Hashes that
/// multiply and rotate do not give this; for them there are keys that collide under every seed.
struct KeyHash: Equatable, Sendable {
  var bits: UInt64

  /// The low 16 bits, which a slot holds.
  var tag: UInt16 { UInt16(truncatingIfNeeded: bits) }

  /// The two lines (1 to 63) of a bucket page that may hold the key; never equal.
  ///
  /// The bits are mixed first: the top bits choose the page, so in a deep directory they are the
  /// same for all keys of one page.
  var lines: (first: Int, second: Int) {
    let mixed = bits &* 0x9e37_79b9_7f4a_7c15
    let first = Int(((mixed >> 52) &* UInt64(Bucket.lineCount)) >> 12)
    let step = Int((((mixed >> 40) & 0xfff) &* UInt64(Bucket.lineCount - 1)) >> 12)
    var second = first + 1 + step
    if second >= Bucket.lineCount { second -= Bucket.lineCount }
    return (first + 1, second + 1)
  }

  /// The index of the key's entry in a directory page of `depth`: the 8 bits after the first
  /// `depth`.
  @inline(__always)
  func entry(depth: Int) -> Int {
    Int(truncatingIfNeeded: (bits << UInt64(truncatingIfNeeded: depth)) >> 56)
  }

  /// Whether the key goes to the upper half when a page of `depth` splits: the bit after the
  /// first `depth`.
  @inline(__always)
  func bit(depth: Int) -> Bool {
    (bits << UInt64(truncatingIfNeeded: depth)) >> 63 != 0
  }

  init(bits: UInt64) { self.bits = bits }

  @inline(__always)
  init(_ key: RawSpan, seed: StoreSeed) {
    #if CRASH_SIMULATION
      if let given = KeyHashOverride.current {
        self = given
        return
      }
    #endif
    bits = unsafe key.withUnsafeBytes { unsafe KeyHash.sipHash13($0, seed: seed) }
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 {
    value &<< by | value &>> (64 &- by)
  }

  @inline(__always)
  private static func round(
    _ v0: inout UInt64, _ v1: inout UInt64, _ v2: inout UInt64, _ v3: inout UInt64
  ) {
    v0 &+= v1
    v1 = rotate(v1, 13) ^ v0
    v0 = rotate(v0, 32)
    v2 &+= v3
    v3 = rotate(v3, 16) ^ v2
    v0 &+= v3
    v3 = rotate(v3, 21) ^ v0
    v2 &+= v1
    v1 = rotate(v1, 17) ^ v2
    v2 = rotate(v2, 32)
  }

  private static func sipHash13(_ bytes: UnsafeRawBufferPointer, seed: StoreSeed) -> UInt64 {
    var v0 = seed.low ^ 0x736f_6d65_7073_6575
    var v1 = seed.high ^ 0x646f_7261_6e64_6f6d
    var v2 = seed.low ^ 0x6c79_6765_6e65_7261
    var v3 = seed.high ^ 0x7465_6462_7974_6573
    let count = bytes.count
    let whole = count & ~7
    var at = 0
    while at < whole {
      let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      v3 ^= word
      round(&v0, &v1, &v2, &v3)
      v0 ^= word
      at &+= 8
    }
    var last = UInt64(truncatingIfNeeded: count) << 56
    while at < count {
      last |= unsafe UInt64(bytes[at]) << UInt64(truncatingIfNeeded: 8 &* (at &- whole))
      at &+= 1
    }
    v3 ^= last
    round(&v0, &v1, &v2, &v3)
    v0 ^= last
    v2 ^= 0xff
    round(&v0, &v1, &v2, &v3)
    round(&v0, &v1, &v2, &v3)
    round(&v0, &v1, &v2, &v3)
    return v0 ^ v1 ^ v2 ^ v3
  }
}

#if CRASH_SIMULATION
  /// One hash for all keys of a task, for tests: nobody can construct keys with equal hashes.
  enum KeyHashOverride {
    @TaskLocal static var current: KeyHash?

    static func with<R>(_ bits: UInt64, _ body: () throws -> R) rethrows -> R {
      try $current.withValue(KeyHash(bits: bits), operation: body)
    }
  }
#endif
