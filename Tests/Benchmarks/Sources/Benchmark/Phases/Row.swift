/// A figure that a phase measures: a row of the table.
struct Row {
  enum Unit: String {
    case nanoseconds = "ns"
    case microseconds = "µs"
    /// Bytes for each byte of keys and values.
    case perByte = "/byte"
    case mebibytes = "MiB"

    var isTime: Bool { self == .nanoseconds || self == .microseconds }
  }

  let title: String
  let unit: Unit

  init(_ title: String, _ unit: Unit = .nanoseconds) {
    self.title = title
    self.unit = unit
  }
}
