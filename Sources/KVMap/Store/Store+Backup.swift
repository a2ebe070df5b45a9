public import SystemPackage

extension Store {
  /// Copies the store as it is now into a new one: consistent, compact and verified, while
  /// others write.
  ///
  /// The new store appears at its path when it is complete and durable, or not at all; a
  /// file that is there is never replaced. Values keep their expiry and their version. A
  /// handle for reading only copies what its ``snapshot()`` shows. O(records).
  ///
  /// - Parameters:
  ///   - path: where the new store is to be.
  ///   - options: of these, whether network file systems are allowed, and the mode of the
  ///     new file.
  ///   - progress: called now and then with the records copied so far.
  /// - Throws: ``StoreError`` with `cannotCreate` or `diskFull` for the new store;
  ///   `damaged` if not all of this one can be read (``salvage(from:into:options:progress:)``
  ///   copies what can be); and as ``snapshot()``.
  public func backup(
    to path: FilePath, options: StoreOptions = StoreOptions(), progress: (_ records: Int) -> Void = { _ in }
  ) throws(StoreError) {
    let snapshot = try snapshot()
    defer { snapshot.end() }
    let target = Opening(path: path, options: options, clock: .system)
    do throws(StoreError) {
      try target.checkIsFree()
      try withoutActuallyEscaping(progress) { progress throws(StoreError) in
        let next = SequenceNumber(number: core.memory.live[LivePage.sequence])
        try target.createComplete(firstSequence: next) { copy throws(StoreError) in
          try snapshot.copy(to: copy, progress)
        }
      }
    } catch {
      throw error.naming(path.string)
    }
  }
}

extension Snapshot {
  fileprivate func copy(to copy: StoreCore, _ progress: (Int) -> Void) throws(StoreError) {
    var cursor = makeCursor()
    var count = 0
    while let entry = try cursor.next() {
      var expiry: UInt64?
      if case .at(let time) = entry.expiry { expiry = time }
      try unsafe copy.takeOver(
        entry.key.span.bytes, entry.value.span.bytes, expiry: expiry, version: entry.version)
      count += 1
      if count % 1_024 == 0 { progress(count) }
    }
    let report = copy.verify()
    guard report.isSound, report.recordCount == count else {
      throw StoreError(
        .damaged, "the copy is not what was read; nothing was created; check the disk and the memory")
    }
    progress(count)
  }
}
