import Foundation
import TestSupport

extension ForkedChild {
  /// In a child: limits what follows to this processor time, and to ten times as much time by
  /// the clock.
  static func limitTime(seconds: Int) {
    // ITIMER_PROF and ITIMER_REAL, whose types differ between systems.
    for (clock, limit) in [(2, seconds), (0, 10 * seconds)] as [(Int32, Int)] {
      var timer = itimerval()
      timer.it_value.tv_sec = limit
      unsafe setitimer(clock, &timer, nil)
    }
  }
}

extension ForkedChild.End {
  /// The signals of the clocks that children set.
  var isTimeout: Bool { self == .signal(SIGPROF) || self == .signal(SIGALRM) }
}
