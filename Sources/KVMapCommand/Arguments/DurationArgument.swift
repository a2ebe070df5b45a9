import ArgumentParser

/// A duration on the command line: a whole number and ms, s, m, h or d; without a unit, seconds.
struct DurationArgument: ExpressibleByArgument {
  let duration: Duration
  /// The text of the argument.
  let defaultValueDescription: String

  init(_ duration: Duration) {
    self.duration = duration
    defaultValueDescription = "\(duration.components.seconds)s"
  }

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits) else { return nil }
    let millisecondsPerUnit: Int64
    switch argument.dropFirst(digits.count) {
    case "ms": millisecondsPerUnit = 1
    case "s", "": millisecondsPerUnit = 1000
    case "m": millisecondsPerUnit = 60 * 1000
    case "h": millisecondsPerUnit = 3600 * 1000
    case "d": millisecondsPerUnit = 24 * 3600 * 1000
    default: return nil
    }
    // A thousand years: no sum with the present overflows.
    guard number <= 365_000 * 24 * 3600 * 1000 / millisecondsPerUnit else { return nil }
    duration = .milliseconds(number * millisecondsPerUnit)
    defaultValueDescription = argument
  }
}
