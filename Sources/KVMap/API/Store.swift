import SystemPackage

/// A persistent key-value store in one file.
///
///     let store = try Store(path: "settings.kvmap")
///     try store.put("hello", forKey: "greeting")
///     let greeting = try store.get("greeting", as: String.self)
///
/// Keys (0 to 65,536 bytes) and values (0 bytes to 64 TiB) are any bytes. Any number of threads and
/// processes may have the store open; a change made by one is seen by all as soon as the call
/// returns. A change whose call has returned survives the death of the process;
/// ``Store/Options/durability`` says when it survives power failure.
///
/// The handle closes the store when it is released; `close()` reports errors. After `fork` a
/// child must open the store itself; its parent's handle throws `closed`.
public final class Store: Sendable {
  let core: StoreCore

  init(core: StoreCore) { self.core = core }

  /// Opens the store at `path`, and creates it if it is not there.
  ///
  /// Does not read the data: takes as long for a large store as for a small one, plus the time to
  /// replay the log since the last checkpoint if the store was not closed: at most about 96 MiB, or
  /// half more than the index if that is larger. For writing it may wait, up to
  /// ``Store/Options/timeout``, for a process that recovers, truncates or creates the store. Opening
  /// for reading waits for no lock.
  ///
  /// - Throws: ``Store/Error`` with `notFound`, `notAStore`, `newerFormat`, `damaged`,
  ///   `networkFileSystem`, `permissionDenied`, `cannotCreate`, `diskFull`, `notEnoughMemory`,
  ///   `lost`, `replaced`, `busy`, `outcomeUnknown` or `system`. A file that is refused is not
  ///   changed.
  public init(_ path: some Store.Path, options: Store.Options = Store.Options()) throws(Store.Error) {
    core = try Opening(path: path.storePath(), options: options, clock: .system).open()
  }

  /// Opens the store at `path`, and creates it if it is not there. As `init(_:options:)`.
  public convenience init(
    path: some Store.Path, options: Store.Options = Store.Options()
  ) throws(Store.Error) {
    try self.init(path, options: options)
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
  /// - Throws: what `fill` throws; ``Store/Error`` with `cannotCreate`, `diskFull`,
  ///   `notEnoughMemory`, `networkFileSystem` or `busy`. Nothing is created then.
  public static func create(
    at path: some Store.Path, options: Store.Options = Store.Options(),
    filling fill: (Store) throws -> Void
  ) throws {
    let path = try path.storePath()
    let target = Opening(path: path, options: options, clock: .system)
    var failure: (any Swift.Error)?
    do throws(Store.Error) {
      try target.checkIsFree()
      _ = try target.createComplete { core throws(Store.Error) in
        do {
          try fill(Store(core: core))
          return true
        } catch {
          failure = error
          throw Store.Error(.cannotCreate, "the store could not be filled: \(error)")
        }
      }
    } catch {
      throw failure ?? error.naming(path.string)
    }
  }

  /// A store in memory, with the same calls. It is gone when the handle is.
  ///
  /// For tests, and for what need not outlive the process. Where the system has no `memfd_create`
  /// (Darwin), it is an unnamed file in `TMPDIR`.
  ///
  /// - Parameters:
  ///   - options: as for a file. Those that concern the file, or other processes, have no effect.
  ///   - clock: what decides when values expire; the system's clock if nil.
  /// - Throws: ``Store/Error`` with `notEnoughMemory`, `diskFull` or `system`.
  public static func inMemory(
    options: Store.Options = Store.Options(), clock: Store.ManualClock? = nil
  ) throws(Store.Error) -> Store {
    Store(core: try Opening.inMemory(options, clock: clock?.clock ?? .system))
  }

  /// Closes the store: makes changes durable if the handle's durability is not `.none`, writes a
  /// checkpoint if there were commits since the last one, and releases all locks.
  ///
  /// Blocks until that is done. A handle that promised durability waits for another writer, up to
  /// the timeout; else a writer is left to write the checkpoint itself. Later calls throw `closed`;
  /// closing again does nothing. Memory that a running call still uses is unmapped after it.
  ///
  /// - Throws: ``Store/Error`` with `outcomeUnknown` if a sync failed, `busy` if another process
  ///   kept the write lock, or as `put`; the handle is closed all the same. `reentrant` inside a
  ///   transaction: then it stays open.
  public func close() throws(Store.Error) {
    try core.checkNotInTransaction()
    try core.shutDown()
  }

  // MARK: Reading

  /// The value of `key`; nil if there is none.
  ///
  /// Takes no lock and writes nothing. O(1): two cache misses, or two page reads when the store is
  /// not in memory, and a copy of the value.
  ///
  /// - Throws: ``Store/Error`` with `damaged` if the record or an index page is not what was
  ///   written; damage never makes a key look absent. Also `lost`, `closed`, or `notEnoughMemory`
  ///   if the file has grown and cannot be mapped.
  @inlinable
  public func get(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) throws(Store.Error) -> [UInt8]? {
    try key.withBytes { key throws(Store.Error) in try get(bytes: key) }
  }

  @usableFromInline
  func get(bytes key: RawSpan) throws(Store.Error) -> [UInt8]? { try core.get(key) }

  /// The value of `key` as a `String`, a number or another ``Store/ByteDecodable``; nil if there is
  /// none.
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``; if the value cannot be read as `Value`, what its initialiser throws,
  ///   such as `invalidText`, `notANumber` or `invalidValue`. The message names the key.
  public func get<Value: Store.ByteDecodable>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, as type: Value.Type
  ) throws(Store.Error) -> Value? {
    try get(key, reading: Value.init(copying:))
  }

