import SystemPackage

/// A line on the terminal that shows the progress of long work: rate, share, time left.
///
/// Nothing appears in the first second, or if standard error is no terminal.
final class Progress {
  private let verb: String
  private let unit: String
  private let isEnabled: Bool
  private let share: () -> Double?
  private let start = ContinuousClock.now
  private var nextLook = 0
  private var nextLine = Duration.seconds(1)
  private var isVisible = false

  private static let stride = 1024
  private static let interval = Duration.milliseconds(200)

  /// - Parameter share: how much of the work is done, from 0 to 1; nil if unknown.
  init(_ command: some StoreCommand, unit: String = "records", share: @escaping () -> Double? = { nil }) {
    verb = type(of: command).verb
    self.unit = unit
    self.share = share
    isEnabled = !command.common.quiet && Terminal.isCapable(.standardError)
  }

  /// Shows that `done` units are done, at most every 200 ms.
  ///
  /// - Parameter always: whether a unit takes so long that the time may be looked at for each.
  func update(_ done: Int, always: Bool = false) {
    guard isEnabled, always || done >= nextLook else { return }
    nextLook = done + Self.stride
    let elapsed = ContinuousClock.now - start
    guard elapsed >= nextLine else { return }
    nextLine = elapsed + Self.interval
    isVisible = true
    write("\r\u{1B}[K" + Self.line(verb: verb, unit: unit, done: done, share: share(), elapsed: elapsed))
  }

  /// Removes the line.
  func clear() {
    if isVisible { write("\r\u{1B}[K") }
    isVisible = false
  }

  static func line(verb: String, unit: String, done: Int, share: Double?, elapsed: Duration) -> String {
    let seconds = max(elapsed / .seconds(1), 0.001)
    let rate = whole(Double(done) / seconds)
    var text = "kvmap: \(verb): "
    if unit == "bytes" {
      text += "\(Quantity.bytes(done)), \(Quantity.bytes(rate)) a second"
    } else {
      text += "\(Quantity.count(done)) \(unit), \(Quantity.count(rate)) a second"
    }
    if let share, share > 0 {
      let left = (seconds / share - seconds).rounded(.up)
      text += ", \(whole(min(share, 1) * 100)) %, \(Quantity.duration(.seconds(whole(left)))) left"
    }
    return text
  }

  private static func whole(_ number: Double) -> Int {
    Int(min(max(number, 0), 1e15))
  }

  private func write(_ text: String) {
    _ = try? FileDescriptor.standardError.writeAll(text.utf8)
  }
}
