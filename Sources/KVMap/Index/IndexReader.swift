/// Finds keys in the index, for readers: takes no locks and writes nothing.
///
/// A writer of any process may change the pages at the same time, slot by slot. The caller
/// decides whether what was found is sound: it compares the generation before and after.
struct IndexReader {
  let memory: StoreMemory
  /// Root of the working tree, as it was a moment ago, or of a frozen one.
  let root: PagePointer

  @inline(__always)
  init(memory: StoreMemory) {
    self.init(memory: memory, root: memory.shared[.root])
  }

  @inline(__always)
  init(memory: StoreMemory, root: PagePointer) {
    self.memory = memory
    self.root = root
  }

  /// A record that was found, and the slot that points to it.
  struct Match {
    /// The offset of the slot in the file, in bytes.
    var position: Position
    var header: RecordHeader
    var slotOffset: Int
    var slot: Slot

    @inline(__always)
    init(_ record: Record, slotOffset: Int, slot: Slot) {
      position = record.position
      header = record.header
      self.slotOffset = slotOffset
      self.slot = slot
    }

    /// The record, in the memory in which it was found. Not kept here: what is found is passed
    /// on in as few words as possible.
    @inline(__always)
    func record(_ memory: StoreMemory) -> Record { Record(memory, position, header) }
  }

  private var bytes: MappedBytes { memory.bytes }

  /// The bucket page of `hash`, itself not checked. Throws `damaged`.
  @inline(__always)
  func bucket(_ hash: KeyHash, workingTag: UInt16) throws(Store.Error) -> PagePointer {
    var pointer = root
    var level = pointer.depth
    var depth = 0
    while level > 0 {
      try memory.check(pointer, .directory, workingTag: workingTag)
      pointer = memory.node(pointer.page)[hash.entry(depth: depth)]
      depth = pointer.depth
      level -= 1
    }
    return pointer
  }

  /// The bucket that covers `hash`, for a walk over all buckets. Each page on the path must cover
  /// the hashes that the reference to it says, so that no page is met twice.
  ///
  /// On return *and* on throw, `next` is the first hash after the range covered by this call (the
  /// bucket, or the unreadable subtree); nil at the end.
  func bucketForWalk(_ hash: UInt64, next: inout UInt64?) throws(Store.Error) -> PagePointer {
    let tag = memory.shared[.epoch].tag
    next = nil
    var pointer = PagePointer(page: root.page, depth: 0, epochTag: root.epochTag)
    for level in 0...root.depth {
      let kind: PageKind = level == root.depth ? .bucket : .directory
      try memory.check(pointer, kind, workingTag: tag)
      let header = memory.header(pointer.page)
      let shift = UInt64(64 - pointer.depth)
      guard header.depth == pointer.depth, header.prefix == (hash >> shift) << shift else {
        throw .damaged(
          "index page", at: pointer.page.offset, "it covers other hashes than the reference to it says")
      }
      if kind == .bucket { break }
      let child = memory.node(pointer.page)[KeyHash(bits: hash).entry(depth: pointer.depth)]
      guard child.depth >= pointer.depth, child.depth <= min(pointer.depth + 8, 63) else {
        throw .damaged("index page", at: pointer.page.offset, "it points to a page of impossible depth")
      }
      pointer = child
      next = pointer.end(after: hash)
    }
    return pointer
  }

  /// The published record of `key`, expired or not; nil if there is none.
  @inline(__always)
  func find(_ hash: KeyHash, _ key: RawSpan) throws(Store.Error) -> Match? {
    let tag = memory.shared[.epoch].tag
    let pointer = try bucket(hash, workingTag: tag)
    let lines = hash.lines
    let page = memory.bucket(pointer.page)
    // The check comes before the loads.
    page.prefetch(hash)
    try memory.check(pointer, .bucket, workingTag: tag)
    let label = Slot.Label(tag: hash.tag, pending: false)
    if let match = try scan(page.offset(line: lines.first, slot: 0), label, key) { return match }
    if let match = try scan(page.offset(line: lines.second, slot: 0), label, key) { return match }
    let overflow = memory.header(pointer.page).overflow
    if overflow.number == 0 { return nil }
    return try findInOverflow(overflow, hash, key, workingTag: tag)
  }

  @inline(__always)
  private func scan(_ line: Int, _ label: Slot.Label, _ key: RawSpan) throws(Store.Error) -> Match? {
    for index in 0..<Bucket.slotsPerLine {
      let offset = line &+ index &* 8
      let slot = Slot(bits: bytes.loadRelaxed(offset))
      if slot.label != label { continue }
      if slot.isEmpty { continue }
      if let match = try compare(offset, key) { return match }
    }
    return nil
  }

