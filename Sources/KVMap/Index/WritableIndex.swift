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
    var nodes: [PagePointer]
    var bucket: PagePointer

    /// The directory page that points to the bucket.
    var parent: PagePointer { nodes[nodes.count - 1] }
  }

  /// How many pages the longest single step may take: a path of nodes to copy, and the pages of a
  /// split.
  static let pagesForOneStep = 6

  // MARK: Paths

  /// Makes the bucket of `hash` writable, and the directory pages on the path to it. Throws
  /// without effect on what the index says.
  @inline(__always)
  func writableBucket(_ hash: KeyHash, space: inout SpaceTable) throws(Store.Error) -> PagePointer {
    let memory = memory
    let epoch = memory.shared[.epoch]
    var pointer = memory.shared[.root]
    var level = pointer.depth
    var depth = 0
    // The pages above a writable page are writable, since the path was copied from the root. But
    // in a forged file they may not be.
    var isWritable = true
    while level > 0 {
      try memory.check(pointer, .directory, workingTag: epoch.tag)
      if memory.header(pointer.page).epoch != epoch { isWritable = false }
      pointer = memory.node(pointer.page)[hash.entry(depth: depth)]
      depth = pointer.depth
      level -= 1
    }
    memory.bucket(pointer.page).prefetch(hash)
    if isWritable, pointer.epochTag == epoch.tag {
      try checkPlace(pointer, .bucket, hash, memory)
      if memory.header(pointer.page).epoch == epoch { return pointer }
    }
    return try writablePath(hash, space: &space).bucket
  }

  /// As `writableBucket`, for changes of the directory: returns the pages on the path as well.
  @inline(never)
  func writablePath(_ hash: KeyHash, space: inout SpaceTable) throws(Store.Error) -> Path {
    let epoch = epoch
    var pointer = shared[.root]
    let height = pointer.depth
    try memory.check(pointer, .directory, workingTag: epoch.tag)
    let top = try writableCopy(pointer, depth: height, space: &space)
    if top != pointer { shared[.root] = top }
    pointer = PagePointer(page: top.page, depth: 0, epoch: epoch)
    var nodes: [PagePointer] = []
    for level in 0..<height {
      nodes.append(pointer)
      let node = memory.node(pointer.page)
      let entry = hash.entry(depth: pointer.depth)
      let child = node[entry]
      guard child.depth >= pointer.depth, child.depth <= pointer.depth + 8 else {
        throw .damaged("index page", at: pointer.page.offset, "it points to a page of impossible depth")
      }
      try checkPlace(child, level == height - 1 ? .bucket : .directory, hash, memory)
      let copy = try writableCopy(child, depth: child.depth, space: &space)
      if copy != child { setEntries(of: node, nodeDepth: pointer.depth, around: entry, to: copy) }
      pointer = copy
    }
    return Path(nodes: nodes, bucket: pointer)
  }

  /// Throws `damaged` unless the page covers the hashes that the reference to it says. Otherwise
  /// changes and splits would happen where no lookup finds them.
  @inline(__always)
  private func checkPlace(
    _ pointer: PagePointer, _ kind: PageKind, _ hash: KeyHash, _ memory: StoreMemory
  ) throws(Store.Error) {
    try memory.check(pointer, kind, workingTag: memory.shared[.epoch].tag)
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

  /// `pointer` itself if its page, which was checked, is of this epoch; else a pointer to a copy.
  private func writableCopy(
    _ pointer: PagePointer, depth: Int, space: inout SpaceTable
  ) throws(Store.Error) -> PagePointer {
    let epoch = epoch
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
  ) throws(Store.Error) -> IndexReader.Match? {
    let memory = memory
    let page = memory.bucket(bucket)
    let lines = hash.lines
    let label = Slot.Label(tag: hash.tag, pending: pending)
    if let match = try find(label, key, memory, page, line: lines.first, passingDamage) { return match }
    if let match = try find(label, key, memory, page, line: lines.second, passingDamage) { return match }
    let overflow = memory.header(bucket).overflow
    if overflow.number == 0 { return nil }
    return try findInOverflow(overflow, label, key, passingDamage)
  }

  /// What the slots of a key point to: a published record, and one that is pending.
  struct Both {
    var published: IndexReader.Match?
    var pending: IndexReader.Match?
  }

  /// The published and the pending record of `key`, each nil if there is none.
  func findBoth(
    _ hash: KeyHash, _ key: RawSpan, in bucket: PageNumber
  ) throws(Store.Error) -> Both {
    let memory = memory
    let page = memory.bucket(bucket)
    let lines = hash.lines
    var both = Both()
    try find(hash.tag, key, memory, page, line: lines.first, &both)
    try find(hash.tag, key, memory, page, line: lines.second, &both)
    var chain = OverflowChain(memory, from: memory.header(bucket).overflow)
    while let overflow = try chain.next() {
      let page = memory.bucket(overflow)
      for line in 1...Bucket.lineCount { try find(hash.tag, key, memory, page, line: line, &both) }
    }
    return both
  }

  @inline(__always)
  private func find(
    _ tag: UInt16, _ key: RawSpan, _ memory: StoreMemory, _ page: Bucket, line: Int, _ both: inout Both
  ) throws(Store.Error) {
    for index in 0..<Bucket.slotsPerLine {
      let slot = page.load(line: line, slot: index)
      if slot.tag != tag || slot.isEmpty { continue }
      let record = try Record(memory, at: slot.position)
      guard try record.isOf(key) else {
        try record.checkBelongs(to: slot)
        continue
      }
      let match = IndexReader.Match(
        record, slotOffset: page.offset(line: line, slot: index), slot: slot)
      if slot.isPending { both.pending = match } else { both.published = match }
    }
  }

  @inline(never)
  private func findInOverflow(
    _ first: PageNumber, _ label: Slot.Label, _ key: RawSpan, _ passingDamage: Bool
  ) throws(Store.Error) -> IndexReader.Match? {
    var chain = OverflowChain(memory, from: first)
    while let overflow = try chain.next() {
      let page = memory.bucket(overflow)
      for line in 1...Bucket.lineCount {
        if let match = try find(label, key, memory, page, line: line, passingDamage) { return match }
      }
    }
    return nil
  }

  @inline(__always)
  private func find(
    _ label: Slot.Label, _ key: RawSpan, _ memory: StoreMemory, _ page: Bucket, line: Int,
    _ passingDamage: Bool
  ) throws(Store.Error) -> IndexReader.Match? {
    for index in 0..<Bucket.slotsPerLine {
      let slot = page.load(line: line, slot: index)
      if slot.label != label { continue }
      if slot.isEmpty { continue }
      do throws(Store.Error) {
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

  /// The offset of a slot that was found before its bucket was made writable; nil if it is not
  /// there any more.
  @inline(__always)
  func slotOffset(
    _ slot: Slot, foundAt offset: Int, in bucket: PageNumber, _ hash: KeyHash
  ) throws(Store.Error) -> Int? {
    // A copy of the bucket has its slots where the bucket had them; an overflow page may lie
    // anywhere.
    let copied = bucket.offset + offset % Layout.pageBytes
    if bytes.loadRelaxed(copied) == slot.bits { return copied }
    return try IndexReader(memory: memory).slot(leadingTo: slot.position, hash)
  }

  // MARK: Making room

  /// The offset of an empty slot for a key of this hash, in a writable page: `bucket`, or one that
  /// it splits into. Throws without effect on what the index says.
  func emptySlot(
    _ hash: KeyHash, _ bucket: PagePointer, space: inout SpaceTable
  ) throws(Store.Error) -> Int {
    if let slot = emptySlot(hash, in: bucket.page) { return slot }
    // Each round deepens a page by one bit, and a hash has 64.
    for _ in 0..<128 {
      let path = try writablePath(hash, space: &space)
      if let slot = emptySlot(hash, in: path.bucket.page) { return slot }
      if mustOverflow(path.bucket) { return try overflowSlot(path.bucket.page, space: &space) }
      try splitOnce(path, hash, space: &space)
    }
    throw Store.Error(.damaged, "the index cannot make room for a key; run 'kvmap verify'")
  }

  /// The offset of an empty slot in the emptier of the two lines; nil if both are full.
  @inline(__always)
  private func emptySlot(_ hash: KeyHash, in bucket: PageNumber) -> Int? {
    let page = memory.bucket(bucket)
    let lines = hash.lines
    let first = page.room(line: lines.first)
    let second = page.room(line: lines.second)
    if let slot = first.empty, first.used <= second.used {
      return page.offset(line: lines.first, slot: slot)
    }
    return second.empty.map { page.offset(line: lines.second, slot: $0) }
  }

  /// Whether the bucket gets an overflow page because splitting would not help. Splitting helps
  /// only where keys differ in the next bits of the hash. With a secret seed, keys do not by
  /// chance fill two lines of a page that is less than half full: many of them have the same
  /// hash.
  private func mustOverflow(_ bucket: PagePointer) -> Bool {
    if bucket.depth >= 48 { return true }
    return !memory.bucket(bucket.page).isFuller(than: Bucket.slotCount / 2 - 1)
  }
}
