import CMappedMemory
import Synchronization

extension Store {
  /// A store as it was at one moment, whatever is written afterwards; see ``Store/snapshot()``.
  ///
  /// Any thread may use it. While it lives, neither the space of what it shows nor that of anything
  /// overwritten or removed after it was taken is used again, so the file grows. It ends when it is
  /// released, when ``end()`` is called, or with its process.
  public final class Snapshot: Sendable {
    let core: StoreCore
    private let root: PagePointer
    private let pinned: Epoch
    /// Keeps the mapping alive as long as the snapshot lives, for the spans that it hands out.
    private let hold: Int
    /// A clock that stands still, so that nothing expires.
    let clock: Clock
    private let isOver = Atomic<Bool>(false)

    private let recordCount: Int
    private let mayHaveExpired: Bool

    /// The number of the last commit that it shows: ``Store/changes(since:withPrefix:values:durable:)``
    /// with this number tells all that came after it, and nothing else.
    public let sequence: UInt64

    init(_ core: StoreCore, _ state: SharedState.FrozenState, pinned: Epoch) {
      self.core = core
      root = state.root
      recordCount = Int(clamping: state.count)
      sequence = Swift.max(1, state.next.number) - 1
      self.pinned = pinned
      hold = core.backing.mapping.hold()
      let now = core.clock.now()
      clock = Clock(now: { now })
      mayHaveExpired = core.shared[.earliestExpiry] <= now
    }

    deinit { end() }

    /// Ends the snapshot: later calls throw `closed`, and the space that it held back can be reused.
    /// No thread may be in one of its calls, or use one of its spans. Ending it again does nothing.
    public func end() {
      if isOver.exchange(true, ordering: .acquiringAndReleasing) { return }
      // A forked child has no pins, and perhaps a mutex that a thread of its parent held.
      guard kvmap_process_generation() == core.processGeneration else { return }
      try? core.pins.unpin(pinned)
      core.backing.mapping.release(hold)
      core.unmapOutgrown()
    }

    // MARK: Reading

    /// How many keys there are, without those whose values had expired when the snapshot was taken.
    /// Waits for no lock. O(1) where none had, else O(n).
    ///
    /// - Throws: ``Store/Error`` with `damaged`, `lost`, `closed` or `notEnoughMemory`.
    public var count: Int {
      get throws(Store.Error) {
        if !mayHaveExpired { return try read { _ in recordCount } }
        return try core.countUnexpired(in: self)
      }
    }

    /// Throws `closed` if the snapshot has ended.
    @inline(__always)
    func checkNotOver() throws(Store.Error) {
      if isOver.load(ordering: .relaxed) {
        throw Store.Error(.closed, "\(core.name): the snapshot has ended; take another")
      }
    }

    /// Runs `body` with the index as it was when the snapshot was taken.
    func read<R>(_ body: (IndexReader) throws(Store.Error) -> R) throws(Store.Error) -> R {
      try checkNotOver()
      return try core.readFrozen { memory throws(Store.Error) in
        try body(IndexReader(memory: memory, root: root))
      }
    }

    /// Where the value of `key` lies; nil if there was none.
    private func find(_ key: RawSpan) throws(Store.Error) -> FoundBytes? {
      let hash = KeyHash(key, seed: core.source.seed)
      return try read { index throws(Store.Error) -> FoundBytes? in
        guard let match = try core.find(key, hash, index, clock) else { return nil }
        return FoundBytes(bytes: index.memory.bytes, range: try match.record(index.memory).value())
      }
    }

    /// The value of `key`; nil if there was none. As ``Store/get(_:)->[UInt8]?``.
    public func get(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> [UInt8]? {
      try key.withBytes { key throws(Store.Error) in
        guard let found = try find(key) else { return nil }
        let bytes = found.array
        try core.checkNotLost()
        return bytes
      }
    }

    /// The value of `key` as a `String`, a number or another ``Store/ByteDecodable``; nil if there
    /// was none. As ``Store/get(_:as:)``.
    public func get<Value: Store.ByteDecodable>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type
    ) throws(Store.Error) -> Value? {
      try get(key, reading: Value.init(copying:))
    }

    /// The value of `key` as `read` makes it of the bytes; nil if there was none. Errors of `read`
    /// get the name of the store and the key.
    package func get<Value>(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
      reading read: (RawSpan) throws(Store.Error) -> Value
    ) throws(Store.Error) -> Value? {
      try core.read(try get(key), of: key, read)
    }