  @inline(__always)
  private func compare(_ offset: Int, _ key: RawSpan) throws(Store.Error) -> Match? {
    // Acquire: pairs with the release that published the slot, so that the record's bytes are
    // seen. The slot may have changed since it was scanned.
    let slot = Slot(bits: bytes.loadAcquire(offset))
    if slot.isEmpty || slot.isPending { return nil }
    let record = try Record(memory, at: slot.position)
    guard try record.isOf(key) else {
      try record.checkBelongs(to: slot)
      return nil
    }
    return Match(record, slotOffset: offset, slot: slot)
  }

  @inline(never)
  private func findInOverflow(
    _ first: PageNumber, _ hash: KeyHash, _ key: RawSpan, workingTag: UInt16
  ) throws(Store.Error) -> Match? {
    var chain = OverflowChain(memory, from: first)
    while let page = try chain.next() {
      let bucket = memory.bucket(page)
      for line in 1...Bucket.lineCount {
        let label = Slot.Label(tag: hash.tag, pending: false)
        if let match = try scan(bucket.offset(line: line, slot: 0), label, key) { return match }
      }
    }
    return nil
  }

  /// The offset of the published slot that points to the record at `position`; nil if the record
  /// is not live. Does not look at the record.
  func slot(
    leadingTo position: Position, _ hash: KeyHash
  ) throws(Store.Error) -> Int? {
    let tag = memory.shared[.epoch].tag
    let pointer = try bucket(hash, workingTag: tag)
    try memory.check(pointer, .bucket, workingTag: tag)
    let bits = Slot(tag: hash.tag, position: position).bits
    let lines = hash.lines
    let page = memory.bucket(pointer.page)
    if let offset = slot(bits, page, lines.first) { return offset }
    if let offset = slot(bits, page, lines.second) { return offset }
    var chain = OverflowChain(memory, from: memory.header(pointer.page).overflow)
    while let page = try chain.next() {
      for line in 1...Bucket.lineCount {
        if let offset = slot(bits, memory.bucket(page), line) { return offset }
      }
    }
    return nil
  }

  @inline(__always)
  private func slot(_ bits: UInt64, _ page: Bucket, _ line: Int) -> Int? {
    for index in 0..<Bucket.slotsPerLine where page.load(line: line, slot: index).bits == bits {
      return page.offset(line: line, slot: index)
    }
    return nil
  }

  /// Prefetches what a lookup or a change of `hash` will read of its bucket, and returns the bucket,
  /// itself not checked; nil if it cannot be found.
  @discardableResult
  func prefetch(_ hash: KeyHash) -> PageNumber? {
    guard let pointer = try? bucket(hash, workingTag: memory.shared[.epoch].tag) else { return nil }
    memory.bucket(pointer.page).prefetch(hash)
    return pointer.page
  }

  /// Prefetches the records of a bucket that a lookup of `hash` will compare.
  func prefetchRecords(_ hash: KeyHash, in bucket: PageNumber) {
    guard bucket.offset + Layout.pageBytes <= memory.mappedBytes else { return }
    let page = memory.bucket(bucket)
    let lines = hash.lines
    prefetchRecords(hash.tag, page, line: lines.first)
    prefetchRecords(hash.tag, page, line: lines.second)
  }

  @inline(__always)
  private func prefetchRecords(_ tag: UInt16, _ page: Bucket, line: Int) {
    for index in 0..<Bucket.slotsPerLine {
      let slot = page.load(line: line, slot: index)
      guard slot.tag == tag, !slot.isEmpty else { continue }
      let offset = Int(clamping: slot.position.offset)
      guard offset < memory.mappedBytes else { continue }
      for part in 0..<3 { bytes.prefetch(offset + part * 64) }
    }
  }

  /// Checks an overflow page, which is referenced by number alone. Throws `damaged`.
  func checkOverflow(_ page: PageNumber, workingTag: UInt16) throws(Store.Error) {
    guard page.number <= PagePointer.largestPage else { try memory.outside(.max) }
    guard page.offset + Layout.pageBytes <= memory.mappedBytes else { try memory.outside(page.offset) }
    let header = memory.header(page)
    try memory.check(
      PagePointer(page: page, depth: 0, epoch: header.epoch), .overflow, workingTag: workingTag)
  }
}
