/// Splitting buckets and directory pages, and overflow pages.
extension WritableIndex {
  /// Splits the bucket of `path`, or the directory page that has to split before it.
  func splitOnce(_ path: Path, _ hash: KeyHash, space: inout SpaceTable) throws(Store.Error) {
    try space.ensurePages(Self.pagesForOneStep)
    if path.bucket.depth < path.parent.depth + 8 {
      return try splitBucket(path, hash, space: &space)
    }
    // The lowest directory page whose parent can distinguish its halves.
    let nodes = path.nodes
    var level = nodes.count - 1
    while level > 0, nodes[level].depth >= nodes[level - 1].depth + 8 { level -= 1 }
    if level == 0 {
      try raiseRoot(nodes[0], space: &space)
    } else {
      try splitNode(nodes[level], parent: nodes[level - 1], hash, space: &space)
    }
  }

  /// Puts a new root above the old one. All its entries point to the old root.
  private func raiseRoot(_ old: PagePointer, space: inout SpaceTable) throws(Store.Error) {
    let height = shared[.root].depth
    guard height < 8 else {
      throw Store.Error(.damaged, "the index is deeper than its hash has bits; run 'kvmap verify'")
    }
    let epoch = epoch
    let page = try space.takePage()
    memory.header(page).format(kind: .directory, depth: 0, epoch: epoch, prefix: 0)
    let node = memory.node(page)
    for entry in 0..<NodePage.entryCount {
      node[entry] = PagePointer(page: old.page, depth: 0, epoch: epoch)
    }
    shared[.root] = PagePointer(page: page, depth: height + 1, epoch: epoch)
  }

  /// Replaces a directory page by two, one bit deeper.
  private func splitNode(
    _ old: PagePointer, parent: PagePointer, _ hash: KeyHash, space: inout SpaceTable
  ) throws(Store.Error) {
    let epoch = epoch
    let source = memory.node(old.page)
    let depth = old.depth + 1
    let prefix = memory.header(old.page).prefix
    var halves = (PagePointer(bits: 0), PagePointer(bits: 0))
    for half in 0...1 {
      let page = try space.takePage()
      memory.header(page).format(
        kind: .directory, depth: depth, epoch: epoch,
        prefix: prefix | UInt64(half) << UInt64(64 - depth))
      let node = memory.node(page)
      for entry in 0..<NodePage.entryCount { node[entry] = source[half * 128 + entry / 2] }
      let pointer = PagePointer(page: page, depth: depth, epoch: epoch)
      if half == 0 { halves.0 = pointer } else { halves.1 = pointer }
    }
    replace(old, in: parent, by: halves, hash)
    space.release(old.page)
  }

  /// Replaces a bucket by two, one bit deeper. Each slot stays in its line, which does not depend
  /// on the depth, so there is always room. If a record cannot be read, its half is unknown, and
  /// its slot goes to both.
  private func splitBucket(
    _ path: Path, _ hash: KeyHash, space: inout SpaceTable
  ) throws(Store.Error) {
    let old = path.bucket
    let epoch = epoch
    let depth = old.depth + 1
    let source = memory.bucket(old.page)
    prefetchRecords(source)
    let prefix = memory.header(old.page).prefix
    var pages = (PageNumber(number: 0), PageNumber(number: 0))
    for half in 0...1 {
      let page = try space.takePage()
      memory.header(page).format(
        kind: .bucket, depth: depth, epoch: epoch,
        prefix: prefix | UInt64(half) << UInt64(64 - depth))
      if half == 0 { pages.0 = page } else { pages.1 = page }
    }
    let low = memory.bucket(pages.0)
    let high = memory.bucket(pages.1)
    for (line, index, slot) in source.slots {
      let hash = trustedHash(slot, line: line)
      let word = slot.bits
      if hash.map({ $0.bit(depth: old.depth) }) ?? true {
        bytes.storeRelaxed(word, high.offset(line: line, slot: index))
      }
      if hash.map({ !$0.bit(depth: old.depth) }) ?? true {
        bytes.storeRelaxed(word, low.offset(line: line, slot: index))
      }
    }
    let overflow = memory.header(old.page).overflow
    do {
      try divideOverflow(overflow, pages, depth: old.depth, space: &space)
    } catch {
      for page in [pages.0, pages.1] {
        releaseOverflow(memory.header(page).overflow, space: &space)
        space.release(page)
      }
      throw error
    }
    let parent = path.parent
    releaseOverflow(overflow, space: &space)
    space.release(old.page)
    replace(
      old, in: parent,
      by: (
        PagePointer(page: pages.0, depth: depth, epoch: epoch),
        PagePointer(page: pages.1, depth: depth, epoch: epoch)
      ), hash)
  }

