import SystemPackage

@testable import KVMap

/// Keeps one store equal to another by following its changes, over crashes of either. How far it has
/// come is in the copy, in the commit that brought it there.
struct Follower {
  let source: Store
  let copy: Store
  private var reader: Store.Changes.Reader
  private(set) var gaps = 0

  private static let noteKey = "\u{0}followed to"

  init(_ source: Store, _ copy: Store) throws {
    self.source = source
    self.copy = copy
    let since = try copy.get(Self.noteKey, as: UInt64.self) ?? 0
    reader = source.changes(since: since).makeReader()
  }

  /// Applies the next commit, if one comes within `timeout`. Returns whether one did.
  mutating func step(within timeout: Duration = .zero) throws -> Bool {
    guard var change = try reader.next(within: timeout) else { return false }
    var changes: [Store.Change] = []
    while change.kind != .gap {
      changes.append(change)
      if change.isLastOfCommit { break }
      // A commit is there as a whole.
      guard let next = try reader.next() else { throw Store.Error(.damaged, "half a commit was told") }
      change = next
    }
    if change.kind == .gap { return try copyAgain() }
    try copy.transaction { transaction in
      for change in changes { try Self.apply(change, transaction) }
      try transaction.put(changes.last!.sequence, forKey: Self.noteKey)
    }
    return true
  }

  private static func apply(_ change: Store.Change, _ transaction: borrowing Store.Transaction) throws {
    if change.kind == .remove {
      try transaction.remove(change.key)
    } else if let value = change.value {
      try transaction.put(value, forKey: change.key, expires: change.expiry)
    }
  }

  /// Makes the copy anew. What changes after the number is told once more, which does no harm.
  private mutating func copyAgain() throws -> Bool {
    gaps += 1
    let number = try source.lastSequence
    let snapshot = try source.snapshot()
    try copy.removeAll()
    try snapshot.forEach { key, value in try copy.put(value, forKey: key) }
    try copy.put(number, forKey: Self.noteKey)
    reader = source.changes(since: number).makeReader()
    return true
  }

  /// What the copy holds, without the note.
  func copied() throws -> [[UInt8]: [UInt8]] {
    var all = try copy.everything()
    all[Array(Self.noteKey.utf8)] = nil
    return all
  }
}
