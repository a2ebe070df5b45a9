#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where the store takes the time from.
struct Clock: Sendable {
  /// Milliseconds since 1970.
  var now: @Sendable () -> UInt64

  static let system = Clock {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return milliseconds(time)
  }

  /// The first and the last instant that can be said stand for those beyond.
  static func milliseconds(_ time: timespec) -> UInt64 {
    if time.tv_sec < 0 { return 0 }
    let (whole, overflow) = UInt64(time.tv_sec).multipliedReportingOverflow(by: 1_000)
    let (sum, carry) = whole.addingReportingOverflow(UInt64(max(0, time.tv_nsec)) / 1_000_000)
    return overflow || carry ? .max : sum
  }
}

/// Lets the processor do something else while another process or thread finishes.
func pause(microseconds: Int) {
  var time = timespec(tv_sec: microseconds / 1_000_000, tv_nsec: (microseconds % 1_000_000) * 1_000)
  unsafe nanosleep(&time, nil)
}
