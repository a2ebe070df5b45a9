extension Store {
  /// The number of the last commit, which rises with every change of the store: the last record that
  /// readers see.
  ///
  /// - Throws: `closed`.
  public var lastSequence: UInt64 {
    get throws(Store.Error) {
      try core.checkOpen()
      return core.lastSequence(durable: false).number
    }
  }

  /// The changes of the store with numbers after `sequence`, and those to come, in the order of the
  /// commits of all processes.
  ///
  ///     for try await change in store.changes(since: 4_711) {
  ///       print(change.kind, try change.key(as: String.self))
  ///     }
  ///
  /// They are read from the log in the file: nothing is registered, any number of readers go on at
  /// their own pace, and none of them holds up a writer or keeps space from being reused. What was
  /// reused before it was read is told as a gap. ``Store/Options/keptLog`` keeps the last part of the
  /// log from being reused.
  ///
  /// A commit of any process that writes wakes the reader within a few milliseconds. A handle that was
  /// opened for reading only looks ten times a second. If it was opened while nobody wrote, it sees the
  /// store of that moment, and there are no changes to come.
  ///
  /// Without `durable` a power failure may undo changes that were already told. Then a gap tells that,
  /// and its numbers are those of the changes undone and more.
  ///
  /// - Parameters:
  ///   - sequence: the number after which to begin: the ``Store/Change/sequence`` of the last change that
  ///     was dealt with, or 0 for all that the log still has; nil for changes from this call on.
  ///   - prefix: the beginning of the keys to tell of. Gaps are told in any case.
  ///   - values: whether to read the values.
  ///   - durable: whether to tell only what a power failure cannot undo.
  public func changes(
    since sequence: UInt64? = nil, withPrefix prefix: some Store.ByteSource = "", values: Bool = true,
    durable: Bool = false
  ) -> Changes {
    let limit = SequenceNumber.limit.number
    return Changes(
      core: core,
      since: sequence.map { SequenceNumber(number: Swift.min($0, limit)) }
        ?? core.lastSequence(durable: durable),
      filter: ChangeFilter(prefix: prefix.array, values: values, durable: durable))
  }

  /// The changes of a store; see ``Store/changes(since:withPrefix:values:durable:)``.
  public struct Changes: AsyncSequence, Sendable {
    let core: StoreCore
    let since: SequenceNumber
    let filter: ChangeFilter

    /// A reader that blocks while it waits, for code outside tasks.
    public func makeReader() -> Reader { Reader(self) }

    /// A reader that suspends its task while it waits.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: Reader(self)) }

    /// A position in the changes. A copy goes on by itself.
    public struct Reader: Sendable {
      fileprivate let core: StoreCore
      private let filter: ChangeFilter
      private var walk: ChangeWalk
      /// Changes that were read ahead, the next one last.
      private var ahead: [Store.Change] = []
      /// The number that the next record had when the reader looked last.
      fileprivate private(set) var next = SequenceNumber(number: 0)

      /// Whether the store was found to be closed.
      fileprivate private(set) var isOver = false

      fileprivate init(_ changes: Changes) {
        core = changes.core
        filter = changes.filter
        walk = ChangeWalk(after: changes.since)
      }

      /// The number up to which all changes were returned, or passed over because of their keys: where
      /// a later reader goes on.
      public var sequence: UInt64 { ahead.last.map { $0.sequences.lowerBound - 1 } ?? walk.passed.number }

      /// The next change, if there is one within `timeout`; else nil. Blocks for so long.
      ///
      /// - Throws: `closed`, `lost`, `damaged`.
      public mutating func next(within timeout: Duration = .zero) throws(Store.Error) -> Store.Change? {
        let deadline = ContinuousClock.now + timeout
        while true {
          if let change = try nextIfThere() { return change }
          let left = deadline - ContinuousClock.now
          guard left > .zero else { return nil }
          let milliseconds = Swift.max(
            1,
            Int(clamping: left.components.seconds * 1_000)
              + Int(left.components.attoseconds / 1_000_000_000_000_000))
          core.waitForCommit(while: next, milliseconds: Swift.min(milliseconds, StoreCore.mostWait))
        }
      }

      /// The next change, for which the task is suspended; nil if the store is closed.
      fileprivate mutating func nextSuspending() async throws -> Store.Change? {
        while true {
          try Task.checkCancellation()
          if let change = try nextIfOpen() { return change }
          if isOver { return nil }
          await core.commitWaits.wait(for: core, while: next)
        }
      }

      /// As `nextIfThere`, but if the store is closed, nil, and `isOver` is set.
      // Without a typed error, and not inlined: Swift 6.3.1 crashes on the asynchronous function then.
      @inline(never)
      private mutating func nextIfOpen() throws -> Store.Change? {
        do {
          return try nextIfThere()
        } catch {
          if error.code != .closed { throw error }
          isOver = true
          return nil
        }
      }

      fileprivate mutating func nextIfThere() throws(Store.Error) -> Store.Change? {
        if ahead.isEmpty {
          next = try core.readChanges(&walk, filter, &ahead)
          ahead.reverse()
        }
        return ahead.popLast()
      }
    }

    /// A position in the changes, for a loop in a task.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
      fileprivate var reader: Reader

      /// The next change, for which this waits; nil if the store is closed.
      ///
      /// - Throws: `lost`, `damaged`; `CancellationError` within a tenth of a second after the task was
      ///   cancelled.
      public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Store.Change? {
        try await reader.nextSuspending()
      }

      /// As `next(isolation:)`.
      public mutating func next() async throws -> Store.Change? { try await next(isolation: nil) }
    }
  }
}

extension Store.Change {
  /// The key as a `String`, a number or another ``Store/ByteDecodable``. Throws as
  /// ``Store/get(_:as:)``.
  public func key<Key: Store.ByteDecodable>(as type: Key.Type) throws(Store.Error) -> Key {
    try unsafe Key(copying: key.span.bytes)
  }

  /// The value as a `String`, a number or another ``Store/ByteDecodable``; nil if there is none.
  /// Throws as ``Store/get(_:as:)``; the message names the key.
  public func value<Value: Store.ByteDecodable>(as type: Value.Type) throws(Store.Error) -> Value? {
    try value(reading: Value.init(copying:))
  }

  /// The value as `read` makes it of the bytes; nil if there is none. Errors get the key.
  package func value<Value>(
    reading read: (RawSpan) throws(Store.Error) -> Value
  ) throws(Store.Error) -> Value? {
    guard let value else { return nil }
    do {
      return try unsafe read(value.span.bytes)
    } catch {
      throw unsafe error.naming(key: key.span.bytes)
    }
  }
}
