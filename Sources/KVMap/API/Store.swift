public import SystemPackage

/// A persistent key-value store in one file.
///
///     let store = try Store(path: "settings.kvmap")
///     try store.put("hello", forKey: "greeting")
///     let greeting = try store.get("greeting", as: String.self)
///
/// Keys (0 to 65,536 bytes) and values (0 bytes to 64 TiB) are any bytes. Any number of threads and
/// processes may have the store open; a change made by one is seen by all as soon as the call
/// returns. A change whose call has returned survives the death of the process;
/// ``StoreOptions/durability`` says when it survives power failure.
///
/// The handle closes the store when it is released; ``close()`` reports errors. After `fork` a
/// child must open the store itself; its parent's handle throws `closed`.
public final class Store: Sendable {
  let core: StoreCore

  init(core: StoreCore) { self.core = core }

  /// Opens the store at `path`, and creates it if it is not there.
  ///
  /// Does not read the data: takes as long for a large store as for a small one, plus the time to
  /// replay the log since the last checkpoint if the store was not closed: at most about 48 MiB, or
  /// half more than the index if that is larger. For writing it may wait, up to
  /// ``StoreOptions/timeout``, for a process that recovers, truncates or creates the store. Opening
  /// for reading waits for no lock.
  ///
  /// - Throws: ``StoreError`` with `notFound`, `notAStore`, `newerFormat`, `damaged`,
  ///   `networkFileSystem`, `permissionDenied`, `cannotCreate`, `diskFull`, `notEnoughMemory`,
  ///   `lost`, `replaced`, `busy`, `outcomeUnknown` or `system`. A file that is refused is not
  ///   changed.
  public init(_ path: FilePath, options: StoreOptions = StoreOptions()) throws(StoreError) {
    core = try Opening(path: path, options: options, clock: .system).open()
  }

  /// Opens the store at `path`, and creates it if it is not there. As ``init(_:options:)``.
  public convenience init(
    path: String, options: StoreOptions = StoreOptions()
  ) throws(StoreError) {
    try self.init(FilePath(path), options: options)
  }

  /// Makes a new store with what `fill` puts into it: it appears at the path complete and durable,
  /// or not at all.
  ///
  /// Filling is fast, as nobody else has the store open. A file that is at the path is never
  /// replaced, unless it is empty. Blocks until everything is synced. If an empty file has the
  /// name, waits up to the timeout for processes that have it open.
  ///
  /// - Parameters:
  ///   - path: where the store is to be.
  ///   - options: used are `allowNetworkFileSystem`, `mode` and `timeout`.
  ///   - fill: stores the contents. The handle it gets is closed when this call returns.
  /// - Throws: what `fill` throws; ``StoreError`` with `cannotCreate`, `diskFull`,
  ///   `notEnoughMemory`, `networkFileSystem` or `busy`. Nothing is created then.
  public static func create(
    at path: FilePath, options: StoreOptions = StoreOptions(), filling fill: (Store) throws -> Void
  ) throws {
    let target = Opening(path: path, options: options, clock: .system)
    var failure: (any Error)?
    do throws(StoreError) {
      try target.checkIsFree()
      _ = try target.createComplete { core throws(StoreError) in
        do {
          try fill(Store(core: core))
          return true
        } catch {
          failure = error
          throw StoreError(.cannotCreate, "the store could not be filled: \(error)")
        }
      }
    } catch {
      throw failure ?? error.naming(path.string)
    }
  }

  /// A store in memory, with the same calls. It is gone when the handle is.
  ///
  /// Where the system has no `memfd_create` (Darwin), it is an unnamed file in `TMPDIR`.
  ///
  /// - Throws: ``StoreError`` with `notEnoughMemory`, `diskFull` or `system`.
  public static func inMemory() throws(StoreError) -> Store {
    Store(core: try Opening.inMemory(StoreOptions(), clock: .system))
  }

