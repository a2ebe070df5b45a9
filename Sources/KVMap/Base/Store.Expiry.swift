extension Store {
  /// When a value expires: from then on it no longer exists.
  public enum Expiry: Sendable, Hashable {
    /// The value does not expire.
    case never
    /// At this time of the system's clock, in milliseconds since 1970.
    case at(millisecondsSince1970: UInt64)
    /// This long after the put.
    case after(Duration)

    /// The time until the value expires, by the system's clock: 0 if that has passed, nil for
    /// `never`.
    public var timeLeft: Duration? {
      switch self {
      case .never: return nil
      case .at(let time):
        let now = Clock.system.now()
        return .milliseconds(Int64(clamping: time > now ? time - now : 0))
      case .after(let duration): return duration
      }
    }

    /// The time of expiry in milliseconds since 1970; nil for `never`.
    func milliseconds(_ clock: Clock) -> UInt64? {
      switch self {
      case .never: return nil
      case .at(let time): return time
      case .after(let duration):
        let (seconds, attoseconds) = duration.components
        // A duration that 64 bits cannot hold gives the largest time; a negative one gives now.
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
        if seconds < 0 || attoseconds < 0 { return clock.now() }
        if overflow { return .max }
        let (sum, carry) = clock.now().addingReportingOverflow(
          UInt64(whole) + UInt64(attoseconds / 1_000_000_000_000_000))
        return carry ? .max : sum
      }
    }
  }
}
