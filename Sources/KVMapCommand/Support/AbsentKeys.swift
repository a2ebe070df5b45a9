import KVMap

/// The keys that a subcommand looked for and did not find.
struct AbsentKeys {
  private var first: [UInt8]?
  private var others = 0

  mutating func append(_ key: [UInt8]) {
    if first == nil { first = key } else { others += 1 }
  }

  mutating func append(contentsOf keys: [[UInt8]]) {
    for key in keys { append(key) }
  }

  /// Throws if there are any.
  func report(_ store: String) throws(Failure) {
    guard let first else { return }
    let rest = others > 0 ? ", nor \(counted(others, "other key"))" : ""
    throw Failure(.absent, "no key \(TerminalText.quote(first)) in '\(store)'\(rest)")
  }
}
