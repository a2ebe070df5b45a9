import KVMap

/// Loads the records of a dump into a store, and handles conflicts and faults.
struct DumpLoader {
  private var reader: any DumpReader
  /// The dump's name for messages.
  private let source: String
  private let command: Load
  private let progress: Progress

  private var loaded = 0
  private var faults = 0

  init(reader: any DumpReader, source: String, command: Load, progress: Progress) {
    self.reader = reader
    self.source = source
    self.command = command
    self.progress = progress
  }

  /// Passes one record after the other to `put`, which returns false if the condition was not met.
  ///
  /// - Throws: if the caller must undo everything that was loaded.
  mutating func load(_ put: (DumpRecord, Store.PutCondition) throws -> Bool) throws {
    let condition: Store.PutCondition = command.onConflict == .replace ? .always : .absent
    var record = DumpRecord()
    while try next(into: &record) {
      if try put(record, condition) {
        loaded += 1
        progress.update(loaded)
      } else if command.onConflict == .fail {
        throw Failure(
          .absent,
          """
          \(source), \(reader.place): the key \(TerminalText.quote(record.key)) is in '\(command.store)' already; \
          nothing was loaded
          """)
      }
    }
  }

  /// The next record; with --keep-going, the next record that can be read.
  private mutating func next(into record: inout DumpRecord) throws -> Bool {
    while true {
      do {
        return try reader.next(into: &record)
      } catch let fault as DamagedInput {
        guard command.keepGoing else { throw Failure(.damaged, "\(source), \(fault); nothing was loaded") }
        faults += 1
        progress.clear()
        Messages.write("\(source), \(fault)", verb: Load.verb)
        guard fault.sparesRest else { return false }
        try reader.skipFault()
      }
    }
  }

  /// Throws a failure if --keep-going skipped faults. Call it when the loaded records are durable.
  func reportFaults() throws {
    if faults == 0 { return }
    throw Failure(
      .damaged, "\(source) has \(counted(faults, "fault")); loaded all the same: \(counted(loaded, "record"))"
    )
  }
}
