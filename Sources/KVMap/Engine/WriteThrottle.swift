/// Tells a writer when to ask for a checkpoint, and when to wait for one.
///
/// Kept with the write lock.
struct WriteThrottle {
  /// The length of the log since the last checkpoint when one was last asked for.
  var lengthWhenAsked: UInt64 = .max
  /// The length of the log since the last checkpoint when the write lock was taken.
  var lengthAtStart: UInt64 = 0
  private var looks: UInt64 = 0
  private var isShort = false

  /// The lengths of the log since the last checkpoint at which nothing is looked at: less than the
  /// least, and a little more than when nothing was due.
  private var quiet: Range<UInt64> = 0..<leastLookedAt
  private static let leastLookedAt: UInt64 = 64 << 10
  private static let betweenLooks: UInt64 = 8 << 10

  @inline(__always)
  func isTooSoon(_ length: UInt64) -> Bool { quiet.contains(length) }

  mutating func noteNothingDue(at length: UInt64) {
    // Corrupt counters must not overflow.
    if length < Layout.largestFile { quiet = length..<length + Self.betweenLooks }
  }

  /// A checkpoint begins: what was asked for is done.
  mutating func reset() {
    lengthWhenAsked = .max
    isShort = false
  }

  /// The last answer of `look`, which is called in one of 32 calls.
  mutating func isShortOfSpace(_ look: () -> Bool) -> Bool {
    looks &+= 1
    if looks % 32 == 0 { isShort = look() }
    return isShort
  }

  // MARK: Pauses

  /// A commit pauses for one millisecond, plus one for each time it has written this much. The
  /// pause is multiplied, the further writing has got ahead of the disk.
  private static let bytesPerMillisecond: UInt64 = 16 << 10
  /// The largest factor: a checkpoint that never ends must not stop writing.
  private static let mostTimes: UInt64 = 16
  private static let longestPause: UInt64 = 10_000

  /// For how many milliseconds to pause after writing up to `length`.
  ///
  /// - Parameter factor: how far writing is ahead of the disk, in quarters of what makes a
  ///   checkpoint due.
  func milliseconds(for length: UInt64, times factor: UInt64) -> Int {
    guard length > lengthAtStart else { return 0 }
    let written = length - lengthAtStart
    let pause = (1 + written / Self.bytesPerMillisecond) * min(factor, Self.mostTimes)
    return Int(min(pause, Self.longestPause))
  }
}
