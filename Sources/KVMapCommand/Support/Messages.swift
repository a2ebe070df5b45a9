import SystemPackage

/// Lines on standard error: "kvmap: get: no key 'sky' in 'colours.kvmap'".
enum Messages {
  static func write(_ message: String, verb: String? = nil, isFailure: Bool = true) {
    let prefix = verb.map { "kvmap: \($0):" } ?? "kvmap:"
    // File names and keys in messages come from anywhere; they must not steer the terminal.
    let text = String(decoding: TerminalText.escape(Array(message.utf8), keeping: .newlines), as: UTF8.self)
    let label = isFailure && Terminal.hasColour(.standardError) ? "\u{1B}[1;31m\(prefix)\u{1B}[0m" : prefix
    // With standard error gone there is nobody to tell.
    _ = try? FileDescriptor.standardError.writeAll("\(label) \(text)\n".utf8)
  }
}

/// "1 record", "2 records".
func counted(_ number: Int, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}