  /// The value of `key` as `read` makes it of the bytes; nil if there is none. Errors of `read` get
  /// the name of the store and the key.
  package func get<Value>(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    reading read: (RawSpan) throws(Store.Error) -> Value
  ) throws(Store.Error) -> Value? {
    try core.read(try get(key), of: key, read)
  }

  /// What the store is called in messages: its path.
  package var name: String { core.name }

  /// Calls `body` with the value of `key` where it lies in the file; nil if there is none. Nothing
  /// is copied. Waits for no writer. O(1).
  ///
  /// The span is valid, and its bytes do not change, until `body` returns, whatever this or another
  /// process does to the store meanwhile. `body` may use the store, also write to it; space that is
  /// freed meanwhile is reused only afterwards.
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``, `lost` if the file was cut short while `body` ran, and what `body`
  ///   throws.
  public func withValue<R>(
    forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, _ body: (RawSpan) throws -> R
  ) throws -> R? {
    try key.withBytes { key throws in try core.withValue(key, body) }
  }

  /// Whether there is a value for `key`. As ``get(_:)->[UInt8]?`` without the copy.
  @inlinable
  public func contains(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable
  ) throws(Store.Error) -> Bool {
    try key.withBytes { key throws(Store.Error) in try contains(bytes: key) }
  }

  @usableFromInline
  func contains(bytes key: RawSpan) throws(Store.Error) -> Bool { try core.contains(key) }