    /// Whether there was a value for `key`.
    public func contains(
      _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> Bool {
      try key.withBytes { key throws(Store.Error) in try find(key) != nil }
    }

    /// The value of `key` where it lies in the file; nil if there was none. Nothing is copied. The
    /// span is valid for as long as the snapshot.
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``. If the file is cut short later, its bytes read as zeros, and
    ///   nothing says so; ``withValue(forKey:_:)`` throws then.
    @_lifetime(borrow self)
    public func value(
      forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
    ) throws(Store.Error) -> RawSpan? {
      let found = try key.withBytes { key throws(Store.Error) in try find(key) }
      guard let found else { return nil }
      return unsafe _overrideLifetime(found.span, borrowing: self)
    }

    /// Calls `body` with the value of `key` where it lies in the file; nil if there was none. `body`
    /// may use the store, also write to it. The span is valid until `body` returns.
    ///
    /// - Throws: as ``Store/withValue(forKey:_:)``.
    public func withValue<R>(
      forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, _ body: (RawSpan) throws -> R
    ) throws -> R? {
      let found = try key.withBytes { key throws(Store.Error) in try find(key) }
      guard let found else { return nil }
      defer { withExtendedLifetime(self) {} }
      let result = try body(found.span)
      try core.checkNotLost()
      return result
    }

    /// Calls `body` with each key and value, in no particular order. `body` may use the store, also
    /// write to it. The spans are valid until `body` returns. O(n).
    ///
    /// - Throws: as ``Store/get(_:)->[UInt8]?``, and what `body` throws, which ends the walk.
    public func forEach(_ body: (_ key: RawSpan, _ value: RawSpan) throws -> Void) throws {
      defer { withExtendedLifetime(self) {} }
      try core.forEach(in: self, body)
    }

    /// A position in the snapshot, to go through it step by step.
    public func makeCursor() -> Store.Cursor { Store.Cursor(core: core, snapshot: self) }

    /// That many cursors, each over a part of the keys, together over all. As ``Store/cursors(_:)``.
    public func cursors(_ count: Int) -> [Store.Cursor] {
      Store.Cursor.several(count, core: core, snapshot: self)
    }
  }
}

extension Store {
  /// The store as it is now, unaffected by later writes.
  ///
  /// Waits for the write lock like a put; then O(1). Until the snapshot ends, each page of the
  /// index is copied before its first change, and no space is reused that the snapshot may show. So
  /// if it is kept for long while much is written, the file grows.
  ///
  /// A read-only handle takes no lock: its snapshot shows the state at the last checkpoint or
  /// snapshot of any process.
  ///
  /// - Throws: ``Store/Error`` with `busy`, `damaged`, `lost`, `closed`, `replaced`,
  ///   `notEnoughMemory` or `reentrant`.
  public func snapshot() throws(Store.Error) -> Store.Snapshot { try core.snapshot() }
}

extension StoreCore {
  func snapshot() throws(Store.Error) -> Store.Snapshot {
    if options.access == .readOnly, backing.isShared { return try frozenSnapshot() }
    return try withWriteLock { _ throws(Store.Error) in
      let shared = shared
      let epoch = shared[.epoch].next
      // Nobody raises the floor while this thread has the write lock.
      guard try pins.pin(epoch) else {
        throw Store.Error(.damaged, "the shared state contradicts itself; close the store in all processes")
      }
      shared.freeze()
      return Store.Snapshot(self, shared.frozen, pinned: epoch)
    }
  }

  /// A snapshot of the last state that another handle has frozen. It is pinned, and then checked to
  /// be still the last one.
  private func frozenSnapshot() throws(Store.Error) -> Store.Snapshot {
    try checkOpen()
    defer { withExtendedLifetime(self) {} }
    let deadline = ContinuousClock.now + options.timeout
    let shared = shared
    while true {
      let word = shared[.frozen]
      let frozen = shared.frozen
      let epoch = frozen.epoch.next
      if try pins.pin(epoch) {
        if shared[.frozen] == word {
          return Store.Snapshot(self, frozen, pinned: epoch)
        }
        try pins.unpin(epoch)
      }
      if ContinuousClock.now >= deadline {
        throw Store.Error(
          .busy,
          "\(name): other processes wrote checkpoints faster than one could be pinned for "
            + "\(options.timeout); try again")
      }
      pause(microseconds: 50)
    }
  }
}
