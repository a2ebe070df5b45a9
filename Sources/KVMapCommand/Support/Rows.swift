import KVMap
import SystemPackage

/// Rows of keys, values and figures on standard output.
///
/// The fields of a row have tabs between them and a newline at the end. On a terminal, control bytes are escaped.
/// Or each field ends with a zero byte: see `NullFraming`.
struct Rows {
  private var output = standardOutput()
  private let null: Bool
  private let escapes: Bool

  init(null: Bool) {
    self.null = null
    escapes = !null && Terminal.isTerminal(.standardOutput)
  }

  mutating func append(_ fields: [[UInt8]]) throws {
    for (index, field) in fields.enumerated() {
      if null {
        try NullFraming.append(field, to: &output)
      } else {
        try output.append(escapes ? TerminalText.escape(field) : field)
        try output.append(index + 1 < fields.count ? "\t" : "\n")
      }
    }
  }

  mutating func flush() throws { try output.flush() }
}
