/// The parts of a file that a process has written since it last asked: what a sync will mostly find
/// dirty. Only a hint: what is missing here costs time, nothing else.
final class WrittenRanges: @unchecked Sendable {
  // Sendable: `ranges` is accessed only with `lock` held.
  private let lock = Lock()
  private var ranges: [Range<Int>] = []

  /// Ranges are merged over gaps of less than this.
  private static let smallGap = 512 << 10
  /// With more ranges than this, all are merged into one.
  private static let most = 4_096

  func add(_ range: Range<Int>) {
    lock.withLock {
      if let last = ranges.last, last.upperBound == range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
      } else {
        ranges.append(range)
      }
      if ranges.count > Self.most { ranges = Self.merged(ranges, over: .max) }
    }
  }

  /// Returns what was added since the last call, in the order of the file.
  func take() -> [Range<Int>] {
    let taken = lock.withLock {
      defer { ranges = [] }
      return ranges
    }
    return Self.merged(taken, over: Self.smallGap)
  }

  private static func merged(_ ranges: [Range<Int>], over gap: Int) -> [Range<Int>] {
    var merged: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound - last.upperBound < gap {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    return merged
  }
}
