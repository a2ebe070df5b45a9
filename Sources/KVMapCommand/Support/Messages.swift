import SystemPackage

/// Lines on standard error: "kvmap: get: no key 'sky' in 'colours.kvmap'".
enum Messages {
  static func write(_ message: String, verb: String? = nil, isFailure: Bool = true) {
    let prefix = verb.map { "kvmap: \($0):" } ?? "kvmap:"
    // File names and keys in messages are untrusted; they must not control the terminal.
    let text = String(decoding: TerminalText.escape(Array(message.utf8), keeping: .newlines), as: UTF8.self)
    let label = isFailure && Terminal.hasColour(.standardError) ? "\u{1B}[1;31m\(prefix)\u{1B}[0m" : prefix
    // Without standard error a message cannot be shown.
    _ = try? FileDescriptor.standardError.writeAll("\(label) \(text)\n".utf8)
  }
}

/// "1 record", "2 records".
func counted(_ number: Int, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}
