/// What the records that were found say about each key.
///
/// Memory: in proportion to the keys, whatever their values.
struct KeyHistory {
  let memory: StoreMemory

  /// What is known of one key.
  struct Events {
    /// The newest value that can be read.
    var value: (sequence: UInt64, position: Position)?
    /// The sequence number of the newest record that removes the key; 0 if there is none.
    var removed: UInt64 = 0
    /// The newest value that cannot be read.
    var lost: (sequence: UInt64, offset: Int, reason: String)?
    /// The newest record that seems to be of this key and does not count.
    var suspect: LogGap.Suspect?

    /// Where the record is whose value counts; nil if there is none that is newer than the last
    /// removal.
    var current: Position? { value.flatMap { $0.sequence > removed ? $0.position : nil } }
    /// The newest record, if its value cannot be read.
    var newerLost: (offset: Int, reason: String)? {
      guard let lost, lost.sequence > max(removed, value?.sequence ?? 0) else { return nil }
      return (lost.offset, lost.reason)
    }
    /// The same if it seems to be newer than all others of this key.
    var newerSuspect: LogGap.Suspect? {
      let known = max(removed, value?.sequence ?? 0, lost?.sequence ?? 0)
      return suspect.flatMap { $0.sequence > known ? $0 : nil }
    }
    /// Whether the newest record that was read removes the key.
    var isRemoved: Bool { current == nil && newerLost == nil && removed > 0 }
  }

  private(set) var keys: [[UInt8]: Events] = [:]
  /// Above all sequence numbers that were met.
  private(set) var sequenceEnd: UInt64 = 1

  /// A large value that was read: several records may point to one.
  private struct Run: Hashable {
    var range: Range<Int>
    var checksum: UInt64
  }
  private var runs: [Run: Bool] = [:]

  init(memory: StoreMemory) { self.memory = memory }

  private mutating func isValueIntact(_ record: Record) -> Bool {
    guard record.isExternal else { return true }
    guard let range = try? record.valueRange() else { return false }
    let run = Run(range: range, checksum: record.externalChecksum)
    if let known = runs[run] { return known }
    let isIntact = (try? record.verifyExternal(range)) != nil
    runs[run] = isIntact
    return isIntact
  }

  /// Adds an intact record, if it is of a key whose hash is wanted.
  mutating func add(_ record: Record, if wants: (KeyHash) -> Bool) {
    let number = record.sequence.number
    sequenceEnd = max(sequenceEnd, number + 1)
    guard let kind = record.kind, kind == .put || kind == .move || kind == .delete else { return }
    guard wants(record.keyHash) else { return }
    let key = record.keyBytes
    var events = keys[key] ?? Events()
    if kind == .delete {
      events.removed = max(events.removed, number)
    } else if isValueIntact(record) {
      if number > events.value?.sequence ?? 0 { events.value = (number, record.position) }
    } else if number > events.lost?.sequence ?? 0 {
      events.lost = (number, record.offset, "its large value does not match its checksum")
    }
    keys[key] = events
  }

  /// Keeps the new store's numbers above that of a record which does not count.
  mutating func noteNumber(of record: Record) { sequenceEnd = max(sequenceEnd, record.sequence.number + 1) }

  /// Adds a record that seems to be of a key and does not count, if the key's hash is wanted.
  mutating func add(_ suspect: LogGap.Suspect, if wants: (KeyHash) -> Bool) {
    let hash = unsafe KeyHash(suspect.key.span.bytes, seed: memory.seed)
    guard wants(hash) else { return }
    if suspect.sequence > keys[suspect.key]?.suspect?.sequence ?? 0 {
      keys[suspect.key, default: Events()].suspect = suspect
    }
  }
}
