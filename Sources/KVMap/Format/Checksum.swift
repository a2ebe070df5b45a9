// The checksum of records and pages, and the seed that keys it.

/// The secret of one store: 128 random bits chosen at its creation.
struct StoreSeed: Equatable, Sendable {
  var low: UInt64
  var high: UInt64
}

/// Checksums of records and pages, by folded 64 × 64 → 128 bit multiplication.
///
/// One multiplication mixes 16 bytes; its two halves are combined (the construction of wyhash,
/// https://github.com/wangyi-fudan/wyhash). The checksum finds damage, at the speed of the
/// memory. It is keyed by the store's seed and by the place of the bytes, so bytes copied from
/// elsewhere do not pass. It does not protect against somebody who can write the file.
enum Checksum {
  @inline(__always)
  static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  static let mix: (UInt64, UInt64, UInt64) = (
    0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3
  )

  /// The 64-bit checksum of `count` bytes at `offset`, keyed by `seed` and `place`.
  @inline(__always)
  static func compute(
    _ bytes: MappedBytes, _ offset: Int, count: Int, seed: StoreSeed, place: UInt64
  ) -> UInt64 {
    var state = fold(seed.low ^ place, seed.high ^ mix.0)
    let k0 = seed.high ^ mix.1
    let k1 = seed.low ^ mix.2
    var at = offset
    var left = count
    if left > 256 {
      // Four lanes keep the multiplier busy; they are combined below.
      var a = state
      var b = state ^ mix.0
      var c = state ^ mix.1
      var d = state ^ mix.2
      repeat {
        a = fold(bytes.load64(at) ^ k0, bytes.load64(at &+ 8) ^ a)
        b = fold(bytes.load64(at &+ 16) ^ k0, bytes.load64(at &+ 24) ^ b)
        c = fold(bytes.load64(at &+ 32) ^ k1, bytes.load64(at &+ 40) ^ c)
        d = fold(bytes.load64(at &+ 48) ^ k1, bytes.load64(at &+ 56) ^ d)
        at &+= 64
        left &-= 64
      } while left > 64
      state = fold(a ^ mix.0, b ^ k1) ^ fold(c ^ mix.1, d ^ k0)
    }
    while left >= 16 {
      state = fold(bytes.load64(at) ^ k0, bytes.load64(at &+ 8) ^ state)
      at &+= 16
      left &-= 16
    }
    var first: UInt64 = 0
    var second: UInt64 = 0
    if left >= 8 {
      first = bytes.load64(at)
      at &+= 8
      left &-= 8
      second = tail(bytes, at, left)
    } else {
      first = tail(bytes, at, left)
    }
    state = fold(first ^ k1, second ^ state)
    return fold(state ^ k0, UInt64(truncatingIfNeeded: count) ^ mix.1)
  }

  /// The last 0 to 7 bytes as a number. Reads nothing past them.
  @inline(__always)
  private static func tail(_ bytes: MappedBytes, _ offset: Int, _ count: Int) -> UInt64 {
    if count >= 4 {
      let low = UInt64(bytes.load32(offset))
      let high = UInt64(bytes.load32(offset &+ count &- 4))
      return low | high << 32
    }
    if count == 0 { return 0 }
    let first = UInt64(bytes.load8(offset))
    let middle = UInt64(bytes.load8(offset &+ count / 2))
    let last = UInt64(bytes.load8(offset &+ count &- 1))
    return first | middle << 8 | last << 16
  }

  /// The chain after a record with this checksum. The chain runs through all records of the log.
  @inline(__always)
  static func chain(_ previous: UInt64, _ checksum: UInt32) -> UInt64 {
    fold(previous ^ mix.0, UInt64(checksum) ^ mix.2)
  }
}
