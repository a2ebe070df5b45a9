import Foundation

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}

/// What the environment says about this run.
enum Run {
  /// `KVMAP_SEED`, or else one of its own for each run; always printed.
  static let seed: UInt64 = {
    let seed = number("KVMAP_SEED").map(UInt64.init) ?? UInt64.random(in: 0...999_999_999)
    print("seed of the comparison with gdbm: \(seed) (set KVMAP_SEED=\(seed) to repeat it)")
    return seed
  }()

  /// `KVMAP_SCALE`: how many times the usual amount of work is done.
  static let scale = max(1, number("KVMAP_SCALE") ?? 1)

  private static func number(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init)
  }
}
