// What `kvmap watch` does with a change: print it as text or as JSON, or run a command.

import KVMap

/// Takes the changes of `kvmap watch`, in order.
protocol ChangeReceiver {
  mutating func take(_ change: Store.Change) throws
  /// Lets others see what was taken, before the next change is waited for.
  mutating func flush() throws
  /// Throws if something failed that did not end the watch.
  func finish() throws
}

extension ChangeReceiver {
  func finish() throws {}
}

/// Lines for people.
struct ChangeText: ChangeReceiver {
  private var output: ByteOutput
  private let escapes: Bool

  init(_ output: ByteOutput, escapes: Bool) {
    (self.output, self.escapes) = (output, escapes)
  }

  mutating func take(_ change: Store.Change) throws {
    if change.kind == .gap { return }
    try output.append("\(change.sequence) \(change.kind == .put ? "put" : "delete") ")
    try output.append(shown(change.key))
    if let value = change.value {
      try output.append("\t")
      try output.append(shown(value))
    }
    try output.append("\n")
  }

  mutating func flush() throws { try output.flush() }

  private func shown(_ bytes: [UInt8]) -> [UInt8] { escapes ? TerminalText.escape(bytes) : bytes }
}

/// Lines of JSON.
struct ChangeLines: ChangeReceiver {
  private var output: ByteOutput

  init(_ output: ByteOutput) {
    self.output = output
  }

  mutating func take(_ change: Store.Change) throws {
    try output.append("{\"sequence\":\(change.sequence),")
    switch change.kind {
    case .gap: try output.append("\"missing\":[\(change.sequences.lowerBound),\(change.sequence)]")
    case .put: try append("put", change.key)
    case .remove: try append("delete", change.key)
    }
    if let value = change.value {
      try output.append(",")
      try output.appendJSONMember("value", value)
    }
    if case .at(let time) = change.expiry { try output.append(",\"expires\":\(time)") }
    try output.append(change.isLastOfCommit ? "}\n" : ",\"more\":true}\n")
  }

  mutating func flush() throws { try output.flush() }

  /// As `kvmap batch` reads it.
  private mutating func append(_ deed: String, _ key: [UInt8]) throws {
    if String(validating: key, as: UTF8.self) != nil { return try output.appendJSONMember(deed, key) }
    try output.append("\"\(deed)\":true,")
    try output.appendJSONMember("key", key)
  }
}

/// Runs a command for each change.
struct ChangeRunner: ChangeReceiver {
  private let command: ShellCommand
  private let watch: Watch
  /// How many commands have failed, and the status of the last of them.
  private var failures = (count: 0, last: ExitStatus.done)

  init(_ command: ShellCommand, _ watch: Watch) {
    (self.command, self.watch) = (command, watch)
  }

  mutating func take(_ change: Store.Change) throws {
    let status = try command.run(input: try line(change), variables: variables(change))
    if status == 0 { return }
    let message = "the command of --exec ended with status \(status) for change \(change.sequence)"
    guard watch.keepGoing else {
      let before = change.sequences.lowerBound - 1
      throw Failure(
        ExitStatus(rawValue: status),
        "\(message); --since \(before) repeats it, --since \(change.sequence) goes on after it")
    }
    watch.note(message)
    failures = (failures.count + 1, ExitStatus(rawValue: status))
  }

  func flush() {}

  func finish() throws {
    if failures.count > 0 {
      throw Failure(failures.last, "\(counted(failures.count, "command")) of --exec failed")
    }
  }

  private func line(_ change: Store.Change) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var lines = ChangeLines(ByteOutput { bytes += $0 })
    try lines.take(change)
    try lines.flush()
    return bytes
  }

  private func variables(_ change: Store.Change) -> [(name: String, value: String?)] {
    let deed =
      switch change.kind {
      case .put: "put"
      case .remove: "delete"
      case .gap: "missing"
      }
    // A variable holds no zero byte, and is of no use to a shell if it is not text.
    let isText = change.kind != .gap && !change.key.contains(0)
    return [
      ("KVMAP_STORE", watch.store), ("KVMAP_SEQUENCE", "\(change.sequence)"), ("KVMAP_CHANGE", deed),
      ("KVMAP_KEY", isText ? String(validating: change.key, as: UTF8.self) : nil),
    ]
  }
}
