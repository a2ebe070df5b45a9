/// Writing in tasks.
///
/// In asynchronous code these overloads are chosen: `try await store.put(…)`. What has to wait, for a
/// lock or for the disk, suspends the task, and blocks no thread of the cooperative pool. A put that
/// need not be durable is made at once if nobody has the write lock; all else is done by a thread of
/// the store, in the order of the calls. Durable commits of many tasks share syncs.
///
/// A task that is cancelled while it waits gets `CancellationError`, and nothing has happened. Once a
/// commit has begun, it ends as if the task had not been cancelled.
///
/// Reading is the same in tasks as elsewhere: it waits for nobody.
extension Store {
  /// Opens the store at `path`, and creates it if it is not there, without blocking the task's
  /// thread.
  ///
  /// - Throws: as the initializer that blocks; `CancellationError`.
  public convenience init(_ path: some Store.Path, options: Store.Options = Store.Options()) async throws {
    let path = try path.storePath()
    self.init(
      core: try await runApart { try Opening(path: path, options: options, clock: .system).open() })
  }

  /// Opens the store at `path`, and creates it if it is not there, without blocking the task's
  /// thread.
  public convenience init(path: some Store.Path, options: Store.Options = Store.Options()) async throws {
    try await self.init(path, options: options)
  }

  /// Closes the store, without blocking the task's thread.
  ///
  /// - Throws: as `close()` that blocks. Is not cancelled.
  public func close() async throws {
    let core = core
    try await Task { try await runApart { try core.shutDown() } }.value
  }

  /// Stores `value` for `key`, in place of the one that is there, without blocking the task's thread.
  ///
  ///     try await store.put("hello", forKey: "greeting")
  ///
  /// - Returns: whether the condition was met and the value is stored.
  /// - Throws: as the `put` that blocks; `CancellationError`.
  @discardableResult
  public func put(
    _ value: some Store.ByteSource, forKey key: some Store.ByteSource,
    if condition: Store.PutCondition = .always, expires: Store.Expiry = .never,
    durability: Store.Durability? = nil
  ) async throws -> Bool {
    try await core.putByTask(key.array, value.array, condition, expires, durability)
  }

  /// Removes `key` and its value, without blocking the task's thread.
  ///
  /// - Returns: whether it was there.
  /// - Throws: as the `remove` that blocks; `CancellationError`.
  @discardableResult
  public func remove(_ key: some Store.ByteSource, durability: Store.Durability? = nil) async throws -> Bool {
    try await core.removeByTask(key.array, durability)
  }

  /// Stores many values in one commit, without blocking the task's thread.
  ///
  /// - Throws: as the `put(contentsOf:)` that blocks; `CancellationError`.
  public func put<Key: Store.ByteSource, Value: Store.ByteSource>(
    contentsOf pairs: some Sequence<(Key, Value)>, durability: Store.Durability? = nil
  ) async throws {
    let pairs = pairs.map { ($0.array, $1.array) }
    try await run { store in try store.put(contentsOf: pairs, durability: durability) }
  }

  /// Removes many keys in one commit, without blocking the task's thread.
  ///
  /// - Returns: how many were there.
  /// - Throws: as the `remove(contentsOf:)` that blocks; `CancellationError`.
  @discardableResult
  public func remove<Key: Store.ByteSource>(
    contentsOf keys: some Sequence<Key>, durability: Store.Durability? = nil
  ) async throws -> Int {
    let keys = keys.map { $0.array }
    return try await run { store in try store.remove(contentsOf: keys, durability: durability) }
  }

  /// Makes several changes one commit, without blocking the task's thread.
  ///
  ///     let balance = try await store.transaction { transaction in
  ///       let balance = try transaction.get("balance", as: Int.self) ?? 0
  ///       try transaction.put(balance - 10, forKey: "balance")
  ///       return balance - 10
  ///     }
  ///
  /// `body` runs on a thread of the store, one transaction after the other, so it must not wait for
  /// other tasks.
  ///
  /// - Returns: what `body` returns.
  /// - Throws: as the `transaction` that blocks; `CancellationError`.
  public func transaction<R: Sendable>(
    durability: Store.Durability? = nil,
    _ body: @escaping @Sendable (borrowing Store.Transaction) throws -> R
  ) async throws -> R {
    try await run { store in try store.transaction(durability: durability, body) }
  }

  /// Suspends until everything that was committed before is durable.
  ///
  /// - Throws: as the `sync` that blocks; `CancellationError`.
  public func sync() async throws {
    try await run { store in try store.sync() }
  }

  /// Suspends until the commit with the number `sequence` is durable, and all before it.
  ///
  /// - Throws: as the `sync` that blocks; `CancellationError`.
  public func sync(upTo sequence: UInt64) async throws {
    try await run { store in try store.sync(upTo: sequence) }
  }

  /// Writes a checkpoint, without blocking the task's thread.
  ///
  /// - Throws: as the `checkpoint` that blocks; `CancellationError`.
  public func checkpoint() async throws {
    try await runApart { try self.checkpoint() }
  }

  /// Makes the file as small as possible, without blocking the task's thread.
  ///
  /// - Throws: as the `compact` that blocks, and what `progress` throws; `CancellationError`.
  public func compact(
    _ progress: @escaping @Sendable (Store.CompactionProgress) throws -> Void = { _ in }
  ) async throws {
    try await runApart { try self.compact(progress) }
  }

  /// Copies the store, without blocking the task's thread.
  ///
  /// - Parameters:
  ///   - path: where the new store is to be.
  ///   - sharesBlocks: whether disk space is shared, where that can be.
  ///   - options: used are `allowNetworkFileSystem`, `mode` and `timeout`.
  ///   - progress: called now and then with the number of records copied so far.
  /// - Returns: the number up to which the copy has all changes.
  /// - Throws: as the `backup` that blocks; `CancellationError`.
  @discardableResult
  public func backup(
    to path: some Store.Path, sharesBlocks: Bool = false, options: Store.Options = Store.Options(),
    progress: @escaping @Sendable (_ records: Int) -> Void = { _ in }
  ) async throws -> UInt64 {
    let path = try path.storePath()
    return try await runApart {
      try self.backup(to: path, sharesBlocks: sharesBlocks, options: options, progress: progress)
    }
  }

  /// Writes what has changed since an earlier backup, without blocking the task's thread.
  ///
  /// - Parameters:
  ///   - path: where the file is to be.
  ///   - sequence: the number up to which the earlier backup has all changes.
  ///   - mode: the permissions of the file, before the process's umask.
  ///   - progress: called now and then with the number of changes written so far.
  /// - Returns: the number up to which this backup has all changes.
  /// - Throws: as the `backup` that blocks; `CancellationError`.
  @discardableResult
  public func backup(
    to path: some Store.Path, since sequence: UInt64, mode: UInt16 = 0o644,
    progress: @escaping @Sendable (_ changes: Int) -> Void = { _ in }
  ) async throws -> UInt64 {
    let path = try path.storePath()
    return try await runApart { try self.backup(to: path, since: sequence, mode: mode, progress: progress) }
  }

  /// Checks the whole store, without blocking the task's thread.
  ///
  /// - Throws: as the `verify` that blocks; `CancellationError`.
  public func verify() async throws -> Store.VerificationReport {
    try await runApart { try self.verify() }
  }

  /// Runs `body` on the thread that changes the store for tasks.
  func run<R: Sendable>(_ body: @escaping @Sendable (Store) throws -> R) async throws -> R {
    try await core.calls.run(for: core) { try body(self) }
  }
}
