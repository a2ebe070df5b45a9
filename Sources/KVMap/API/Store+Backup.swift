import MappedMemory
import SystemPackage

/// Copying a store while others use it.
extension Store {
  /// Copies the store as it is now into a new one: consistent, compact and verified, while others
  /// write.
  ///
  /// The new store appears at its path when it is complete and durable, or not at all; a file that
  /// is there is never replaced, unless it is empty. Values keep their expiry and their version.
  ///
  /// The copy takes no more disk space than this store. A larger one than 64 MiB that was compacted
  /// before, or is open for reading only, may get a copy that is larger by some units of 64 KiB. A
  /// smaller one that leaves nothing to save is cloned: writers wait meanwhile, some 50 ms.
  ///
  /// With `sharesBlocks`, where the file system can (Btrfs, XFS; not on Darwin), nothing is copied:
  /// the new file shares its disk space with this store until either changes it. It is as long as
  /// this store, and takes next to no space of its own; writers wait for a short checkpoint. The
  /// price: a damaged block damages both. And as long as blocks are shared, a change in place takes
  /// new ones: so on a full disk this store can become `lost`, until it is opened again, where it
  /// would otherwise go on.
  ///
  /// O(records): each is copied or verified. A read-only handle copies what its ``snapshot()``
  /// shows.
  ///
  /// - Parameters:
  ///   - path: where the new store is to be.
  ///   - sharesBlocks: whether disk space is shared, where that can be.
  ///   - options: used are `allowNetworkFileSystem`, `mode` and `timeout`.
  ///   - progress: called now and then with the number of records copied so far.
  /// - Returns: the number up to which the copy has all changes:
  ///   `backup(to:since:)` can begin there.
  /// - Throws: ``Store/Error`` with `cannotCreate`, `diskFull`, `notEnoughMemory`,
  ///   `networkFileSystem` or `busy` for the new store; `damaged` if not all of this one can be
  ///   read (``salvage(from:into:options:progress:)`` copies what can be); and as ``snapshot()``.
  ///   Nothing is created then.
  @discardableResult
  public func backup(
    to path: some Store.Path, sharesBlocks: Bool = false, options: Store.Options = Store.Options(),
    progress: (_ records: Int) -> Void = { _ in }
  ) throws(Store.Error) -> UInt64 {
    let path = try path.storePath()
    let target = Opening(path: path, options: options, clock: core.clock)
    do throws(Store.Error) {
      try core.checkOpen()
      try target.checkIsFree()
      if sharesBlocks, let copy = try clone(to: target, .sharing, progress) { return copy.sequence.number }
      if let copy = try copyRecords(to: target, progress) { return copy.sequence.number }
      if let copy = try clone(to: target, .copying, progress) { return copy.sequence.number }
    } catch {
      throw error.naming(path.string)
    }
    throw Store.Error(.system, "\(path): the store could not be copied; try again")
  }

  private func clone(
    to target: Opening, _ method: CloneMethod, _ progress: (Int) -> Void
  ) throws(Store.Error) -> Superblock.State? {
    try target.createClone(of: core, method) { copy throws(Store.Error) in
      progress(try copy.checkCopy(ofRecords: nil))
    }
  }

  /// Returns nil, and creates nothing, if the copy would take more disk space than the store and the store is
  /// small enough to be cloned.
  private func copyRecords(
    to target: Opening, _ progress: (Int) -> Void
  ) throws(Store.Error) -> Superblock.State? {
    let snapshot = try snapshot()
    defer { snapshot.end() }
    let isWanted = try withoutActuallyEscaping(progress) { progress throws(Store.Error) in
      try target.createCopy(of: snapshot, as: snapshot.state) { copy throws(Store.Error) in
        let count = try snapshot.copy(to: copy, progress)
        try copy.punchAll()
        // How much of the last units and segments is used is a matter of chance. Compacting the copy
        // helps most of the time.
        if try core.takesLess(than: copy) { try copy.moveAll() }
        if try core.takesLess(than: copy), try core.mayBeClonedByCopying() { return false }
        progress(try copy.checkCopy(ofRecords: count))
        return true
      }
    }
    return isWanted ? snapshot.state : nil
  }
}

extension Opening {
  /// Creates a copy of what a snapshot shows, or of a later state, which `fill` makes of it.
  func createCopy(
    of snapshot: Store.Snapshot, as state: Superblock.State, _ fill: (StoreCore) throws(Store.Error) -> Bool
  ) throws(Store.Error) -> Bool {
    // What a scratch handle has changed is in no other store.
    let original = snapshot.core.options.access == .scratch ? nil : state
    return try createComplete(
      firstSequence: state.sequence.next, seed: snapshot.core.source.seed, original: original, fill)
  }
}

