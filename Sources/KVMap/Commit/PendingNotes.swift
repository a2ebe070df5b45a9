/// Where the slots of pending records were when they were appended, so that the commit need not hash
/// the keys and search the buckets again.
///
/// Only hints: a split moves a slot to another page, though never within the page, and a later record
/// of the same key takes over the slot. So the commit compares the slot before it believes a note.
struct PendingNotes {
  struct Note: BitwiseCopyable {
    var position: Position
    var hash: KeyHash
    /// Where in its page the pending slot is.
    var place: UInt16
    /// The published slot of the key, and where in its page it is; empty if there is none.
    var old: Slot
    var oldPlace: UInt16

    init(_ position: Position, _ hash: KeyHash, slotOffset: Int, old: IndexReader.Match?) {
      self.position = position
      self.hash = hash
      place = UInt16(slotOffset % Layout.pageBytes)
      self.old = old?.slot ?? .empty
      oldPlace = UInt16((old?.slotOffset ?? 0) % Layout.pageBytes)
    }
  }

  /// In the order of the log.
  private var notes: [Note] = []
  /// A transaction may be larger; then its later records are looked for.
  private static let mostNotes = 4096

  var count: Int { notes.count }

  mutating func append(_ note: Note) {
    if notes.count < Self.mostNotes { notes.append(note) }
  }

  /// Drops all notes but the first `count`.
  mutating func truncate(to count: Int) {
    notes.removeSubrange(count...)
  }

  /// The note at `next` if it is of the record at `position`; then `next` is advanced.
  @inline(__always)
  func take(_ next: inout Int, of position: Position) -> Note? {
    guard next < notes.count, notes[next].position == position else { return nil }
    defer { next += 1 }
    return notes[next]
  }
}