  /// Closes the store: makes changes durable if the handle's durability is not `.none`, writes a
  /// checkpoint if there were commits since the last one, and releases all locks.
  ///
  /// Blocks until that is done. A handle that promised durability waits for another writer, up to
  /// the timeout; else a writer is left to write the checkpoint itself. Later calls throw `closed`;
  /// closing again does nothing. Memory that a running call still uses is unmapped after it.
  ///
  /// - Throws: ``StoreError`` with `outcomeUnknown` if a sync failed, `busy` if another process
  ///   kept the write lock, or as `put`; the handle is closed all the same. `reentrant` inside a
  ///   transaction: then it stays open.
  public func close() throws(StoreError) {
    try core.checkNotInTransaction()
    try core.shutDown()
  }

  // MARK: Reading

  /// The value of `key`; nil if there is none.
  ///
  /// Takes no lock and writes nothing. O(1): two cache misses, or two page reads when the store is
  /// not in memory, and a copy of the value.
  ///
  /// - Throws: ``StoreError`` with `damaged` if the record or an index page is not what was
  ///   written; damage never makes a key look absent. Also `lost`, `closed`, or `notEnoughMemory`
  ///   if the file has grown and cannot be mapped.
  @inlinable
  public func get(_ key: borrowing some ByteSource & ~Copyable & ~Escapable) throws(StoreError) -> [UInt8]? {
    try key.withBytes { key throws(StoreError) in try get(bytes: key) }
  }

  @usableFromInline
  func get(bytes key: RawSpan) throws(StoreError) -> [UInt8]? { try core.get(key) }

  /// The value of `key` as a `String`, `[UInt8]`, or (with `KVMapFoundation`)
  /// `Data`; nil if there is none.
  ///
  /// - Throws: as ``get(_:)``; `invalidText` if a `String` is asked for and the
  ///   value is not UTF-8.
  public func get<Value: ByteDecodable>(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, as type: Value.Type
  ) throws(StoreError) -> Value? {
    guard let bytes = try get(key) else { return nil }
    return try unsafe Value(copying: bytes.span.bytes)
  }

  /// Calls `body` with the value of `key` where it lies in the file; nil if there is none. Nothing
  /// is copied. Waits for no writer. O(1).
  ///
  /// The span is valid, and its bytes do not change, until `body` returns, whatever this or another
  /// process does to the store meanwhile. `body` may use the store, also write to it; space that is
  /// freed meanwhile is reused only afterwards.
  ///
  /// - Throws: as ``get(_:)``, `lost` if the file was cut short while `body` ran, and what `body`
  ///   throws.
  public func withValue<R>(
    forKey key: borrowing some ByteSource & ~Copyable & ~Escapable, _ body: (RawSpan) throws -> R
  ) throws -> R? {
    try key.withBytes { key throws in try core.withValue(key, body) }
  }

