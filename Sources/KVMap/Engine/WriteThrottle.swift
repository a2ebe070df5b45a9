/// What tells a writer when to ask for a checkpoint, and when to wait for one.
///
/// Kept with the write lock.
struct WriteThrottle {
  /// The length of log at which a checkpoint was asked for last.
  var lengthWhenAsked: UInt64 = .max
  /// The length of log since the last checkpoint when the write lock was taken.
  var lengthAtStart: UInt64 = 0
  private var looks: UInt64 = 0
  private var isShort = false

  /// A checkpoint begins: what was asked for is done.
  mutating func reset() {
    lengthWhenAsked = .max
    isShort = false
  }

  /// The last answer of `look`, which is asked now and then.
  mutating func isShortOfSpace(_ look: () -> Bool) -> Bool {
    looks &+= 1
    if looks % 32 == 0 { isShort = look() }
    return isShort
  }

  // MARK: Pauses

  /// A commit that has written this much pauses for a millisecond, or for several, the
  /// further writing has got ahead of the disk.
  private static let bytesPerMillisecond: UInt64 = 16 << 10
  /// A checkpoint that never ends does not bring writing to a standstill.
  private static let mostTimes: UInt64 = 16
  private static let longestPause: UInt64 = 10_000

  /// For how long to pause after writing up to `length`: `factor` times what is due.
  func milliseconds(for length: UInt64, times factor: UInt64) -> Int {
    guard length > lengthAtStart else { return 0 }
    let written = length - lengthAtStart
    let pause = (1 + written / Self.bytesPerMillisecond) * min(factor, Self.mostTimes)
    return Int(min(pause, Self.longestPause))
  }
}
