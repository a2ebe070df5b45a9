/// Asks again, ever less often, until a time is over.
struct Patience {
  private let timeout: Duration
  private let deadline: ContinuousClock.Instant
  private var microseconds = 20

  init(_ timeout: Duration) {
    self.timeout = timeout
    deadline = ContinuousClock.now + timeout
  }

  /// Waits for a moment; false if the time is over.
  mutating func wait() -> Bool {
    if ContinuousClock.now >= deadline { return false }
    pause(microseconds: microseconds)
    microseconds = min(microseconds * 2, 2_000)
    return true
  }

  /// What to throw then.
  ///
  /// - Parameters:
  ///   - holder: the process in the way, where it is known.
  ///   - what: what it does: "has held the writer's turn".
  func busy(_ holder: Int32?, _ what: String) -> StoreError {
    let who = holder.map { $0 == ProcessIdentifier.current ? "this process" : "process \($0)" }
    return StoreError(
      .busy,
      "\(who ?? "another process") \(what) for longer than \(timeout); "
        + "try again, wait longer, or see to it: it may be stopped",
      holder: holder)
  }
}
