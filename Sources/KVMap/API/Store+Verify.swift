import MappedMemory
import SystemPackage

/// Checking a store.
extension Store {
  /// Checks the whole store as of its last commit, in a private view beside readers and writers:
  /// O(size of the store). A store in memory, and what a `.scratch` handle has changed, is checked
  /// in place, with the write lock.
  ///
  /// - Throws: ``Store/Error`` if the file cannot be read. Damage is not an error but part of the
  ///   report.
  public func verify() throws(Store.Error) -> Store.VerificationReport {
    try core.checkOpen()
    if core.backing.isShared, let path = core.path { return try Store.verify(path) }
    // What only this process has is checked in place.
    return try core.withWriteLock { _ throws(Store.Error) in core.verify() }
  }

  /// Checks the store at `path` without changing a byte of it: O(size of the store).
  ///
  /// Works on damaged stores, as far as there is anything left to check. A store that others have
  /// open is checked as of its last commit.
  ///
  /// - Throws: ``Store/Error`` if there is no store or it cannot be read.
  public static func verify(_ path: some Store.Path) throws(Store.Error) -> Store.VerificationReport {
    let opening = Opening(
      path: try path.storePath(), options: Store.Options(access: .scratch), clock: .system)
    do throws(Store.Error) {
      let (core, blocks) = try opening.openForVerification()
      var report = Store.VerificationReport()
      report.add(superblocks: blocks, isOpened: true)
      return core.verify(report, newest: core.newestReplayed)
    } catch {
      guard error.code == .damaged else { throw error }
      return try verify(opening, refused: error)
    }
  }

  /// Checks what is left of a store that cannot be opened: what its superblock points to, and the
  /// log after that; or the whole log, if no superblock is left.
  private static func verify(
    _ opening: Opening, refused: Store.Error
  ) throws(Store.Error) -> Store.VerificationReport {
    var report = Store.VerificationReport()
    let view: SourceView
    do throws(Store.Error) { view = try SourceView(opening) } catch {
      throw error.naming(opening.path.string)
    }
    report.add(view)
    if let block = view.block {
      var verifier = Verifier(
        memory: view.memory, shared: view.sharedState(of: block), newest: block.epoch, report: report)
      verifier.run()
      report = verifier.report
      let log = try RecentLog(view: view, block: block)
      report.add(log, view)
    } else if view.seedError == nil {
      var log = LogHistory(view, block: nil, kinds: [])
      var nothing = KeyHistory(memory: view.memory)
      try log.read(into: &nothing, if: { _ in false }, progress: { _ in })
      for gap in log.gaps { report.add(gap) }
    }
    try view.checkNotLost()
    if report.isSound { report.add(refused) }
    return report
  }
}

extension SourceView {
  /// The state of a checkpoint, as a shared state. It is private, as the whole view is.
  fileprivate func sharedState(of block: Superblock) -> SharedState {
    let shared = spareState
    shared[.epoch] = block.epoch.next
    shared[.sealedEpoch] = block.epoch
    shared[.root] = block.root
    shared[.spaceRoot] = block.spaceRoot
    shared[.recordCount] = block.recordCount
    shared[.liveBytes] = block.liveBytes
    shared[.indexPages] = block.indexPages
    shared[.earliestExpiry] = block.earliestExpiry
    shared[.highWater] = block.highWater
    return shared
  }
}

extension StoreCore {
  /// Checks a store that nothing changes meanwhile: a private view, or one whose write lock is
  /// held.
  ///
  /// - Parameter newest: as for `Verifier`.
  func verify(
    _ report: Store.VerificationReport = Store.VerificationReport(), newest: Epoch? = nil
  ) -> Store.VerificationReport {
    defer { withExtendedLifetime(self) {} }
    // This thread is not counted as a reader, so it holds the mapping.
    let hold = backing.mapping.hold()
    defer { backing.mapping.release(hold) }
    var verifier = Verifier(memory: memory, shared: shared, newest: newest, report: report)
    verifier.run()
    return verifier.report
  }

  /// The last epoch of a private view that nobody writes to: that of the checkpoint, or the next one
  /// if records after it were applied.
  fileprivate var newestReplayed: Epoch {
    let sealed = shared[.sealedEpoch]
    return shared[.sequence] == shared[.checkpointSequence] ? sealed : sealed.next
  }
}
