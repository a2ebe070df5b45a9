import MappedMemory
import SystemPackage

/// Backups of what has changed, and stores made of them.
extension Store {
  /// Writes what has changed since an earlier backup into a file: a backup of changes. Others write
  /// meanwhile.
  ///
  ///     let sunday = try store.backup(to: "sunday.kvmap")
  ///     let monday = try store.backup(to: "monday.changes", since: sunday)
  ///     try store.backup(to: "tuesday.changes", since: monday)
  ///     try Store.restore("again.kvmap", from: "sunday.kvmap", ["monday.changes", "tuesday.changes"])
  ///
  /// The changes are read from the log, so they must still be there: ``Store/Options/keptLog`` says how
  /// much of the log is kept. The file is a few bytes larger than their keys and values. It appears at its
  /// path when it is complete and durable, or not at all; a file that is there is never replaced. What it
  /// holds is durable in this store as well: this waits for a sync, and then for no writer.
  ///
  /// O(changes), and once the segments of the file.
  ///
  /// - Parameters:
  ///   - path: where the file is to be.
  ///   - sequence: the number up to which the earlier backup has all changes; see
  ///     ``Store/backupSequence(of:)``.
  ///   - mode: the permissions of the file, before the process's umask.
  ///   - progress: called now and then with the number of changes written so far.
  /// - Returns: the number up to which this backup has all changes: where the next one begins.
  /// - Throws: ``Store/Error`` with `backupMismatch` if not all of these changes are there any more, or
  ///   the store never had that number: then make a whole backup; `cannotCreate`, `diskFull` or
  ///   `notEnoughMemory` for the file; and as ``snapshot()``. Nothing is created then.
  @discardableResult
  public func backup(
    to path: some Store.Path, since sequence: UInt64, mode: UInt16 = 0o644,
    progress: (_ changes: Int) -> Void = { _ in }
  ) throws(Store.Error) -> UInt64 {
    if core.options.access == .scratch {
      throw Store.Error(
        .backupMismatch,
        "\(core.name): the changes of a scratch handle are none of the store; back up its file")
    }
    // What it shows is not reused before all is written, large values neither.
    let snapshot = try snapshot()
    defer { snapshot.end() }
    var state = snapshot.state
    if core.options.access == .readOnly {
      state.sequence = Swift.min(state.sequence, core.lastSequence(durable: true))
    } else {
      try core.sync(upTo: snapshot.sequence)
    }
    guard sequence <= state.sequence.number else {
      throw Store.Error(
        .backupMismatch,
        "\(core.name): there is no change \(sequence) that the backup could begin after; the last one is "
          + "\(state.sequence.number); was the earlier backup one of this store?")
    }
    let header = IncrementFormat.Header(
      identifier: state.identifier, since: SequenceNumber(number: sequence), upTo: state.sequence)
    var writer = try IncrementWriter(try path.storePath(), header, mode: mode)
    var walk = ChangeWalk(after: header.since)
    var changes: [Store.Change] = []
    repeat {
      changes.removeAll(keepingCapacity: true)
      try core.readChanges(
        &walk, ChangeFilter(prefix: [], values: true, durable: false), upTo: header.upTo, &changes)
      for change in changes { try append(change, of: snapshot, to: &writer) }
      progress(writer.count)
    } while !changes.isEmpty
    try writer.publish()
    return header.upTo.number
  }

  private func append(
    _ change: Store.Change, of snapshot: Store.Snapshot, to writer: inout IncrementWriter
  ) throws(Store.Error) {
    if change.isGap {
      throw Store.Error(
        .backupMismatch,
        "\(core.name): the changes \(change.sequences.lowerBound) to \(change.sequences.upperBound) are not "
          + "there any more; make a whole backup, and let the store keep more of its log (Options.keptLog)")
    }
    guard change.kind == .put, change.value == nil else { return try writer.append(change, change.value) }
    // The space of a large value was reused. Either a later change of the key follows, or compaction had moved
    // it, and it was replaced since the snapshot was taken.
    let value = try snapshot.read { index throws(Store.Error) in
      let key = unsafe change.key.span.bytes
      return try index.value(of: key, KeyHash(key, seed: core.source.seed), version: change.version)
    }
    if let value { try writer.append(change, value) }
  }

  /// The number up to which a backup has all changes of its store: the store that
  /// `backup(to:)` made, or a backup of changes.
  ///
  /// - Throws: ``Store/Error`` with `backupMismatch` if the store at the path was changed after it was
  ///   made, or is no backup; `notFound`, `notAStore`, `damaged`, and as opening a store for reading.
  public static func backupSequence(of path: some Store.Path) throws(Store.Error) -> UInt64 {
    let path = try path.storePath()
    do throws(Store.Error) {
      return try IncrementReader(path).header.upTo.number
    } catch {
      if error.code != .notAStore { throw error }
    }
    let store = try Store(path, options: Store.Options(access: .readOnly))
    let state = try store.snapshot().stateOfCopy()
    try store.close()
    return state.sequence.number
  }

