/// What one kind of call takes.
struct Measurement {
  /// What was measured.
  enum Subject: String {
    case store
    case machine
  }

  /// Its name in JSON and in pipes.
  let name: String
  /// Its name for people.
  let label: String
  let subject: Subject
  /// Calls of one round.
  let calls: Int
  let rounds: Int
  /// Nanoseconds of a call: the mean of a round, and of several rounds the one in the middle; the median of calls that
  /// were timed one by one.
  let nanoseconds: Double
  /// The mean of the slowest of several rounds.
  private(set) var slowestRound: Double?
  /// What 99 % of the calls that were timed one by one did not exceed.
  private(set) var percentile99: Double?

  /// Calls that are timed together, since timing one would take as long as the call.
  ///
  /// - Parameter body: makes `calls` calls, in each round.
  init(
    _ name: String, _ label: String, _ subject: Subject = .store, calls: Int, rounds: Int = 1,
    _ body: () throws -> Void
  ) rethrows {
    var means: [Double] = []
    for _ in 0..<rounds {
      let start = ContinuousClock.now
      try body()
      means.append((ContinuousClock.now - start).nanoseconds / Double(max(1, calls)))
    }
    means.sort()
    (self.name, self.label, self.subject, self.calls, self.rounds) = (name, label, subject, calls, rounds)
    nanoseconds = means[rounds / 2]
    slowestRound = rounds > 1 ? means[rounds - 1] : nil
  }

  /// Calls that take long, timed one by one: `most` of them, or as many as begin within two seconds.
  ///
  /// - Parameter body: makes the call with this number.
  init(
    eachOf name: String, _ label: String, _ subject: Subject = .store, most: Int,
    _ body: (Int) throws -> Void
  ) rethrows {
    var times: [Double] = []
    let beginning = ContinuousClock.now
    while times.count < most {
      let start = ContinuousClock.now
      if start - beginning > .seconds(2), !times.isEmpty { break }
      try body(times.count)
      times.append((ContinuousClock.now - start).nanoseconds)
    }
    times.sort()
    (self.name, self.label, self.subject, calls, rounds) = (name, label, subject, times.count, 1)
    nanoseconds = times[times.count / 2]
    percentile99 = times[min(times.count - 1, times.count * 99 / 100)]
  }

  /// Calls in a second, one after the other.
  var rate: Int { Int(min(1e9 / max(nanoseconds, 0.001), 1e15)) }
}

extension Duration {
  var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
}
