import KVMap
import SystemPackage

/// Lines on standard error: "kvmap: get: no key 'sky' in 'colours.kvmap'".
enum Messages {
  static func write(_ message: String, verb: String? = nil, isFailure: Bool = true) {
    let prefix = verb.map { "kvmap: \($0):" } ?? "kvmap:"
    let label = isFailure && Terminal.hasColour(.standardError) ? "\u{1B}[1;31m\(prefix)\u{1B}[0m" : prefix
    write(raw: "\(label) \(printable(message))\n")
  }

  /// Writes a question; the answer comes after it on the same line.
  static func ask(_ question: String, verb: String) {
    write(raw: "kvmap: \(verb): \(printable(question)) [y/N] ")
  }

  /// File names and keys in messages are untrusted; they must not control the terminal.
  private static func printable(_ message: String) -> String {
    String(decoding: TerminalText.escape(Array(message.utf8), keeping: .newlines), as: UTF8.self)
  }

  private static func write(raw text: String) {
    // Without standard error a message cannot be shown.
    _ = try? FileDescriptor.standardError.writeAll(text.utf8)
  }
}

/// "1 record", "2 records".
func counted(_ number: Int, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}
