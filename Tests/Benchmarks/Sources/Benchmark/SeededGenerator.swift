/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers for the same seed, on every host.
///
/// Needs no other file: the benchmarks have a link to this one.
package struct SeededGenerator: RandomNumberGenerator {
  @usableFromInline var state: UInt64

  @inlinable package init(seed: UInt64) { state = seed }

  /// One of many sequences for one seed.
  @inlinable package init(seed: UInt64, _ parts: Int...) {
    var mixed = seed
    for part in parts {
      var generator = SeededGenerator(
        seed: mixed ^ UInt64(truncatingIfNeeded: part &+ 1) &* 0xd134_2543_de82_ef95)
      mixed = generator.next()
    }
    state = mixed
  }

  @inlinable package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to the one before `limit`.
  @inlinable package mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

  @inlinable package mutating func number(_ range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &self)
  }

  /// True as often as `percent` of 100 times.
  @inlinable package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  /// True once in `count` times.
  @inlinable package mutating func once(in count: Int) -> Bool { below(count) == 0 }

  @inlinable package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}
