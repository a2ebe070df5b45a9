/// Numbers with units, for people. Programs get them raw.
enum Quantity {
  /// "153 MiB".
  static func bytes(_ number: Int) -> String {
    scaled(number, by: 1024, ["byte", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], exactBelow: 1024)
  }

  /// "3.1 M"; numbers below 10,000 are exact.
  static func count(_ number: Int) -> String {
    scaled(number, by: 1000, ["", "k", "M", "G", "T", "P", "E"], exactBelow: 10_000)
  }

  /// "12 %"; "< 1 %" for a little.
  static func share(_ part: Int, of whole: Int) -> String {
    if part <= 0 || whole <= 0 { return "0 %" }
    let percent = Int((Double(part) / Double(whole) * 100).rounded())
    return percent == 0 ? "< 1 %" : "\(percent) %"
  }

  /// "90 s", "15 min", "12 h", "7 d", rounded down.
  static func duration(_ duration: Duration) -> String {
    let seconds = duration.wholeSeconds
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "min")] where seconds >= 2 * Int64(length) {
      return "\(seconds / Int64(length)) \(unit)"
    }
    return "\(seconds) s"
  }

  /// "12 ns", "1.7 µs", "312 µs", "1.2 ms".
  static func time(nanoseconds: Double) -> String {
    var (number, unit) = (min(max(nanoseconds, 0), 1e18), "ns")
    for next in ["µs", "ms", "s"] where number >= 999.5 { (number, unit) = (number / 1000, next) }
    let tenths = Int((number * 10).rounded())
    return tenths < 100 && unit != "ns"
      ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\(Int(number.rounded())) \(unit)"
  }

  private static func scaled(_ number: Int, by step: Double, _ units: [String], exactBelow: Int) -> String {
    if number < exactBelow { return units[0].isEmpty ? "\(number)" : counted(number, units[0]) }
    var (scaled, unit) = (Double(number), 0)
    // What would be rounded to 1000 of a unit is 1.0 of the next.
    while scaled >= step - 0.5, unit < units.count - 1 {
      scaled /= step
      unit += 1
    }
    let tenths = Int((scaled * 10).rounded())
    let digits = tenths < 100 ? "\(tenths / 10).\(tenths % 10)" : "\(Int(scaled.rounded()))"
    return "\(digits) \(units[unit])"
  }
}

extension Duration {
  /// Rounded up.
  var wholeSeconds: Int64 { wholeMilliseconds / 1000 + (wholeMilliseconds % 1000 > 0 ? 1 : 0) }

  var wholeMilliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
