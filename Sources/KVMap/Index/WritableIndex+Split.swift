/// Splits of buckets and directory pages, and overflow pages.
extension WritableIndex {
  /// Splits the bucket of `path`, or what has to split before it can.
  func splitOnce(_ path: Path, _ hash: KeyHash, space: inout SpaceTable) throws(StoreError) {
    try space.ensurePages(Self.pagesForOneStep)
    let last = path.nodes[path.count - 1]
    if path.bucket.depth < last.depth + 8 {
      return try splitBucket(path, hash, space: &space)
    }
    // The lowest directory page whose parent can tell its halves apart.
    var level = path.count - 1
    while level > 0, path.nodes[level].depth >= path.nodes[level - 1].depth + 8 { level -= 1 }
    if level == 0 {
      try raiseRoot(path.nodes[0], space: &space)
    } else {
      try splitNode(path.nodes[level], parent: path.nodes[level - 1], hash, space: &space)
    }
  }

  /// Puts a directory page above the root, all of whose entries lead to it.
  private func raiseRoot(_ old: PagePointer, space: inout SpaceTable) throws(StoreError) {
    let height = shared[.root].depth
    guard height < 8 else {
      throw StoreError(.damaged, "the index is deeper than its hash has bits; run 'kvmap verify'")
    }
    let epoch = epoch
    let page = try space.takePage()
    PageHeader(bytes: bytes, page: page).format(kind: .directory, depth: 0, epoch: epoch, prefix: 0)
    let node = NodePage(bytes: bytes, page: page)
    for entry in 0..<NodePage.entryCount {
      node[entry] = PagePointer(page: old.page, depth: 0, epoch: epoch)
    }
    shared[.root] = PagePointer(page: page, depth: height + 1, epoch: epoch)
  }

  /// Replaces a directory page by two, one bit deeper.
  private func splitNode(
    _ old: PagePointer, parent: PagePointer, _ hash: KeyHash, space: inout SpaceTable
  ) throws(StoreError) {
    let epoch = epoch
    let source = NodePage(bytes: bytes, page: old.page)
    let depth = old.depth + 1
    let prefix = PageHeader(bytes: bytes, page: old.page).prefix
    var halves = (PagePointer(bits: 0), PagePointer(bits: 0))
    for half in 0...1 {
      let page = try space.takePage()
      PageHeader(bytes: bytes, page: page).format(
        kind: .directory, depth: depth, epoch: epoch,
        prefix: prefix | UInt64(half) << UInt64(64 - depth))
      let node = NodePage(bytes: bytes, page: page)
      for entry in 0..<NodePage.entryCount { node[entry] = source[half * 128 + entry / 2] }
      let pointer = PagePointer(page: page, depth: depth, epoch: epoch)
      if half == 0 { halves.0 = pointer } else { halves.1 = pointer }
    }
    replace(old, in: parent, by: halves, hash)
    space.release(old.page)
  }

  /// Replaces a bucket by two, one bit deeper. Each slot stays in its line, which
  /// does not depend on the depth: there is always room, and a record that can no
  /// longer be read, whose half is unknown, simply goes to both.
  private func splitBucket(
    _ path: Path, _ hash: KeyHash, space: inout SpaceTable
  ) throws(StoreError) {
    let old = path.bucket
    let epoch = epoch
    let depth = old.depth + 1
    let source = Bucket(bytes: bytes, page: old.page)
    prefetchRecords(source)
    let prefix = PageHeader(bytes: bytes, page: old.page).prefix
    var pages = (PageNumber(number: 0), PageNumber(number: 0))
    for half in 0...1 {
      let page = try space.takePage()
      PageHeader(bytes: bytes, page: page).format(
        kind: .bucket, depth: depth, epoch: epoch,
        prefix: prefix | UInt64(half) << UInt64(64 - depth))
      if half == 0 { pages.0 = page } else { pages.1 = page }
    }
    let low = Bucket(bytes: bytes, page: pages.0)
    let high = Bucket(bytes: bytes, page: pages.1)
    for line in 1...Bucket.lineCount {
      for index in 0..<Bucket.slotsPerLine {
        let slot = source.load(line: line, slot: index)
        if slot.isEmpty { continue }
        let hash = trustedHash(slot, line: line)
        let word = slot.bits
        if hash.map({ $0.bit(depth: old.depth) }) ?? true {
          bytes.storeRelaxed(word, high.offset(line: line, slot: index))
        }
        if hash.map({ !$0.bit(depth: old.depth) }) ?? true {
          bytes.storeRelaxed(word, low.offset(line: line, slot: index))
        }
      }
    }
    let overflow = PageHeader(bytes: bytes, page: old.page).overflow
    do {
      try divideOverflow(overflow, pages, depth: old.depth, space: &space)
    } catch {
      for page in [pages.0, pages.1] {
        releaseOverflow(PageHeader(bytes: bytes, page: page).overflow, space: &space)
        space.release(page)
      }
      throw error
    }
    let parent = path.nodes[path.count - 1]
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
    // As `divideOverflow` found it: with an end, in the file.
    while page.number != 0 {
      space.release(page)
      page = PageHeader(bytes: bytes, page: page).overflow
    }
  }

