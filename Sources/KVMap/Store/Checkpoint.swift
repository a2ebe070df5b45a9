/// Writes checkpoints: the index as it is at one moment becomes what recovery
/// starts from, and the log before it is needed no more.
///
/// Three steps, of which only the first needs the writer's turn. *Freeze* notes
/// roots and counters and begins a new epoch, so that nobody changes the pages
/// noted. *Seal* writes checksums into the pages of the epochs since the last
/// checkpoint. *Record* syncs the file, then writes superblock A and syncs it,
/// then B: at any instant one of the two is whole and leads to pages that are
/// durable. Lock C keeps others from doing the same meanwhile.
struct Checkpoint {
  let memory: StoreMemory
  let backing: any Backing
  /// Any superblock of the store: what never changes is taken from it.
  let previous: Superblock

  private var live: LivePage { memory.live }

  /// Notes the state and begins the next epoch. Under the turn, with no page
  /// left to be entered as released.
  func freeze() -> Superblock {
    let block = capture()
    live[LivePage.epoch] = block.epoch.number + 1
    live[LivePage.logSinceCheckpoint] = 0
    return block
  }

  private func capture() -> Superblock {
    var block = previous
    block.epoch = Epoch(number: live[LivePage.epoch])
    block.root = PagePointer(bits: live[LivePage.root])
    block.recordCount = live[LivePage.recordCount]
    block.liveBytes = live[LivePage.liveBytes]
    block.spaceRoot = PagePointer(bits: live[LivePage.spaceRoot])
    block.highWater = Unit(number: live[LivePage.highWater])
    block.logPosition = Position(offset: live[LivePage.tail])
    block.sequence = SequenceNumber(number: live[LivePage.sequence])
    block.chain = live[LivePage.chain]
    block.segment = Unit(number: live[LivePage.segment])
    block.indexPages = live[LivePage.indexPages]
    return block
  }

  /// Seals the pages that `block` leads to and that changed after epoch `after`.
  func seal(_ block: Superblock, after: Epoch) {
    sealTree(block.root.page, height: block.root.depth, after: after)
    sealTree(block.spaceRoot.page, height: block.spaceRoot.depth, after: after)
    live[LivePage.sealedEpoch] = block.epoch.number
  }

  /// A page that did not change has no changed pages below: each change copies
  /// the path from the root.
  private func sealTree(_ page: PageNumber, height: Int, after: Epoch) {
    let header = PageHeader(bytes: memory.bytes, page: page)
    guard header.epoch > after else { return }
    if height > 0 {
      let node = NodePage(bytes: memory.bytes, page: page)
      var previous = PagePointer(bits: 0)
      for entry in 0..<NodePage.entryCount {
        let pointer = node[entry]
        if pointer.bits != 0, pointer != previous {
          sealTree(pointer.page, height: height - 1, after: after)
        }
        previous = pointer
      }
    } else if header.kindByte == PageKind.bucket.rawValue {
      var overflow = header.overflow
      var left = IndexReader.longestChain
      while overflow.number != 0, left > 0 {
        left -= 1
        let next = PageHeader(bytes: memory.bytes, page: overflow)
        if next.epoch > after { next.seal(seed: memory.seed) }
        overflow = next.overflow
      }
    }
    header.seal(seed: memory.seed)
  }

  /// Makes the file durable and writes both superblocks.
  func record(_ block: Superblock) throws(StoreError) {
    // One call for all of it: the kernel knows what is dirty.
    try backing.sync(offset: 0, count: backing.mappedBytes)
    try writeSuperblocks(block)
  }

  func writeSuperblocks(_ block: Superblock) throws(StoreError) {
    for offset in [Layout.superblockOffsets.a, Layout.superblockOffsets.b] {
      block.encode(memory.bytes, at: offset)
      try backing.sync(offset: offset, count: Layout.pageBytes)
    }
  }

  /// Lets the space that the checkpoint freed be used again: tells readers
  /// before anybody does.
  func release(_ block: Superblock) {
    live[LivePage.checkpointPosition] = block.logPosition.offset
    live[LivePage.generation] += 1
    live[LivePage.durableEpoch] = block.epoch.number
  }
}
