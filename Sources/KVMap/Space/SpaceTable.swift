/// The space table: records what each unit of the file is used for, and allocates free space.
///
/// The table is a tree of pages under its own root: leaves of 126 entries, found by the digits
/// (base 256) of the leaf's number. It lies in index pages itself and is copied on write like the
/// directory. Used with the write lock.
///
/// Copying a page of the table takes a free page. The table must record that, and may have to
/// copy another page for it. This ends: at any time one index unit is *open*, its own entry lies
/// in a page that is already writable, and pages come from there; and each page of the table is
/// copied at most once in an epoch.
struct SpaceTable: ~Copyable {
  let working: WorkingMemory
  let backing: any Backing
  var reuse: ReuseRule

  /// The index unit that pages are taken from.
  struct OpenUnit {
    var unit: Unit
    /// The pages that may be taken, a bit for each; used only until the entry is writable.
    var free: UInt16
    /// Offset of the unit's entry in the file once the entry is writable.
    var entryOffset: Int?
    var epoch: Epoch
  }
  var open: OpenUnit?

  private var writableLeaves = WritableLeaves()

  /// Pages that are no longer referenced and not yet recorded as released.
  var pendingReleases: [PageNumber] = []

  /// Where the search for a unit with free pages goes on, and the reuse limit it began under.
  var pageCursor = (unit: Layout.firstFreeUnit, limit: Epoch(number: 0))
  /// The reuse limit under which a full round found no unit with `count` free pages.
  var pagesExhausted: (limit: Epoch, count: Int)?
  /// Where the search for free units goes on, and the reuse limit it began under.
  var unitCursor = (unit: Layout.firstFreeUnit, limit: Epoch(number: 0))

  /// Whether pages come from the lowest units, instead of first from units that have pages
  /// already. Set while the whole store is compacted, so that its end becomes free.
  var takesLowestPages = false

  /// Units that were taken since this was last set to 0.
  var takenUnits = 0

  /// The high-water mark before it was lowered: up to there may be disk space that nobody uses. 0
  /// if the mark was not lowered, or that space has been punched.
  var trimmedEnd: UInt64 = 0

  /// Units that are chosen and not entered yet.
  var claiming: Range<UInt64> = 0..<0

  /// The reserve, and what space is taken for now: that decides how much of the reserve must be
  /// left.
  var reserve = SpaceReserve()

  /// Set during recovery: only units above everything known are taken, since the log may name any
  /// other.
  var isRecovering = false
  /// Whether free pages of index units are taken. False in recovery beside readers, who may still
  /// see them, and in a private view.
  var takesReleasedPages = true
  /// Whether nobody can see the store yet, and no crash can lead back to an earlier state of it:
  /// then released pages are free at once.
  var isUnseen = false

  init(working: WorkingMemory, backing: any Backing) {
    self.working = working
    self.backing = backing
    reuse = ReuseRule()
  }

  var memory: StoreMemory { working.memory }
  var epoch: Epoch { memory.shared[.epoch] }
  var highWater: UInt64 { memory.shared[.highWater].number }

  var root: PagePointer {
    get { memory.shared[.spaceRoot] }
    nonmutating set { memory.shared[.spaceRoot] = newValue }
  }

  static func leaf(of unit: Unit) -> UInt64 { unit.number / UInt64(SpaceEntry.entriesPerLeaf) }

  static func entryOffset(_ leafPage: PageNumber, _ unit: Unit) -> Int {
    leafPage.offset + PageHeader.byteCount
      + Int(unit.number % UInt64(SpaceEntry.entriesPerLeaf)) * SpaceEntry.byteCount
  }

  // MARK: Entries

  /// The entry of `unit` for reading; nil if it was never used.
  func entry(_ unit: Unit) throws(Store.Error) -> SpaceEntry? {
    try SpaceReader(memory: memory).entry(unit)
  }

  /// The entry of `unit`, made writable in this epoch. Throws without effect on what the table
  /// says.
  @inline(__always)
  mutating func writableEntry(_ unit: Unit) throws(Store.Error) -> SpaceEntry {
    let memory = memory
    let epoch = memory.shared[.epoch]
    if let page = writableLeaves.page(of: Self.leaf(of: unit), in: epoch) {
      try memory.check(
        PagePointer(page: page, depth: 0, epoch: epoch), .spaceLeaf, workingTag: epoch.tag)
      return SpaceEntry(bytes: memory.bytes, offset: Self.entryOffset(page, unit))
    }
    return try writableEntryFromRoot(unit)
  }

  @inline(never)
  private mutating func writableEntryFromRoot(_ unit: Unit) throws(Store.Error) -> SpaceEntry {
    let entry = try writableEntryKeepingReleases(unit)
    try flushReleases()
    return entry
  }

