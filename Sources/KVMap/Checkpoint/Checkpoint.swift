/// Writes checkpoints. A checkpoint is the index as it is at one moment: recovery starts from it,
/// and needs no log from before it.
///
/// Writing one takes three steps, and only the first needs the write lock. *Freeze* notes roots and
/// counters and begins a new epoch, so that nobody changes the noted pages. *Seal* writes checksums
/// into the pages of the epochs since the last checkpoint. *Persist* syncs the file, writes
/// superblock A and syncs it, then does the same for B: at any moment one of the two is whole and
/// points to durable pages. Lock C keeps others from writing a checkpoint meanwhile. The holder of
/// C never waits for the write lock, because recovery beside readers waits for C while it holds the
/// write lock.
struct Checkpoint {
  let source: MemorySource
  let backing: any Backing
  /// Any superblock of the store: the fields that never change are taken from it.
  let previous: Superblock

  private var memory: StoreMemory { source.memory }
  private var shared: SharedState { source.shared }

  /// Notes the state and begins the next epoch. With the write lock, after the released pages were
  /// entered in the space table, as far as there was room for that.
  func freeze() -> Superblock {
    let block = capture()
    shared.freeze()
    shared[.logSinceCheckpoint] = 0
    shared[.releasedPages] = 0
    return block
  }

  private func capture() -> Superblock {
    var block = previous
    block.epoch = shared[.epoch]
    block.root = shared[.root]
    // A damaged file can cause counts that no superblock may have.
    block.recordCount = min(shared[.recordCount], Superblock.largestCount(in: shared[.highWater].number))
    block.liveBytes = min(shared[.liveBytes], Layout.largestFile)
    block.spaceRoot = shared[.spaceRoot]
    block.highWater = shared[.highWater]
    block.logPosition = shared[.tail]
    block.sequence = shared[.sequence]
    block.chain = shared[.chain]
    block.segment = shared[.segment]
    block.earliestExpiry = shared[.earliestExpiry]
    block.indexPages = min(shared[.indexPages], block.highWater.number * UInt64(Layout.pagesPerUnit))
    return block
  }

  /// Seals the pages that `block` points to and that changed after epoch `after`.
  ///
  /// A page that this process changed may point to a page that nobody has checked yet and that may
  /// hold anything. So a page that is not one of the changed ones is left as it is.
  func seal(_ block: Superblock, after: Epoch) throws(Store.Error) {
    var sealing = Sealing(after: after, upTo: block.epoch, pagesLeft: memory.mappedBytes / Layout.pageBytes)
    try sealTree(block.root, height: block.root.depth, .directory, .bucket, &sealing)
    try sealTree(block.spaceRoot, height: block.spaceRoot.depth, .spaceNode, .spaceLeaf, &sealing)
    shared[.sealedEpoch] = block.epoch
  }

  /// Seals the directory of the working tree for those who have pinned it: recovery replaces the
  /// tree, and no later checkpoint reaches its pages.
  func sealWorkingTree() {
    let root = shared[.root]
    var sealing = Sealing(
      after: shared[.sealedEpoch], upTo: shared[.epoch],
      pagesLeft: memory.mappedBytes / Layout.pageBytes, isStrict: false)
    // Damage there is reported to the reader that meets it.
    try? sealTree(root, height: root.depth, .directory, .bucket, &sealing)
  }

  private struct Sealing {
    let after: Epoch
    let upTo: Epoch
    /// Each page has one reference, so there are no more visits than pages in the file.
    var pagesLeft: Int
    /// Whether a page that is not what it should be is an error.
    var isStrict = true

    /// Whether a page whose epoch has this tag must be one of the changed pages.
    func includes(_ tag: UInt16) -> Bool {
      // Wrong values in the shared state must not overflow.
      let epochs = upTo.number &- after.number
      return epochs < 1 << 16 && UInt64(upTo.tag &- tag) < epochs
    }
  }

