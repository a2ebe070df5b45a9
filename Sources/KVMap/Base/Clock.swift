#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where the store gets the time from: the system's clock, or another one in tests and snapshots.
struct Clock: Sendable {
  /// Returns the time in milliseconds since 1970.
  let now: @Sendable () -> UInt64
  /// The same, some milliseconds late, for a fraction of the cost where the system has that.
  let lately: @Sendable () -> UInt64

  init(now: @escaping @Sendable () -> UInt64, lately: (@Sendable () -> UInt64)? = nil) {
    self.now = now
    self.lately = lately ?? now
  }

  #if canImport(Darwin)
    static let system = Clock(now: { time(CLOCK_REALTIME) })
  #else
    static let system = Clock(now: { time(CLOCK_REALTIME) }, lately: { time(CLOCK_REALTIME_COARSE) })
  #endif

  @inline(__always)
  private static func time(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return milliseconds(time)
  }

  /// `time` in milliseconds since 1970. A time before 1970 gives 0; a time that 64 bits cannot
  /// hold gives the largest number.
  static func milliseconds(_ time: timespec) -> UInt64 {
    if time.tv_sec < 0 { return 0 }
    let (whole, overflow) = UInt64(time.tv_sec).multipliedReportingOverflow(by: 1_000)
    let (sum, carry) = whole.addingReportingOverflow(UInt64(max(0, time.tv_nsec)) / 1_000_000)
    return overflow || carry ? .max : sum
  }
}

/// Blocks this thread for so many microseconds, while another process or thread finishes. A
/// signal may end it earlier.
func pause(microseconds: Int) {
  var time = timespec(tv_sec: microseconds / 1_000_000, tv_nsec: (microseconds % 1_000_000) * 1_000)
  unsafe nanosleep(&time, nil)
}
