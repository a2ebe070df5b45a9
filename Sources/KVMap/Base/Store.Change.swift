extension Store {
  /// A change of a store: one record of its log. See ``Store/changes(since:withPrefix:values:durable:)``.
  public struct Change: Sendable, Equatable {
    /// What a change is.
    public enum Kind: Sendable, Hashable {
      /// A value was stored, in place of the one that may have been there.
      case put
      /// The key and its value were removed.
      case remove
      /// The changes with the numbers ``Store/Change/sequences`` are not there, or not any more: their
      /// space was reused, or a power failure has undone them. Whoever keeps a copy of the store has to
      /// make it anew.
      case gap
    }

    /// What it is.
    public let kind: Kind
    /// Its number; for a gap, all numbers that are missing.
    public let sequences: ClosedRange<UInt64>
    /// The key's bytes; empty for a gap.
    public let key: [UInt8]
    /// The value's bytes. Nil if nothing was put, if values were not asked for, or if it was a value of
    /// more than 64 KiB whose space has been reused since: then a later change of the key follows.
    public let value: [UInt8]?
    /// The version of the value that was put, which ``Store/PutCondition/version(_:)`` compares.
    public let version: UInt64
    /// When the value that was put expires. That it does is no change.
    public let expiry: Store.Expiry
    /// Whether it is the last of its commit: a transaction is all changes up to here.
    public let isLastOfCommit: Bool

    /// Its number, or the last one of a gap: pass it to
    /// ``Store/changes(since:withPrefix:values:durable:)`` to go on after it.
    public var sequence: UInt64 { sequences.upperBound }

    var isGap: Bool { kind == .gap }

    static func gap(_ sequences: ClosedRange<UInt64>) -> Change {
      Change(
        kind: .gap, sequences: sequences, key: [], value: nil, version: 0, expiry: .never,
        isLastOfCommit: true)
    }
  }
}