extension Store.Snapshot {
  /// What it shows.
  var state: Superblock.State { core.superblock.state(before: SequenceNumber(number: sequence).next) }

  /// Returns how many records were copied.
  func copy(to copy: StoreCore, _ progress: (Int) -> Void) throws(Store.Error) -> Int {
    var cursor = makeCursor()
    var count = 0
    while let entry = try cursor.next() {
      var expiry: UInt64?
      if case .at(let time) = entry.expiry { expiry = time }
      try unsafe copy.add(
        entry.key.span.bytes, entry.value.span.bytes, expiry: expiry,
        SequenceNumber(number: entry.version))
      count += 1
      if count % 1_024 == 0 { progress(count) }
    }
    return count
  }
}

extension Writer {
  /// Stores a value of another store, in a store that nobody else has open and that is complete
  /// with its next checkpoint. The record is written as compaction writes it, with the version as
  /// its sequence number, so that it takes no more space here than there.
  fileprivate mutating func add(
    _ key: RawSpan, _ value: RawSpan, expiry: UInt64?, _ sequence: SequenceNumber
  ) throws(Store.Error) {
    space.isUnseen = true
    defer { space.isUnseen = false }
    try reserveAddressSpace(for: value.byteCount)
    let hash = KeyHash(key, seed: memory.seed)
    let prepared = try prepare(key, hash, needsSlot: true)
    var fields = LogWriter.Fields(expiry: expiry, isEnd: false)
    fields.external = try writeExtent(value)
    let header = LogWriter.header(
      .move, fields, sequence: sequence, keyLength: key.byteCount, valueLength: value.byteCount)
    let unit = try mover.makeRoom(for: header.storedBytes, space: &space)
    _ = try space.writableEntry(unit)
    try space.flushReleases()
    let position = mover.append(header, fields, key: key, value: value)
    try publish(prepared, hash, Record(memory, position, header))
  }

  /// Removes a key from such a store, without a record.
  fileprivate mutating func removeUnseen(_ key: RawSpan) throws(Store.Error) {
    space.isUnseen = true
    defer { space.isUnseen = false }
    let hash = KeyHash(key, seed: memory.seed)
    let prepared = try prepare(key, hash, needsSlot: false)
    guard prepared.old != nil else { return }
    try space.flushReleases()
    try unpublish(prepared)
    try mergeAfterRemoval(hash)
  }
}

extension StoreCore {
  func add(
    _ key: RawSpan, _ value: RawSpan, expiry: UInt64?, _ sequence: SequenceNumber
  ) throws(Store.Error) {
    try withWriteLock { turn throws(Store.Error) in
      try turn.writer.add(key, value, expiry: expiry, sequence)
    }
  }

  func removeUnseen(_ key: RawSpan) throws(Store.Error) {
    try withWriteLock { turn throws(Store.Error) in try turn.writer.removeUnseen(key) }
  }

  /// Makes `file` a clone of this store as it is now, closed cleanly. Returns false where the system
  /// cannot do that.
  func clone(into file: borrowing File, _ method: CloneMethod) throws(Store.Error) -> Bool {
    guard options.access == .readWrite else { return false }
    // Find out whether sharing works. This also writes what is not on the disk yet, while others go
    // on, so that less is left to write while the write lock is held.
    if method == .sharing {
      guard try backing.clone(into: file, method) else { return false }
    }
    return try waitingForCheckpoint { () throws(Store.Error) -> Bool? in
      try withWriteLock { turn throws(Store.Error) -> Bool? in
        // While the write lock is held nothing follows this checkpoint, and nobody begins another.
        guard try checkpoint(turn, .skip) else { return nil }
        return try backing.clone(into: file, method)
      }
    }
  }

  /// The largest store that is copied as it is. Writers wait meanwhile, some 50 ms for this much.
  private static let largestClone = 64 << 20

  fileprivate func mayBeClonedByCopying() throws(Store.Error) -> Bool {
    guard options.access == .readWrite, backing.isShared else { return false }
    return try backing.sizes().allocated <= Self.largestClone
  }

  /// Whether this store takes less disk space than `copy`, which still has its page of shared state.
  fileprivate func takesLess(than copy: StoreCore) throws(Store.Error) -> Bool {
    try backing.sizes().allocated < copy.backing.sizes().allocated - Layout.pageBytes
  }

  /// Verifies a whole copy before anybody sees it. Returns how many records it has.
  func checkCopy(ofRecords count: Int?) throws(Store.Error) -> Int {
    let report = verify()
    guard report.isSound, report.recordCount == count ?? report.recordCount else {
      let fault = report.faults.first.map { " (\($0))" } ?? ""
      throw Store.Error(
        .damaged,
        "the copy is not sound\(fault); nothing was created; 'kvmap verify' tells whether the store itself is damaged"
      )
    }
    return report.recordCount
  }
}
