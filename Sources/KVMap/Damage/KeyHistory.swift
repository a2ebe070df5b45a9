/// What the records that were found say about each key.
///
/// Memory: in proportion to the keys, whatever their values.
struct KeyHistory {
  let memory: StoreMemory

  struct Events {
    /// The newest value that can be read.
    var value: (sequence: UInt64, position: Position)?
    /// The newest record that says the key has none; 0 if there is none.
    var removed: UInt64 = 0
    /// The newest value that cannot be read.
    var lost: (sequence: UInt64, offset: Int, reason: String)?
    /// The newest damaged record that seems to be of this key.
    var suspect: (sequence: UInt64, offset: Int)?

    /// What counts: nothing newer says otherwise.
    var current: Position? { value.flatMap { $0.sequence > removed ? $0.position : nil } }
    /// A newer record is known whose value cannot be read.
    var newerLost: (offset: Int, reason: String)? {
      guard let lost, lost.sequence > max(removed, value?.sequence ?? 0) else { return nil }
      return (lost.offset, lost.reason)
    }
    /// A newer record seems to have been this key's.
    var newerSuspect: Int? {
      let known = max(removed, value?.sequence ?? 0, lost?.sequence ?? 0)
      return suspect.flatMap { $0.sequence > known ? $0.offset : nil }
    }
    /// Whether the newest that was read says that the key has no value.
    var isRemoved: Bool { current == nil && newerLost == nil && removed > 0 }
  }

  private(set) var keys: [[UInt8]: Events] = [:]
  /// Above all sequence numbers that were met.
  private(set) var sequenceEnd: UInt64 = 1

  /// Large values that were read: several records may point to one.
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

  mutating func add(_ suspect: LogGap.Suspect, if wants: (KeyHash) -> Bool) {
    let hash = unsafe KeyHash(suspect.key.span.bytes, seed: memory.seed)
    guard wants(hash) else { return }
    if suspect.sequence > keys[suspect.key]?.suspect?.sequence ?? 0 {
      keys[suspect.key, default: Events()].suspect = (suspect.sequence, suspect.offset)
    }
  }
}