  /// Seals a page and the changed pages below it. A page that did not change has no changed pages
  /// below it, because each change copies the path from the root.
  ///
  /// If its reference says that a page changed, it must be one of the changed pages. Otherwise the
  /// system failed to write the page and brought back what the disk had.
  private func sealTree(
    _ pointer: PagePointer, height: Int, _ node: PageKind, _ leaf: PageKind, _ sealing: inout Sealing
  ) throws(Store.Error) {
    guard let header = try changed(pointer.page, height > 0 ? node : leaf, &sealing),
      header.epoch.tag == pointer.epochTag
    else {
      if !sealing.isStrict || !sealing.includes(pointer.epochTag) { return }
      // The reference to a page that has not changed for 65,536 epochs can have the same tag.
      if isOld(pointer, height > 0 ? node : leaf, sealing) { return }
      throw Store.Error(
        .outcomeUnknown,
        "the system lost an index page that it had not yet written to the disk; the next call rebuilds the "
          + "index from the log; check the disk")
    }
    if height > 0 {
      let page = memory.node(pointer.page)
      var previous = PagePointer(bits: 0)
      for entry in 0..<NodePage.entryCount {
        let child = page[entry]
        if child.bits != 0, child != previous {
          try sealTree(child, height: height - 1, node, leaf, &sealing)
        }
        previous = child
      }
    } else if leaf == .bucket {
      try sealOverflow(header.overflow, &sealing)
    }
    header.seal(seed: memory.seed)
  }

  /// Whether a reference points to a page that an earlier checkpoint has sealed.
  private func isOld(_ pointer: PagePointer, _ kind: PageKind, _ sealing: Sealing) -> Bool {
    guard isMapped(pointer.page) else { return false }
    let header = memory.header(pointer.page)
    return header.kindByte == kind.rawValue && header.epoch.tag == pointer.epochTag
      && header.epoch <= sealing.after && header.isIntact(seed: memory.seed)
  }

  /// Seals the changed pages of an overflow chain. A page that did not change may come before one
  /// that did.
  private func sealOverflow(_ first: PageNumber, _ sealing: inout Sealing) throws(Store.Error) {
    var page = first
    while page.number != 0, isMapped(page) {
      try changed(page, .overflow, &sealing)?.seal(seed: memory.seed)
      page = memory.header(page).overflow
    }
  }

  private func isMapped(_ page: PageNumber) -> Bool {
    page.number >= Layout.firstFreeUnit * UInt64(Layout.pagesPerUnit)
      && page.number < UInt64(memory.mappedBytes / Layout.pageBytes)
  }

  /// The page's header if the page is one of those to be sealed.
  private func changed(
    _ page: PageNumber, _ kind: PageKind, _ sealing: inout Sealing
  ) throws(Store.Error) -> PageHeader? {
    guard isMapped(page) else { return nil }
    guard sealing.pagesLeft > 0 else {
      throw .damaged("index page", at: page.offset, "there are more references to pages than pages")
    }
    sealing.pagesLeft -= 1
    let header = memory.header(page)
    guard header.epoch > sealing.after, header.epoch <= sealing.upTo, header.kindByte == kind.rawValue
    else { return nil }
    return header
  }

  /// Syncs the file, then writes both superblocks.
  func persist(_ block: Superblock) throws(Store.Error) {
    try backing.syncAll()
    // If a sync failed elsewhere, the system may have treated the pages as clean, and then this
    // sync did not write them.
    if shared[.syncFailed] != 0 {
      throw Store.Error(.outcomeUnknown, "a sync failed while the checkpoint was written")
    }
    try writeSuperblocks(block)
  }

  /// The same for a file that nobody can find before it is durable: one sync for all of it.
  func persistNew(_ block: Superblock) throws(Store.Error) {
    for offset in SuperblockPair.offsets { block.encode(source.fixed, at: offset) }
    try backing.syncAll()
  }

  /// Makes both superblocks the same. The process that wrote the last checkpoint may have died
  /// between the two: then the whole one must not be overwritten before the other is whole as well.
  func repairSuperblocks() throws(Store.Error) {
    let (current, bothAgree) = try SuperblockPair(source.fixed).current()
    if !bothAgree { try writeSuperblocks(current) }
  }

  /// Writes and syncs superblock A, then superblock B.
  func writeSuperblocks(_ block: Superblock) throws(Store.Error) {
    for offset in SuperblockPair.offsets {
      block.encode(source.fixed, at: offset)
      try backing.sync(offset: offset, count: Layout.pageBytes)
    }
  }

  /// Allows reuse of the space that the checkpoint freed. Raises the generation first, so that
  /// readers notice before any of that space is written.
  func publishReuse(_ block: Superblock) {
    shared[.checkpointPosition] = block.logPosition
    shared[.checkpointSegment] = block.segment
    shared[.checkpointSequence] = block.sequence
    shared.raise(.generation, by: 1)
    shared[.durableEpoch] = block.epoch
  }
}
