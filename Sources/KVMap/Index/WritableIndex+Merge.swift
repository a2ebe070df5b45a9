/// Merging buckets and directory pages: undoes splits as a store empties.
extension WritableIndex {
  /// Two buckets merge if together they fill at most this many slots of one page: far enough from
  /// full that the next puts do not split it again.
  private static let fullestMerged = Bucket.slotCount * 2 / 5

  /// Merges the bucket of `hash` with its other half, as often as possible. Throws without effect
  /// on what the index says.
  func mergeBucket(_ hash: KeyHash, space: inout SpaceTable) throws(Store.Error) {
    // Each step removes one bit of depth, or one level.
    for _ in 0..<128 {
      let path = try writablePath(hash, space: &space)
      if memory.bucket(path.bucket.page).isFuller(than: Self.fullestMerged) { return }
      try dropEmptyOverflow(path.bucket.page, space: &space)
      let parent = path.parent
      let hasMerged =
        path.bucket.depth > parent.depth
        ? try mergeHalves(path.bucket, parent, hash, space: &space)
        : try mergeNode(path, hash, space: &space)
      if !hasMerged { return }
    }
  }

  private func mergeHalves(
    _ bucket: PagePointer, _ parent: PagePointer, _ hash: KeyHash, space: inout SpaceTable
  ) throws(Store.Error) -> Bool {
    guard let other = try otherHalf(of: bucket, in: parent, .bucket, hash),
      fitTogether(bucket.page, other.page)
    else { return false }
    let page = try mergedPage(.bucket, bucket, space: &space)
    let target = memory.bucket(page.page)
    for half in [bucket.page, other.page] {
      for (line, _, slot) in memory.bucket(half).slots { add(slot, to: target, line: line) }
    }
    replaceHalves(bucket, other, in: parent, by: page, hash, space: &space)
    return true
  }

  /// Adds a slot to a line that has room. A record that could not be read when its bucket split went
  /// to both halves: its slot is added once.
  private func add(_ slot: Slot, to target: Bucket, line: Int) {
    for index in 0..<Bucket.slotsPerLine {
      let present = target.load(line: line, slot: index)
      if present == slot { return }
      if present.isEmpty { return bytes.storeRelaxed(slot.bits, target.offset(line: line, slot: index)) }
    }
  }

  /// Whether one page can hold the slots of both buckets, each in its line. False if a slot is
  /// pending, or if one of the buckets has overflow pages.
  private func fitTogether(_ first: PageNumber, _ second: PageNumber) -> Bool {
    let (one, other) = (memory.bucket(first), memory.bucket(second))
    for page in [first, second] where memory.header(page).overflow.number != 0 { return false }
    var used = 0
    for line in 1...Bucket.lineCount {
      let inLine = one.room(line: line).used + other.room(line: line).used
      used += inLine
      if inLine > Bucket.slotsPerLine || used > Self.fullestMerged { return false }
    }
    for page in [one, other] {
      for (_, _, slot) in page.slots where slot.isPending { return false }
    }
    return true
  }

  private func dropEmptyOverflow(_ bucket: PageNumber, space: inout SpaceTable) throws(Store.Error) {
    let header = memory.header(bucket)
    let first = header.overflow
    var chain = OverflowChain(memory, from: first)
    while let page = try chain.next() {
      if memory.bucket(page).isFuller(than: 0) { return }
    }
    header.overflow = PageNumber(number: 0)
    releaseOverflow(first, space: &space)
  }

  // MARK: Directory pages

  /// Merges the lowest directory page of the path that has another half, or removes a level, so
  /// that the pages below can merge further.
  private func mergeNode(
    _ path: Path, _ hash: KeyHash, space: inout SpaceTable
  ) throws(Store.Error) -> Bool {
    let nodes = path.nodes
    for level in stride(from: nodes.count - 1, to: 0, by: -1)
    where nodes[level].depth > nodes[level - 1].depth {
      return try mergeNodes(nodes[level], nodes[level - 1], hash, space: &space)
    }
    return lowerRoot(nodes[0], space: &space)
  }

  private func mergeNodes(
    _ node: PagePointer, _ parent: PagePointer, _ hash: KeyHash, space: inout SpaceTable
  ) throws(Store.Error) -> Bool {
    guard let other = try otherHalf(of: node, in: parent, .directory, hash) else { return false }
    let isUpper = hash.bit(depth: node.depth - 1)
    let halves = [isUpper ? other : node, isUpper ? node : other].map {
      memory.node($0.page)
    }
    // The merge drops every second entry, so each child must have at least two.
    for half in halves {
      for entry in 0..<NodePage.entryCount where half[entry].depth >= node.depth + 8 { return false }
    }
    let page = try mergedPage(.directory, node, space: &space)
    let target = memory.node(page.page)
    for entry in 0..<NodePage.entryCount { target[entry] = halves[entry / 128][entry % 128 * 2] }
    replaceHalves(node, other, in: parent, by: page, hash, space: &space)
    return true
  }

  /// Removes the root if all its entries point to one directory page.
  private func lowerRoot(_ root: PagePointer, space: inout SpaceTable) -> Bool {
    let height = shared[.root].depth
    let only = memory.node(root.page)[0]
    guard height > 1, only.depth == 0 else { return false }
    shared[.root] = only.withDepth(height - 1)
    space.release(root.page)
    return true
  }

  // MARK: Halves

  /// The page that covers the other half of what a page one bit shallower would cover; nil if
  /// that half is split further.
  private func otherHalf(
    of page: PagePointer, in parent: PagePointer, _ kind: PageKind, _ hash: KeyHash
  ) throws(Store.Error) -> PagePointer? {
    let twin = KeyHash(bits: hash.bits ^ 1 << UInt64(64 - page.depth))
    let other = memory.node(parent.page)[twin.entry(depth: parent.depth)]
    guard other.depth == page.depth, other.page != page.page else { return nil }
    try memory.check(other, kind, workingTag: epoch.tag)
    return other
  }

  /// An empty page for both halves, of which `half` is one.
  private func mergedPage(
    _ kind: PageKind, _ half: PagePointer, space: inout SpaceTable
  ) throws(Store.Error) -> PagePointer {
    try space.ensurePages(1)
    let epoch = epoch
    let depth = half.depth - 1
    let page = try space.takePage()
    let prefix = memory.header(half.page).prefix & ~(1 << UInt64(63 - depth))
    memory.header(page).format(kind: kind, depth: depth, epoch: epoch, prefix: prefix)
    return PagePointer(page: page, depth: depth, epoch: epoch)
  }

  private func replaceHalves(
    _ one: PagePointer, _ other: PagePointer, in parent: PagePointer, by page: PagePointer,
    _ hash: KeyHash, space: inout SpaceTable
  ) {
    space.release(one.page)
    space.release(other.page)
    setEntries(
      of: memory.node(parent.page), nodeDepth: parent.depth,
      around: hash.entry(depth: parent.depth), to: page)
  }
}
