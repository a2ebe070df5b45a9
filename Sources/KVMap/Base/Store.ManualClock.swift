import Synchronization

extension Store {
  /// A clock that stands still until it is told to go on: for tests of values that expire; see
  /// ``Store/inMemory(options:clock:)``.
  ///
  ///     let clock = Store.ManualClock()
  ///     let store = try Store.inMemory(clock: clock)
  ///     try store.put("abc", forKey: "token", expires: .after(.seconds(60)))
  ///     clock.advance(by: .seconds(60))
  ///     let isThere = try store.contains("token")   // false
  ///
  /// ``Store/Expiry/timeLeft`` asks the system's clock all the same.
  public final class ManualClock: Sendable {
    private let time: Atomic<UInt64>

    /// A clock that shows so many milliseconds since 1970.
    public init(millisecondsSince1970: UInt64 = 0) { time = Atomic(millisecondsSince1970) }

    /// What the clock shows, in milliseconds since 1970.
    public var millisecondsSince1970: UInt64 { time.load(ordering: .relaxed) }

    /// Sets the clock ahead, in whole milliseconds. Any thread may call it.
    ///
    /// - Parameter duration: how far; not negative.
    public func advance(by duration: Duration) {
      precondition(duration >= .zero, "a clock does not go back")
      let (seconds, attoseconds) = duration.components
      time.wrappingAdd(
        UInt64(seconds) * 1_000 + UInt64(attoseconds / 1_000_000_000_000_000), ordering: .relaxed)
    }

    var clock: Clock { Clock(now: { [self] in millisecondsSince1970 }) }
  }
}