  /// How many keys there are, without those whose values have expired.
  ///
  /// Waits for no lock. Allowed inside a transaction, without that transaction's changes. O(1)
  /// where nothing has expired. As long as the store holds values that have, until compaction
  /// reclaims their space, each record is looked at: O(n), while others write.
  ///
  /// - Throws: ``Store/Error`` with `damaged`, `lost`, `closed` or `notEnoughMemory`.
  public var count: Int {
    get throws(Store.Error) { try core.count() }
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
  /// - Throws: ``Store/Error`` with `keyTooLong`, `valueTooLong`, `diskFull` (nothing changed),
  ///   `busy`, `readOnly`, `damaged`, `lost`, `closed`, `replaced`, `notEnoughMemory`, `reentrant`
  ///   (inside a transaction), or `outcomeUnknown` if a sync failed.
  @inlinable @discardableResult
  public func put(
    _ value: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    forKey key: borrowing some Store.ByteSource & ~Copyable & ~Escapable,
    if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool {
    try key.withBytes { key throws(Store.Error) in
      try value.withBytes { value throws(Store.Error) in
        try put(bytes: value, forKey: key, condition, expires, durability)
      }
    }
  }

  @usableFromInline
  func put(
    bytes value: RawSpan, forKey key: RawSpan, _ condition: Store.PutCondition, _ expires: Store.Expiry,
    _ durability: Store.Durability?
  ) throws(Store.Error) -> Bool {
    try core.put(key, value, condition, expires, durability)
  }

  /// Removes `key` and its value. Waits as a put does. O(1); on a full disk it may write a
  /// checkpoint.
  ///
  /// - Returns: whether it was there.
  /// - Throws: as `put`.
  @inlinable @discardableResult
  public func remove(
    _ key: borrowing some Store.ByteSource & ~Copyable & ~Escapable, durability: Store.Durability? = nil
  ) throws(Store.Error) -> Bool {
    try key.withBytes { key throws(Store.Error) in try remove(bytes: key, durability) }
  }

  @usableFromInline
  func remove(bytes key: RawSpan, _ durability: Store.Durability?) throws(Store.Error) -> Bool {
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
    durability: Store.Durability? = nil, _ body: (borrowing Store.Transaction) throws -> R
  ) throws -> R {
    try unsafe core.transaction(durability) { open in try unsafe body(Store.Transaction(open)) }
  }

  /// Blocks until everything that was committed before is durable. Waits for the write lock as a
  /// put does.
  ///
  /// - Throws: ``Store/Error`` with `outcomeUnknown` if the sync failed, and as `put`.
  public func sync() throws(Store.Error) { try core.sync() }

  /// Blocks until the commit with the number `sequence` is durable, and all before it. Does nothing but
  /// wait for the write lock if it is durable already.
  ///
  /// ``lastSequence``, read after a commit of this thread, is the number of that commit or of a later one.
  ///
  /// - Throws: as `sync()`.
  public func sync(upTo sequence: UInt64) throws(Store.Error) { try core.sync(upTo: sequence) }

  /// Writes a checkpoint: afterwards, what was committed before is durable, the next opening has
  /// none of it to replay, and space that was freed before can be used again.
  ///
  /// The store does this by itself now and then; see ``Store/Options/checkpoints``. Blocks until it
  /// is done; others read and write meanwhile. O(pages changed since the last one).
  ///
  /// - Throws: ``Store/Error`` with `outcomeUnknown` if a sync failed, `busy` if another process's
  ///   checkpoint does not end within the timeout, and as `put`.
  public func checkpoint() throws(Store.Error) {
    try core.checkWritable(RawSpan(), RawSpan())
    try core.checkpoint()
  }

  // MARK: Going through all

  /// Calls `body` with each key and value, in no particular order. Waits for no writer. O(n).
  ///
  /// What is there from start to end is passed exactly once, whatever changes meanwhile; what is
  /// added or removed meanwhile is passed once or not at all. `body` may use the store, also write to
  /// it; space that is freed meanwhile is reused only afterwards. The spans are valid until `body`
  /// returns.
  ///
  /// - Throws: as ``get(_:)->[UInt8]?``, and what `body` throws, which ends the walk.
  public func forEach(_ body: (_ key: RawSpan, _ value: RawSpan) throws -> Void) throws {
    try core.forEach(body)
  }

  /// A position in the store, to go through it step by step. It promises the same as
  /// ``forEach(_:)``.
  public func makeCursor() -> Store.Cursor { Store.Cursor(core: core) }

  /// That many cursors, each over a part of the keys, together over all: to go through the store
  /// with several threads or tasks.
  ///
  ///     let total = try await withThrowingTaskGroup(of: Int.self) { group in
  ///       for var cursor in store.cursors(4) {
  ///         group.addTask {
  ///           var bytes = 0
  ///           while let entry = try cursor.next() { bytes += entry.value.count }
  ///           return bytes
  ///         }
  ///       }
  ///       return try await group.reduce(0, +)
  ///     }
  ///
  /// The parts are ranges of the keys' hashes, and so about equally large. They promise together
  /// what one cursor promises. A damaged page that reaches into several parts is reported by each.
  ///
  /// - Parameter count: how many; at least 1.
  public func cursors(_ count: Int) -> [Store.Cursor] { Store.Cursor.several(count, core: core) }
}
