/// Writes checkpoints: the index as it is at one moment becomes what recovery
/// starts from, and the log before it is needed no more.
///
/// Three steps, of which only the first needs the write lock. *Freeze* notes
/// roots and counters and begins a new epoch, so that nobody changes the pages
/// noted. *Seal* writes checksums into the pages of the epochs since the last
/// checkpoint. *Record* syncs the file, then writes superblock A and syncs it,
/// then B: at any instant one of the two is whole and points to pages that are
/// durable. Lock C keeps others from doing the same meanwhile; who holds it never
/// waits for the write lock, since a recovery beside readers waits for C with the write lock held.
struct Checkpoint {
  let source: MemorySource
  let backing: any Backing
  /// Any superblock of the store: what never changes is taken from it.
  let previous: Superblock

  private var memory: StoreMemory { source.memory }
  private var shared: SharedState { source.shared }

  /// How much log is written before a checkpoint is due: in proportion to the
  /// store, so that each byte is checkpointed a bounded number of times, and
  /// bounded itself, because recovery has to read it.
  static func dueAfter(_ shared: SharedState) -> UInt64 {
    let index = indexPages(shared) * UInt64(Layout.pageBytes)
    return min(max(shared[.liveBytes] / 32, leastLog), max(32 << 20, index))
  }

  /// How many pages of the index may wait for a checkpoint before one is due. Each is copied
  /// once between two checkpoints, and once more for each snapshot that is taken.
  static func dueAfterReleasing(_ shared: SharedState) -> UInt64 {
    let pages = indexPages(shared)
    return pages + pages / 4 + 1024
  }

  /// Corrupt counters must not overflow.
  private static func indexPages(_ shared: SharedState) -> UInt64 {
    min(shared[.indexPages], Layout.largestFile / UInt64(Layout.pageBytes))
  }

  /// Replayed in some 60 ms; a checkpoint of less would sync more often than it helps.
  static let leastLog: UInt64 = 4 << 20

  /// Notes the state and begins the next epoch. With the write lock, with no page
  /// left to be entered as released.
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
    // A damaged file may have led to counts that no superblock may have.
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
  /// Below a page that this process has changed may be one that nobody has looked
  /// at yet, and that may be anything: what is not one of our changed pages is left
  /// as it is.
  func seal(_ block: Superblock, after: Epoch) throws(StoreError) {
    var sealing = Sealing(after: after, upTo: block.epoch, pagesLeft: memory.mappedBytes / Layout.pageBytes)
    try sealTree(block.root, height: block.root.depth, .directory, .bucket, &sealing)
    try sealTree(block.spaceRoot, height: block.spaceRoot.depth, .spaceNode, .spaceLeaf, &sealing)
    shared[.sealedEpoch] = block.epoch
  }

  /// Seals all of the working tree's directory, for those who have pinned it: a recovery
  /// beside readers gives it up, and no checkpoint will find its pages any more.
  func sealWorkingTree() {
    let root = shared[.root]
    var sealing = Sealing(
      after: shared[.sealedEpoch], upTo: shared[.epoch],
      pagesLeft: memory.mappedBytes / Layout.pageBytes, isStrict: false)
    // What is damaged there is met by who reads it.
    try? sealTree(root, height: root.depth, .directory, .bucket, &sealing)
  }

  private struct Sealing {
    let after: Epoch
    let upTo: Epoch
    /// Each page is pointed to once, so there are no more than the file has.
    var pagesLeft: Int
    /// Whether a page that is not what it should be is an error.
    var isStrict = true

    /// Whether a page with that part of its epoch surely is one of those that changed.
    func includes(_ tag: UInt16) -> Bool {
      upTo.number - after.number < 1 << 16 && UInt64(upTo.tag &- tag) < upTo.number - after.number
    }
  }

  /// A page that did not change has no changed pages below: each change copies
  /// the path from the root.
  ///
  /// What a reference says is one of our changed pages has to be one: else the system has
  /// failed to write it, and brought back what the disk had.
  private func sealTree(
    _ pointer: PagePointer, height: Int, _ node: PageKind, _ leaf: PageKind, _ sealing: inout Sealing
  ) throws(StoreError) {
    guard let header = try changed(pointer.page, height > 0 ? node : leaf, &sealing),
      header.epoch.tag == pointer.epochTag
    else {
      if !sealing.isStrict || !sealing.includes(pointer.epochTag) { return }
      // A page that has not changed for 65,536 epochs is referred to in the same way.
      if isOld(pointer, height > 0 ? node : leaf, sealing) { return }
      throw StoreError(
        .outcomeUnknown,
        "the system lost an index page that it had not yet written to the disk; the next call rebuilds the index "
          + "from the log; check the disk")
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

  /// Whether a reference means a page that an earlier checkpoint has sealed.
  private func isOld(_ pointer: PagePointer, _ kind: PageKind, _ sealing: Sealing) -> Bool {
    guard isMapped(pointer.page) else { return false }
    let header = memory.header(pointer.page)
    return header.kindByte == kind.rawValue && header.epoch.tag == pointer.epochTag
      && header.epoch <= sealing.after && header.isIntact(seed: memory.seed)
  }

  /// An overflow page that did not change may come before one that did.
  private func sealOverflow(_ first: PageNumber, _ sealing: inout Sealing) throws(StoreError) {
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

  /// The page's header if it is one of those to be sealed.
  private func changed(
    _ page: PageNumber, _ kind: PageKind, _ sealing: inout Sealing
  ) throws(StoreError) -> PageHeader? {
    guard isMapped(page) else { return nil }
    guard sealing.pagesLeft > 0 else {
      throw .damaged("index page", at: page.offset, "more references lead to pages than there are pages")
    }
    sealing.pagesLeft -= 1
    let header = memory.header(page)
    guard header.epoch > sealing.after, header.epoch <= sealing.upTo, header.kindByte == kind.rawValue
    else { return nil }
    return header
  }

  /// Makes the file durable and writes both superblocks.
  func persist(_ block: Superblock) throws(StoreError) {
    try backing.syncAll()
    // Pages whose sync failed elsewhere may have been clean by then, and are not written.
    if shared[.syncFailed] != 0 {
      throw StoreError(.outcomeUnknown, "a sync failed while the checkpoint was written")
    }
    try writeSuperblocks(block)
  }

  /// The process that wrote the last checkpoint may have died between the two superblocks: then the
  /// whole one must not be written over before the other is whole as well.
  func repairSuperblocks() throws(StoreError) {
    let (current, bothAgree) = try SuperblockPair(source.fixed).current()
    if !bothAgree { try writeSuperblocks(current) }
  }

  func writeSuperblocks(_ block: Superblock) throws(StoreError) {
    for offset in SuperblockPair.offsets {
      block.encode(source.fixed, at: offset)
      try backing.sync(offset: offset, count: Layout.pageBytes)
    }
  }

  /// Lets the space that the checkpoint freed be used again: tells readers
  /// before anybody does.
  func publishReuse(_ block: Superblock) {
    shared[.checkpointPosition] = block.logPosition
    shared[.checkpointSegment] = block.segment
    shared[.checkpointSequence] = block.sequence
    shared.raise(.generation, by: 1)
    shared[.durableEpoch] = block.epoch
  }
}