  /// As `writableEntry`, but leaves the pages that it releases in the list.
  mutating func writableEntryKeepingReleases(_ unit: Unit) throws(Store.Error) -> SpaceEntry {
    let leaf = Self.leaf(of: unit)
    if let page = try writableLeaf(leaf) {
      writableLeaves.remember(leaf, at: page, in: epoch)
      return SpaceEntry(bytes: memory.bytes, offset: Self.entryOffset(page, unit))
    }
    // If the tree is too low for the leaf, this takes a page for each new level and node.
    let isBeyond = root.depth < 8 && Self.leaf(of: unit) >> UInt64(8 * root.depth) != 0
    try ensurePages(isBeyond ? root.depth + 3 : try pagesToWrite(unit))
    return try writableEntryFromOpenUnit(unit)
  }

  /// As `writableEntry`, with pages of the open unit, which must have enough of them.
  mutating func writableEntryFromOpenUnit(_ unit: Unit) throws(Store.Error) -> SpaceEntry {
    let page = try makeLeafWritable(Self.leaf(of: unit))
    return SpaceEntry(bytes: memory.bytes, offset: Self.entryOffset(page, unit))
  }

  /// The page of a leaf if it is writable already, else nil.
  private mutating func writableLeaf(_ leaf: UInt64) throws(Store.Error) -> PageNumber? {
    var pointer = root
    let height = pointer.depth
    if height < 8, leaf >> UInt64(8 * height) != 0 { return nil }
    let epoch = epoch
    for level in 0...height {
      try memory.check(pointer, level == height ? .spaceLeaf : .spaceNode, workingTag: epoch.tag)
      // A page is writable only if those above it are: the path was copied from the root.
      guard memory.header(pointer.page).epoch == epoch else { return nil }
      if level == height { break }
      let digit = SpaceReader.digit(of: leaf, level: level, height: height)
      pointer = memory.node(pointer.page)[digit]
      if pointer.bits == 0 { return nil }
    }
    return pointer.page
  }

  /// How many pages it takes to make the existing entry of a unit writable.
  func pagesToWrite(_ unit: Unit) throws(Store.Error) -> Int {
    let leaf = Self.leaf(of: unit)
    var pointer = root
    let height = pointer.depth
    let epoch = epoch
    for level in 0...height {
      try memory.check(pointer, level == height ? .spaceLeaf : .spaceNode, workingTag: epoch.tag)
      // Below a page that is not writable no page is.
      if memory.header(pointer.page).epoch != epoch { return height - level + 1 }
      if level == height { break }
      let digit = SpaceReader.digit(of: leaf, level: level, height: height)
      pointer = memory.node(pointer.page)[digit]
      if pointer.bits == 0 { return height - level }
    }
    return 0
  }

  /// Makes a leaf and the nodes above it writable: copies or creates those that are not. The
  /// pages for it come from the open unit, which must have enough.
  private mutating func makeLeafWritable(_ leaf: UInt64) throws(Store.Error) -> PageNumber {
    let epoch = epoch
    while root.depth < 8, leaf >> UInt64(8 * root.depth) != 0 {
      let page = try takePage()
      memory.header(page).format(
        kind: .spaceNode, depth: 0, epoch: epoch, prefix: 0)
      let old = root
      memory.node(page)[0] = PagePointer(
        bits: old.bits & ~(UInt64(0xff) << 40))
      root = PagePointer(page: page, depth: old.depth + 1, epoch: epoch)
    }
    let height = root.depth
    let top = try writableCopy(of: root, depth: height, kind: .spaceNode, first: 0)
    root = top
    var node = root.page
    for level in 1...height {
      let digit = SpaceReader.digit(of: leaf, level: level - 1, height: height)
      let isLeaf = level == height
      let parent = memory.node(node)
      let copy = try writableCopy(
        of: parent[digit], depth: 0, kind: isLeaf ? .spaceLeaf : .spaceNode,
        first: leaf >> UInt64(8 * (height - level)))
      if copy != parent[digit] { parent[digit] = copy }
      node = copy.page
    }
    return node
  }

  private mutating func writableCopy(
    of pointer: PagePointer, depth: Int, kind: PageKind, first: UInt64
  ) throws(Store.Error) -> PagePointer {
    let epoch = epoch
    if pointer.bits == 0 {
      let page = try takePage()
      memory.header(page).format(
        kind: kind, depth: 0, epoch: epoch, prefix: first)
      return PagePointer(page: page, depth: depth, epoch: epoch)
    }
    try memory.check(pointer, kind, workingTag: epoch.tag)
    let header = memory.header(pointer.page)
    if header.epoch == epoch { return pointer }
    let page = try takePage()
    header.copy(to: page, epoch: epoch)
    pendingReleases.append(pointer.page)
    return PagePointer(page: page, depth: depth, epoch: epoch)
  }

