/// Changes the index; used with the write lock.
///
/// The index is an extendible hash table (Fagin, Nievergelt, Pippenger and Strong, 1979).
/// Directory pages of 256 pointers, each page covering 8 bits of the hash, point to bucket pages,
/// each of its own depth. A full bucket splits in two. If the bucket is as deep as its directory
/// page can express, the directory page splits first. If the root would have to split, a level is
/// added above it. So each step changes only a few pages, whatever the size of the store.
///
/// A page of an older epoch is copied before its first change. Old copies stay as they were for
/// readers that have already found them.
struct WritableIndex {
  let working: WorkingMemory

  var memory: StoreMemory { working.memory }
  var bytes: MappedBytes { memory.bytes }
  var shared: SharedState { memory.shared }
  var epoch: Epoch { shared[.epoch] }

  /// The directory pages from the root to a bucket, all writable, and the bucket.
  struct Path {
    /// The bits of their pointers: a directory has 8 levels at most.
    private var nodes = SIMD8<UInt64>()
    var count = 0
    var bucket = PagePointer(bits: 0)

    subscript(level: Int) -> PagePointer {
      get { PagePointer(bits: nodes[level]) }
      set { nodes[level] = newValue.bits }
    }
  }

  /// How many pages the longest single step may take: a path of nodes to copy, and the pages of a
  /// split.
  static let pagesForOneStep = 6

  // MARK: Paths

  /// Makes the bucket of `hash` writable, and the directory pages on the path to it. Throws
  /// without effect on what the index says.
  func writablePath(_ hash: KeyHash, space: inout SpaceTable) throws(StoreError) -> Path {
    let epoch = epoch
    var path = Path()
    var pointer = shared[.root]
    let height = pointer.depth
    let top = try writableCopy(pointer, kind: .directory, depth: height, space: &space)
    if top != pointer { shared[.root] = top }
    pointer = PagePointer(page: top.page, depth: 0, epoch: epoch)
    for level in 0..<height {
      path[level] = pointer
      path.count = level + 1
      let node = memory.node(pointer.page)
      let entry = hash.entry(depth: pointer.depth)
      let child = node[entry]
      let isBucket = level == height - 1
      guard child.depth >= pointer.depth, child.depth <= pointer.depth + 8 else {
        throw .damaged("index page", at: pointer.page.offset, "it points to a page of impossible depth")
      }
      if isBucket { memory.bucket(child.page).prefetch(hash) }
      try checkPlace(child, isBucket ? .bucket : .directory, hash)
      let copy = try writableCopy(
        child, kind: isBucket ? .bucket : .directory, depth: child.depth, space: &space)
      if copy != child { setEntries(of: node, nodeDepth: pointer.depth, around: entry, to: copy) }
      pointer = copy
    }
    path.bucket = pointer
    return path
  }

