/// A call that was made: by which worker, when, and with which outcome.
struct Operation: Sendable {
  /// Which thread of which process made it.
  var worker: Int
  var call: Call
  /// Times of one clock for all processes, in nanoseconds.
  var invoked: UInt64
  /// How it ended.
  var end: End

  enum End: Sendable {
    case returned(at: UInt64, Answer)
    /// Its process was killed before it returned, and was surely gone at this time.
    case killed(at: UInt64)
  }

  var returned: UInt64? {
    if case .returned(let time, _) = end { return time }
    return nil
  }

  var killed: UInt64? {
    if case .killed(let time) = end { return time }
    return nil
  }

  var answer: Answer? {
    if case .returned(_, let answer) = end { return answer }
    return nil
  }
}

/// What several workers did with keys that were all absent before.
struct History: Sendable, CustomStringConvertible {
  var operations: [Operation]

  /// How many operations overlapped with another one.
  var overlapping: Int {
    let sorted = operations.sorted { $0.invoked < $1.invoked }
    var count = 0
    for (index, one) in sorted.enumerated() {
      let end = one.returned ?? one.killed ?? .max
      let isOverlapped = sorted[(index + 1)...].contains { $0.invoked <= end }
      let overlaps = sorted[..<index].contains { ($0.returned ?? $0.killed ?? .max) >= one.invoked }
      if isOverlapped || overlaps { count += 1 }
    }
    return count
  }

  /// One line for each operation, in the order in which they began, times in microseconds.
  var description: String {
    let start = operations.map(\.invoked).min() ?? 0
    func time(_ nanoseconds: UInt64) -> String {
      let tenths = (nanoseconds - start) / 100
      return "\(tenths / 10).\(tenths % 10)"
    }
    let lines = operations.sorted { $0.invoked < $1.invoked }.map { operation in
      let what = "  \(time(operation.invoked)) worker \(operation.worker): \(operation.call)"
      switch operation.end {
      case .killed(let gone): return what + " was killed, gone at \(time(gone))"
      case .returned(let end, let answer):
        let second = operation.call.isTransaction ? ", \(Self.show(answer.second))" : ""
        return what + " -> \(Self.show(answer.first))\(second) at \(time(end))"
      }
    }
    return lines.joined(separator: "\n")
  }

  private static func show(_ value: UInt32) -> String {
    value == NumberedValue.wrong ? "other bytes" : "\(value)"
  }
}