  /// Forgets what another handle may have changed.
  @inline(__always)
  mutating func forgetLeaves() { writableLeaves.forget() }

  // MARK: Above the high-water mark

  /// Drops the pages of the table that are only about units above the high-water mark. Since the
  /// mark was lowered they mean nothing, and they may lie where the file could end.
  mutating func dropLeaves() throws(Store.Error) {
    var last: UInt64
    // Makes all nodes on the way to the last leaf writable. That may raise the mark.
    repeat {
      last = Self.leaf(of: Unit(number: highWater - 1))
      _ = try writableEntryKeepingReleases(Unit(number: highWater - 1))
    } while last != Self.leaf(of: Unit(number: highWater - 1))
    forgetLeaves()
    let height = root.depth
    var node = root.page
    for level in 1...height {
      let digit = SpaceReader.digit(of: last, level: level - 1, height: height)
      let entries = memory.node(node)
      for later in (digit + 1)..<NodePage.entryCount where entries[later].bits != 0 {
        var pages: [PageNumber] = []
        try collectPages(entries[later], height: height - level, &pages)
        entries[later] = PagePointer(bits: 0)
        pendingReleases += pages
      }
      node = entries[digit].page
    }
    try flushReleases()
  }

  private func collectPages(
    _ pointer: PagePointer, height: Int, _ pages: inout [PageNumber]
  ) throws(Store.Error) {
    try memory.check(pointer, height > 0 ? .spaceNode : .spaceLeaf, workingTag: epoch.tag)
    guard UInt64(pages.count) < highWater * UInt64(Layout.pagesPerUnit) else {
      throw .damaged(
        "space table", at: pointer.page.offset, "it has more references to pages than there are pages")
    }
    pages.append(pointer.page)
    if height == 0 { return }
    let entries = memory.node(pointer.page)
    for entry in 0..<NodePage.entryCount where entries[entry].bits != 0 {
      try collectPages(entries[entry], height: height - 1, &pages)
    }
  }

  // MARK: Live bytes of the log

  /// Counts a live record that starts in the unit. The entry must have been made
  /// writable in this epoch.
  mutating func addRecord(_ unit: Unit, bytes: Int, expiry: UInt64?) throws(Store.Error) {
    let entry = try writableEntry(unit)
    entry.live += bytes
    guard let expiry else { return }
    if expiry < memory.shared[.earliestExpiry] { memory.shared[.earliestExpiry] = expiry }
    let isFirst = entry.expiring == 0
    entry.earliestExpiry = isFirst ? expiry : min(entry.earliestExpiry, expiry)
    entry.latestExpiry = isFirst ? expiry : max(entry.latestExpiry, expiry)
    entry.expiring += bytes
  }

  /// Counts a record that is no longer live.
  mutating func removeRecord(_ unit: Unit, bytes: Int, expires: Bool) throws(Store.Error) {
    let entry = try writableEntry(unit)
    // Damage can make a record look larger than what was counted for it.
    entry.live = max(0, entry.live - bytes)
    if expires { entry.expiring = max(0, entry.expiring - bytes) }
  }

  /// Bytes of live records that start in a segment, and how many of them have
  /// probably not expired.
  func liveBytes(_ segment: Unit, at now: UInt64) throws(Store.Error) -> (counted: Int, probable: Int) {
    var (counted, probable) = (0, 0)
    for number in segment.number..<segment.number + Layout.segmentUnits {
      guard let entry = try entry(Unit(number: number)) else { continue }
      counted += entry.live
      probable += entry.probablyLive(at: now)
    }
    return (counted, probable)
  }

  // MARK: A new store

  /// Makes the table of an empty store: the fixed units and one index unit,
  /// whose first pages hold the table itself.
  mutating func create() {
    let epoch = epoch
    let unit = Unit(number: Layout.firstFreeUnit)
    let node = unit.firstPage
    let leaf = PageNumber(number: node.number + 1)
    memory.header(node).format(
      kind: .spaceNode, depth: 0, epoch: epoch, prefix: 0)
    memory.header(leaf).format(
      kind: .spaceLeaf, depth: 0, epoch: epoch, prefix: 0)
    memory.node(node)[0] = PagePointer(page: leaf, depth: 0, epoch: epoch)
    root = PagePointer(page: node, depth: 1, epoch: epoch)
    for number in 0..<Layout.firstFreeUnit {
      SpaceEntry(bytes: memory.bytes, offset: Self.entryOffset(leaf, Unit(number: number)))
        .reset(.fixed, length: 1)
    }
    let offset = Self.entryOffset(leaf, unit)
    let entry = SpaceEntry(bytes: memory.bytes, offset: offset)
    entry.reset(.index, length: 1)
    entry.used = 0b11
    memory.shared[.indexPages] = 2
    open = OpenUnit(unit: unit, free: 0, entryOffset: offset, epoch: epoch)
  }
}