  /// Throws `damaged` unless the page covers the hashes that the reference to it says. Otherwise
  /// changes and splits would happen where no lookup finds them.
  private func checkPlace(
    _ pointer: PagePointer, _ kind: PageKind, _ hash: KeyHash
  ) throws(StoreError) {
    try memory.check(pointer, kind, workingTag: epoch.tag)
    let header = memory.header(pointer.page)
    let shift = UInt64(64 - min(pointer.depth, 64))
    guard header.depth == pointer.depth, header.prefix == (hash.bits >> shift) << shift else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it covers other hashes than the reference to it says")
    }
  }

  /// Makes all entries of `node` that share the child at `entry` point to `pointer`.
  func setEntries(
    of node: NodePage, nodeDepth: Int, around entry: Int, to pointer: PagePointer
  ) {
    let span = 1 << (8 - (pointer.depth - nodeDepth))
    let first = entry & ~(span - 1)
    for index in first..<first + span { node[index] = pointer }
  }

  /// `pointer` itself if its page is of this epoch, else a pointer to a copy.
  private func writableCopy(
    _ pointer: PagePointer, kind: PageKind, depth: Int, space: inout SpaceTable
  ) throws(StoreError) -> PagePointer {
    let epoch = epoch
    try memory.check(pointer, kind, workingTag: epoch.tag)
    if memory.header(pointer.page).epoch == epoch { return pointer }
    try space.ensurePages(1)
    let page = try space.takePage()
    // Loaded again: taking a page may have mapped the store at another address.
    memory.header(pointer.page).copy(to: page, epoch: epoch)
    space.release(pointer.page)
    return PagePointer(page: page, depth: depth, epoch: epoch)
  }

  // MARK: Finding

  /// The record of `key` among the published or the pending slots of its bucket; nil if there is
  /// none.
  ///
  /// With `passingDamage`, which recovery sets, records that cannot be read are skipped: they
  /// stay in the index, as errors, and the rest of the log is applied.
  func find(
    _ hash: KeyHash, _ key: RawSpan, in bucket: PageNumber, pending: Bool, passingDamage: Bool = false
  ) throws(StoreError) -> IndexReader.Match? {
    let page = memory.bucket(bucket)
    let lines = hash.lines
    if let match = try find(hash.tag, key, in: page, line: lines.first, pending, passingDamage) {
      return match
    }
    if let match = try find(hash.tag, key, in: page, line: lines.second, pending, passingDamage) {
      return match
    }
    var chain = OverflowChain(memory, from: memory.header(bucket).overflow)
    while let overflow = try chain.next() {
      let page = memory.bucket(overflow)
      for line in 1...Bucket.lineCount {
        if let match = try find(hash.tag, key, in: page, line: line, pending, passingDamage) {
          return match
        }
      }
    }
    return nil
  }

  @inline(__always)
  private func find(
    _ tag: UInt16, _ key: RawSpan, in page: Bucket, line: Int, _ pending: Bool, _ passingDamage: Bool
  ) throws(StoreError) -> IndexReader.Match? {
    for index in 0..<Bucket.slotsPerLine {
      let slot = page.load(line: line, slot: index)
      if slot.tag != tag || slot.isEmpty || slot.isPending != pending { continue }
      do throws(StoreError) {
        let record = try Record(memory, at: slot.position)
        if try record.isOf(key) {
          return IndexReader.Match(
            record, slotOffset: page.offset(line: line, slot: index), slot: slot)
        }
        if !passingDamage { try record.checkBelongs(to: slot) }
      } catch {
        if passingDamage { continue }
        throw error
      }
    }
    return nil
  }

  // MARK: Making room

  /// The offset of an empty slot for a key of this hash, in a writable page. Splits as needed.
  /// Throws without effect on what the index says.
  func emptySlot(
    _ hash: KeyHash, _ known: Path, space: inout SpaceTable
  ) throws(StoreError) -> Int {
    var path = known
    // Each round deepens a page by one bit, and a hash has 64.
    for _ in 0..<128 {
      let page = memory.bucket(path.bucket.page)
      let lines = hash.lines
      let first = page.room(line: lines.first)
      let second = page.room(line: lines.second)
      if let slot = first.empty, first.used <= second.used || second.empty == nil {
        return page.offset(line: lines.first, slot: slot)
      }
      if let slot = second.empty { return page.offset(line: lines.second, slot: slot) }
      if mustOverflow(path) {
        return try overflowSlot(path.bucket.page, space: &space)
      }
      try splitOnce(path, hash, space: &space)
      path = try writablePath(hash, space: &space)
    }
    throw StoreError(.damaged, "the index cannot make room for a key; run 'kvmap verify'")
  }

  /// Whether the bucket gets an overflow page because splitting would not help. Splitting helps
  /// only where keys differ in the next bits of the hash. With a secret seed, keys do not by
  /// chance fill two lines of a page that is less than half full: many of them have the same
  /// hash.
  private func mustOverflow(_ path: Path) -> Bool {
    if path.bucket.depth >= 48 { return true }
    return memory.bucket(path.bucket.page).usedSlots < Bucket.slotCount / 2
  }
}