  func releaseOverflow(_ first: PageNumber, space: inout SpaceTable) {
    var page = first
    // The caller knows that the chain ends and that all of it lies in the file.
    while page.number != 0 {
      space.release(page)
      page = memory.header(page).overflow
    }
  }

  /// The hash of a slot's record, or nil if the record cannot be trusted. Its tag and line must
  /// be those of the slot; a damaged key passes that about once in two million.
  private func trustedHash(_ slot: Slot, line: Int) -> KeyHash? {
    guard let record = try? Record(memory, at: slot.position) else { return nil }
    let hash = record.keyHash
    let lines = hash.lines
    guard hash.tag == slot.tag, line == 0 || lines.first == line || lines.second == line else {
      return nil
    }
    return hash
  }

  /// Prefetches the headers of all records of a page, so that their cache misses overlap. One
  /// after the other they would take ten times as long.
  private func prefetchRecords(_ page: Bucket) {
    let mapped = memory.mappedBytes
    for (_, _, slot) in page.slots {
      let offset = Int(clamping: slot.position.offset)
      if offset < mapped { bytes.prefetch(offset) }
    }
  }

  /// Makes the entries of `parent` that pointed to `old` point to its two halves.
  private func replace(
    _ old: PagePointer, in parent: PagePointer, by halves: (PagePointer, PagePointer),
    _ hash: KeyHash
  ) {
    let node = memory.node(parent.page)
    let span = 1 << (8 - (old.depth - parent.depth))
    let first = hash.entry(depth: parent.depth) & ~(span - 1)
    for entry in 0..<span { node[first + entry] = entry < span / 2 ? halves.0 : halves.1 }
  }

  // MARK: Overflow

  /// The offset of an empty slot in the overflow pages of a bucket. Adds an overflow page if all
  /// are full.
  func overflowSlot(_ bucket: PageNumber, space: inout SpaceTable) throws(Store.Error) -> Int {
    try space.ensurePages(2)
    // The page whose header names the overflow page that is looked at next; writable.
    var previous = bucket
    var chain = ChainGuard()
    while true {
      let next = memory.header(previous).overflow
      if next.number == 0 {
        try space.ensurePages(1)
        let page = try space.takePage()
        memory.header(page).format(
          kind: .overflow, depth: 0, epoch: epoch, prefix: 0)
        memory.header(previous).overflow = page
        return memory.bucket(page).offset(line: 1, slot: 0)
      }
      try chain.pass(next)
      let page = try writableOverflow(next, previous: previous, space: &space)
      let bucket = memory.bucket(page)
      for line in 1...Bucket.lineCount {
        if let slot = bucket.room(line: line).empty { return bucket.offset(line: line, slot: slot) }
      }
      previous = page
    }
  }

  /// Makes all overflow pages of a writable bucket writable. Walks the chain first: copying a
  /// chain that has no end would fill the disk.
  func makeOverflowWritable(_ bucket: PageNumber, space: inout SpaceTable) throws(Store.Error) {
    var chain = OverflowChain(memory, from: memory.header(bucket).overflow)
    while try chain.next() != nil {}
    // A forged space table may offer pages of the chain itself for the copies.
    var copies = ChainGuard()
    var previous = bucket
    while true {
      let next = memory.header(previous).overflow
      if next.number == 0 { return }
      try copies.pass(next)
      previous = try writableOverflow(next, previous: previous, space: &space)
    }
  }

  private func writableOverflow(
    _ page: PageNumber, previous: PageNumber, space: inout SpaceTable
  ) throws(Store.Error) -> PageNumber {
    let epoch = epoch
    try IndexReader(memory: memory).checkOverflow(page, workingTag: epoch.tag)
    if memory.header(page).epoch == epoch { return page }
    try space.ensurePages(1)
    let copy = try space.takePage()
    memory.header(page).copy(to: copy, epoch: epoch)
    space.release(page)
    memory.header(previous).overflow = copy
    return copy
  }

  /// Divides the slots in the overflow pages of a bucket between its halves.
  private func divideOverflow(
    _ first: PageNumber, _ halves: (PageNumber, PageNumber), depth: Int, space: inout SpaceTable
  ) throws(Store.Error) {
    var chain = OverflowChain(memory, from: first)
    while let page = try chain.next() {
      let source = memory.bucket(page)
      for (_, _, slot) in source.slots {
        let hash = trustedHash(slot, line: 0)
        for (half, isHigh) in [(halves.0, false), (halves.1, true)]
        where hash.map({ $0.bit(depth: depth) == isHigh }) ?? true {
          let target = try overflowSlot(half, space: &space)
          bytes.storeRelaxed(slot.bits, target)
        }
      }
    }
  }
}
