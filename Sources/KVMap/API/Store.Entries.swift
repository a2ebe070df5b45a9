extension Store {
  /// The entries of a store or a snapshot, or of a prefix of its keys, as a sequence.
  ///
  ///     for entry in store.entries(withPrefix: "user/") {
  ///       let entry = try entry.get()
  ///       print(try entry.key(as: String.self), entry.value.count)
  ///     }
  ///
  /// Each element is an entry, or the error met in its place: a sequence cannot throw, and damage must
  /// not be overlooked. After `damaged`, which concerns one record, or one index page with all its
  /// keys, the sequence goes on; any other error, such as `closed`, is its last element.
  ///
  /// The entries of a store promise what a ``Store/Cursor`` promises: nothing is pinned, so a long
  /// loop does not keep space from being reused; an entry that stays is met exactly once; one that is
  /// written or removed meanwhile is met with the value it has then, or not at all. Those of a
  /// snapshot are the entries of its moment, which it pins.
  ///
  /// Keys come in no particular order. O(n) for all of them, also for those of a prefix; keys and
  /// values are copied. A step may block on reading the file, and waits for no writer. Each loop
  /// begins anew.
  public struct Entries: Sequence, Sendable {
    let core: StoreCore
    let snapshot: Store.Snapshot?
    let prefix: [UInt8]

    init(_ core: StoreCore, _ snapshot: Store.Snapshot? = nil, prefix: [UInt8] = []) {
      self.core = core
      self.snapshot = snapshot
      self.prefix = prefix
    }

    var cursor: Store.Cursor {
      Store.Cursor(core: core, snapshot: snapshot, prefix: prefix)
    }

    /// A new position, at the beginning.
    public func makeIterator() -> Iterator { Iterator(cursor) }

    /// A position in the entries.
    public struct Iterator: IteratorProtocol, Sendable {
      private var cursor: Store.Cursor
      private var isOver = false

      fileprivate init(_ cursor: Store.Cursor) { self.cursor = cursor }

      /// The next entry, or the error met in its place; nil at the end.
      public mutating func next() -> Result<Store.Entry, Store.Error>? {
        step { cursor throws(Store.Error) in try cursor.next() }
      }

      fileprivate mutating func nextKey() -> Result<[UInt8], Store.Error>? {
        step { cursor throws(Store.Error) in try cursor.nextKey() }
      }

      private mutating func step<Element>(
        _ next: (inout Store.Cursor) throws(Store.Error) -> Element?
      ) -> Result<Element, Store.Error>? {
        if isOver { return nil }
        do {
          if let element = try next(&cursor) { return .success(element) }
          isOver = true
          return nil
        } catch {
          // The next step would meet any other error again, for ever.
          isOver = error.code != .damaged
          return .failure(error)
        }
      }
    }

    /// The keys alone, without reading values: faster than the entries. A key that was removed a
    /// moment ago may still be met.
    public var keys: some Sequence<Result<[UInt8], Store.Error>> & Sendable { Keys(entries: self) }

    /// The values alone.
    public var values: some Sequence<Result<[UInt8], Store.Error>> {
      lazy.map { $0.map(\.value) }
    }

    private struct Keys: Sequence, Sendable {
      let entries: Entries

      func makeIterator() -> Iterator { Iterator(entries: entries.makeIterator()) }

      struct Iterator: IteratorProtocol {
        var entries: Entries.Iterator
        mutating func next() -> Result<[UInt8], Store.Error>? { entries.nextKey() }
      }
    }

    // MARK: In tasks

    /// The entries for a loop in a task, which throws instead of giving errors as elements.
    ///
    ///     for try await entry in store.entries().async {
    ///       print(try entry.key(as: String.self))
    ///     }
    ///
    /// Every 64 entries it lets other tasks run, and throws `CancellationError` if the task was
    /// cancelled. Between these points a step blocks its thread, as that of a plain loop does.
    public var async: Async { Async(entries: self) }

    /// Entries for a loop in a task; see ``Store/Entries/async``.
    public struct Async: AsyncSequence, Sendable {
      fileprivate let entries: Entries

      /// A new position, at the beginning.
      public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(cursor: entries.cursor) }

      /// A position in the entries.
      public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        fileprivate var cursor: Store.Cursor
        private var steps = 0

        fileprivate init(cursor: Store.Cursor) { self.cursor = cursor }

        /// The next entry; nil at the end.
        ///
        /// - Throws: as ``Store/Cursor/next()``; `CancellationError` if the task was cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Store.Entry? {
          if steps % 64 == 0 {
            try Task.checkCancellation()
            await Task.yield()
          }
          steps &+= 1
          return try cursor.next()
        }
      }
    }
  }
}

/// A store is a sequence of its entries, as they are while the loop runs; see ``Store/Entries``.
extension Store: Sequence {
  /// A position at the beginning of all entries.
  public func makeIterator() -> Store.Entries.Iterator { entries().makeIterator() }

  /// All entries, as the store itself is a sequence of them.
  public func entries() -> Store.Entries { Store.Entries(core) }

  /// The entries whose keys begin with `prefix`. O(n), since keys are not ordered.
  public func entries(
    withPrefix prefix: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) -> Store.Entries {
    Store.Entries(core, prefix: prefix.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } })
  }

  /// All keys; see ``Store/Entries/keys``.
  public var keys: some Sequence<Result<[UInt8], Store.Error>> & Sendable { entries().keys }

  /// All values; see ``Store/Entries/values``.
  public var values: some Sequence<Result<[UInt8], Store.Error>> { entries().values }
}

/// A snapshot is a sequence of the entries of its moment; see ``Store/Entries``.
extension Store.Snapshot: Sequence {
  /// A position at the beginning of all entries.
  public func makeIterator() -> Store.Entries.Iterator { entries().makeIterator() }

  /// All entries, as the snapshot itself is a sequence of them.
  public func entries() -> Store.Entries { Store.Entries(core, self) }

  /// The entries whose keys begin with `prefix`. O(n), since keys are not ordered.
  public func entries(
    withPrefix prefix: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) -> Store.Entries {
    Store.Entries(
      core, self, prefix: prefix.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } })
  }

  /// All keys; see ``Store/Entries/keys``.
  public var keys: some Sequence<Result<[UInt8], Store.Error>> & Sendable { entries().keys }

  /// All values; see ``Store/Entries/values``.
  public var values: some Sequence<Result<[UInt8], Store.Error>> { entries().values }
}