  /// The hash of a slot's record if the record can be believed: its tag and line
  /// must be those of the slot, which a damaged key passes once in two million.
  private func trustedHash(_ slot: Slot, line: Int) -> KeyHash? {
    guard let record = try? Record(memory, at: slot.position) else { return nil }
    let hash = record.keyHash
    let lines = hash.lines
    guard hash.tag == slot.tag, line == 0 || lines.first == line || lines.second == line else {
      return nil
    }
    return hash
  }

  /// Asks for the heads of all records of a page, whose misses then overlap: one
  /// after the other they would cost ten times as much.
  private func prefetchRecords(_ page: Bucket) {
    let mapped = memory.mappedBytes
    for line in 1...Bucket.lineCount {
      for index in 0..<Bucket.slotsPerLine {
        let slot = page.load(line: line, slot: index)
        let offset = Int(clamping: slot.position.offset)
        if !slot.isEmpty, offset < mapped { bytes.prefetch(offset) }
      }
    }
  }

  /// Lets the entries of `parent` that led to `old` lead to its two halves.
  private func replace(
    _ old: PagePointer, in parent: PagePointer, by halves: (PagePointer, PagePointer),
    _ hash: KeyHash
  ) {
    let node = NodePage(bytes: bytes, page: parent.page)
    let span = 1 << (8 - (old.depth - parent.depth))
    let first = hash.entry(depth: parent.depth) & ~(span - 1)
    for entry in 0..<span { node[first + entry] = entry < span / 2 ? halves.0 : halves.1 }
  }

  // MARK: Overflow

  /// An empty slot in the overflow pages of a bucket, which gets one more if all
  /// are full.
  func overflowSlot(_ bucket: PageNumber, space: inout SpaceTable) throws(StoreError) -> Int {
    try space.ensurePages(2)
    // The page whose header leads to the overflow page at hand; writable.
    var previous = bucket
    var chain = ChainGuard()
    while true {
      let next = PageHeader(bytes: bytes, page: previous).overflow
      if next.number == 0 {
        try space.ensurePages(1)
        let page = try space.takePage()
        PageHeader(bytes: bytes, page: page).format(
          kind: .overflow, depth: 0, epoch: epoch, prefix: 0)
        PageHeader(bytes: bytes, page: previous).overflow = page
        return Bucket(bytes: bytes, page: page).offset(line: 1, slot: 0)
      }
      try chain.pass(next)
      let page = try writableOverflow(next, previous: previous, space: &space)
      let bucket = Bucket(bytes: bytes, page: page)
      for line in 1...Bucket.lineCount {
        if let slot = bucket.room(line: line).empty { return bucket.offset(line: line, slot: slot) }
      }
      previous = page
    }
  }

  /// Makes all overflow pages of a writable bucket writable. They are looked at
  /// first: copying a chain that has no end would fill the disk.
  func makeOverflowWritable(_ bucket: PageNumber, space: inout SpaceTable) throws(StoreError) {
    var chain = ChainGuard()
    var page = PageHeader(bytes: bytes, page: bucket).overflow
    while page.number != 0 {
      try chain.pass(page)
      try IndexReader(memory: memory).checkOverflow(page, workingTag: epoch.tag)
      page = PageHeader(bytes: bytes, page: page).overflow
    }
    // A forged space table may hand out pages of the chain for its copies.
    var copies = ChainGuard()
    var previous = bucket
    while true {
      let next = PageHeader(bytes: bytes, page: previous).overflow
      if next.number == 0 { return }
      try copies.pass(next)
      previous = try writableOverflow(next, previous: previous, space: &space)
    }
  }

  private func writableOverflow(
    _ page: PageNumber, previous: PageNumber, space: inout SpaceTable
  ) throws(StoreError) -> PageNumber {
    let epoch = epoch
    try IndexReader(memory: memory).checkOverflow(page, workingTag: epoch.tag)
    if PageHeader(bytes: bytes, page: page).epoch == epoch { return page }
    try space.ensurePages(1)
    let copy = try space.takePage()
    PageHeader(bytes: bytes, page: page).copy(to: copy, epoch: epoch)
    space.release(page)
    PageHeader(bytes: bytes, page: previous).overflow = copy
    return copy
  }

  /// Divides the overflow pages of a bucket between its halves.
  private func divideOverflow(
    _ first: PageNumber, _ halves: (PageNumber, PageNumber), depth: Int, space: inout SpaceTable
  ) throws(StoreError) {
    var page = first
    var chain = ChainGuard()
    while page.number != 0 {
      try chain.pass(page)
      try IndexReader(memory: memory).checkOverflow(page, workingTag: epoch.tag)
      let source = Bucket(bytes: bytes, page: page)
      for line in 1...Bucket.lineCount {
        for index in 0..<Bucket.slotsPerLine {
          let slot = source.load(line: line, slot: index)
          if slot.isEmpty { continue }
          let hash = trustedHash(slot, line: 0)
          for (half, isHigh) in [(halves.0, false), (halves.1, true)]
          where hash.map({ $0.bit(depth: depth) == isHigh }) ?? true {
            let target = try overflowSlot(half, space: &space)
            bytes.storeRelaxed(slot.bits, target)
          }
        }
      }
      page = PageHeader(bytes: bytes, page: page).overflow
    }
  }
}