  // MARK: Restoring

  /// Makes a store of a backup and of the backups of changes that follow it.
  ///
  /// The new store appears at its path when it is complete, verified and durable, or not at all; a file
  /// that is there is never replaced, unless it is empty. Values have the expiry and the version that they
  /// had. The new store counts as a whole backup itself, as long as nobody changes it.
  ///
  /// O(records and changes).
  ///
  /// - Parameters:
  ///   - new: where the store is to be.
  ///   - backup: the store that `backup(to:)` made.
  ///   - increments: the files that `backup(to:since:)` made, in their order. Each may
  ///     begin at or before the end of the one before.
  ///   - options: used are `allowNetworkFileSystem`, `mode` and `timeout`.
  ///   - progress: called now and then with the number of records and changes dealt with so far.
  /// - Throws: ``Store/Error`` with `backupMismatch` if they are not of one store, or changes between them
  ///   are missing; `damaged` if one of them is; and as `backup(to:)`.
  ///   Nothing is created then.
  public static func restore(
    _ new: some Store.Path, from backup: some Store.Path, _ increments: [any Store.Path] = [],
    options: Store.Options = Store.Options(), progress: (_ count: Int) -> Void = { _ in }
  ) throws(Store.Error) {
    let new = try new.storePath()
    var paths: [FilePath] = []
    for path in increments { paths.append(try path.storePath()) }
    let base = try Store(
      backup,
      options: Store.Options(
        access: .readOnly, timeout: options.timeout, allowNetworkFileSystem: options.allowNetworkFileSystem))
    defer { try? base.close() }
    try base.restore(to: new, paths, options, progress)
  }

  /// The same for a backup that is open.
  func restore(
    to new: FilePath, _ increments: [FilePath], _ options: Store.Options, _ progress: (_ count: Int) -> Void
  ) throws(Store.Error) {
    let snapshot = try snapshot()
    defer { snapshot.end() }
    let state = try increments.isEmpty ? snapshot.state : snapshot.stateOfCopy().after(increments)
    let target = Opening(path: new, options: options, clock: core.clock)
    do throws(Store.Error) {
      try target.checkIsFree()
      try withoutActuallyEscaping(progress) { progress throws(Store.Error) in
        _ = try target.createCopy(of: snapshot, as: state) { copy throws(Store.Error) in
          var count = try snapshot.copy(to: copy, progress)
          for path in increments { try copy.apply(path, &count, progress) }
          if increments.isEmpty { try copy.punchAll() } else { try copy.moveAll() }
          progress(count)
          _ = try copy.checkCopy(ofRecords: nil)
          return true
        }
      }
    } catch {
      throw error.naming(new.string)
    }
  }
}

extension Store.Snapshot {
  /// What it shows, if that is a copy which a backup has made, and which nobody has changed since.
  fileprivate func stateOfCopy() throws(Store.Error) -> Superblock.State {
    guard let original = core.superblock.copy?.original, original == state else {
      throw Store.Error(
        .backupMismatch,
        core.superblock.copy == nil
          ? "\(core.name): the store is not a backup; one is made by backup(to:)"
          : "\(core.name): the backup was changed after it was made, so no changes of its store can follow it"
      )
    }
    return original
  }
}

extension Superblock.State {
  /// The state after the changes of these increments. Throws unless each follows the one before.
  fileprivate func after(_ increments: [FilePath]) throws(Store.Error) -> Self {
    var state = self
    for path in increments {
      let header = try IncrementReader(path).header
      guard header.identifier == state.identifier else {
        throw Store.Error(
          .backupMismatch, "\(path): these are changes of another store than that of the backup")
      }
      guard header.since <= state.sequence else {
        throw Store.Error(
          .backupMismatch,
          "\(path): it begins after change \(header.since.number), and what is before it ends with change "
            + "\(state.sequence.number): a backup between them is missing")
      }
      guard header.upTo >= state.sequence else {
        throw Store.Error(
          .backupMismatch,
          "\(path): it ends with change \(header.upTo.number), and what is before it with change "
            + "\(state.sequence.number): give the backups in the order in which they were made")
      }
      state.sequence = header.upTo
    }
    return state
  }
}

extension StoreCore {
  /// Makes the changes of an increment in a store that nobody else has open.
  fileprivate func apply(
    _ path: FilePath, _ count: inout Int, _ progress: (Int) -> Void
  ) throws(Store.Error) {
    var reader = try IncrementReader(path)
    while let change = try reader.next() {
      if change.isPut {
        try unsafe add(
          change.key.span.bytes, change.value.span.bytes, expiry: change.expiry, change.number)
      } else {
        try unsafe removeUnseen(change.key.span.bytes)
      }
      count += 1
      if count % 1_024 == 0 { progress(count) }
    }
  }
}
