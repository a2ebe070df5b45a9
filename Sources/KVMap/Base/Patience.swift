/// Paces a loop that tries again until a timeout has passed. The pauses grow from 20 µs to 2 ms, or
/// to another length.
struct Patience {
  private let timeout: Duration
  private let deadline: ContinuousClock.Instant
  private var microseconds = 20
  private let longest: Int

  /// - Parameter start: when the timeout began.
  init(
    _ timeout: Duration, since start: ContinuousClock.Instant = .now, longestMicroseconds: Int = 2_000
  ) {
    self.timeout = timeout
    longest = longestMicroseconds
    deadline = start + timeout
  }

  /// Blocks for a moment, longer each time. Returns false at once if the timeout has passed.
  mutating func wait() -> Bool {
    if ContinuousClock.now >= deadline { return false }
    pause(microseconds: microseconds)
    microseconds = min(microseconds * 2, longest)
    return true
  }

  /// The error to throw when the time is over.
  ///
  /// - Parameters:
  ///   - holder: the process that holds the lock, if known.
  ///   - what: what that process does now, for example "holds the write lock".
  func busy(_ holder: Int32?, _ what: String) -> Store.Error {
    let who = holder.map { $0 == ProcessIdentifier.current ? "this process" : "process \($0)" }
    return Store.Error(
      .busy,
      "waited \(timeout) for \(who ?? "another process"), which \(what); "
        + "try again, wait longer, or check whether that process is suspended",
      holder: holder)
  }
}
