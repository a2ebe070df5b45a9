import KVMap

/// Moves the records of a dump into a store, and decides what a conflict and a fault mean.
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

  /// Hands `put` one record after the other; it returns false where the condition was not met.
  ///
  /// - Throws: if nothing of the dump may stay.
  mutating func load(_ put: (DumpRecord, PutCondition) throws -> Bool) throws {
    let condition: PutCondition = command.onConflict == .replace ? .always : .absent
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

  /// The next record; with --keep-going, the next one after what is damaged.
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

  /// Ends the command in failure if --keep-going passed over faults. To be called when what was loaded is safe.
  func reportFaults() throws {
    if faults == 0 { return }
    throw Failure(
      .damaged, "\(source) has \(counted(faults, "fault")); loaded all the same: \(counted(loaded, "record"))"
    )
  }
}