  /// Whether there is a value for `key`. As ``get(_:)`` without the copy.
  @inlinable
  public func contains(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in try contains(bytes: key) }
  }

  @usableFromInline
  func contains(bytes key: RawSpan) throws(StoreError) -> Bool { try core.contains(key) }

  /// How many keys there are, without those whose values have expired.
  ///
  /// Waits for no lock. Allowed inside a transaction, without that transaction's changes. O(1)
  /// where nothing has expired. As long as the store holds values that have, until compaction
  /// reclaims their space, each record is looked at: O(n), while others write.
  ///
  /// - Throws: ``StoreError`` with `damaged`, `lost`, `closed` or `notEnoughMemory`.
  public var count: Int {
    get throws(StoreError) { try core.count() }
  }

  // MARK: Writing

  /// Stores `value` for `key`, in place of the one that is there.
  ///
  /// Waits for the write lock: for other threads' calls, and up to the timeout for other
  /// processes'. O(1), plus a copy of the value: the table is never rehashed, at most one page of
  /// it is split.
  ///
  /// - Parameters:
  ///   - value: what to store.
  ///   - key: the key to store it under.
  ///   - condition: when to store at all.
  ///   - expires: when the value expires.
  ///   - durability: for this commit; the handle's if nil. Only `.onCommit` differs from the others
  ///     here.
  /// - Returns: whether the condition was met and the value is stored.
  /// - Throws: ``StoreError`` with `keyTooLong`, `valueTooLong`, `diskFull` (nothing changed),
  ///   `busy`, `readOnly`, `damaged`, `lost`, `closed`, `replaced`, `notEnoughMemory`, `reentrant`
  ///   (inside a transaction), or `outcomeUnknown` if a sync failed.
  @inlinable @discardableResult
  public func put(
    _ value: borrowing some ByteSource & ~Copyable & ~Escapable,
    forKey key: borrowing some ByteSource & ~Copyable & ~Escapable,
    if condition: PutCondition = .always, expires: Expiry = .never, durability: Durability? = nil
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in
      try value.withBytes { value throws(StoreError) in
        try put(bytes: value, forKey: key, condition, expires, durability)
      }
    }
  }

  @usableFromInline
  func put(
    bytes value: RawSpan, forKey key: RawSpan, _ condition: PutCondition, _ expires: Expiry,
    _ durability: Durability?
  ) throws(StoreError) -> Bool {
    try core.put(key, value, condition, expires, durability)
  }

  /// Removes `key` and its value. Waits as a put does. O(1); on a full disk it may write a
  /// checkpoint.
  ///
  /// - Returns: whether it was there.
  /// - Throws: as `put`.
  @inlinable @discardableResult
  public func remove(
    _ key: borrowing some ByteSource & ~Copyable & ~Escapable, durability: Durability? = nil
  ) throws(StoreError) -> Bool {
    try key.withBytes { key throws(StoreError) in try remove(bytes: key, durability) }
  }

  @usableFromInline
  func remove(bytes key: RawSpan, _ durability: Durability?) throws(StoreError) -> Bool {
    try core.remove(key, durability)
  }

  /// Makes several changes one commit: all of them happen or none, even after a crash. If `body`
  /// throws, none happens.
  ///
  /// Waits for the write lock as a put does, and holds it while `body` runs. `body` reads its own
  /// changes through the transaction, and nobody else sees any before it returns. Readers beside it
  /// may see the changes one by one while they are published. Calls of the store that write throw
  /// `reentrant` inside `body`.
  ///
  /// - Returns: what `body` returns.
  /// - Throws: as `put`, and what `body` throws.
  public func transaction<R>(
    durability: Durability? = nil, _ body: (borrowing Transaction) throws -> R
  ) throws -> R {
    try unsafe core.transaction(durability) { open in try unsafe body(Transaction(open)) }
  }

  /// Blocks until everything that was committed before is durable. Waits for the write lock as a
  /// put does.
  ///
  /// - Throws: ``StoreError`` with `outcomeUnknown` if the sync failed, and as `put`.
  public func sync() throws(StoreError) { try core.sync() }

  /// Writes a checkpoint: afterwards, what was committed before is durable, the next opening has
  /// none of it to replay, and space that was freed before can be used again.
  ///
  /// The store does this by itself now and then; see ``StoreOptions/checkpoints``. Blocks until it
  /// is done; others read and write meanwhile. O(pages changed since the last one).
  ///
  /// - Throws: ``StoreError`` with `outcomeUnknown` if a sync failed, `busy` if another process's
  ///   checkpoint does not end within the timeout, and as `put`.
  public func checkpoint() throws(StoreError) {
    try core.checkWritable(RawSpan(), RawSpan())
    try core.checkpoint()
  }

  // MARK: Going through all

  /// Calls `body` with each key and value, in no particular order. Waits for no writer. O(n).
  ///
  /// What is there from start to end is passed exactly once, whatever changes meanwhile; what is
  /// added or removed meanwhile may or may not be passed. `body` may use the store, also write to
  /// it; space that is freed meanwhile is reused only afterwards. The spans are valid until `body`
  /// returns.
  ///
  /// - Throws: as ``get(_:)``, and what `body` throws, which ends the walk.
  public func forEach(_ body: (_ key: RawSpan, _ value: RawSpan) throws -> Void) throws {
    try core.forEach(body)
  }

  /// A position in the store, to go through it step by step. It promises the same as
  /// ``forEach(_:)``.
  public func makeCursor() -> Cursor { Cursor(core: core) }
}
