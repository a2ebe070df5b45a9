/// Builds the contents of an empty store.
struct Creation {
  let source: MemorySource
  let backing: any Backing
  let clock: Clock
  let identifier: (UInt64, UInt64)
  /// The first record's sequence number. In a store that takes over values of another store it is
  /// above all versions that are kept.
  var firstSequence = SequenceNumber(number: 1)

  /// Builds everything in a file that does not have its name yet: nobody sees the store before it
  /// is complete and durable.
  func build() throws(Store.Error) {
    let first = Layout.firstFreeUnit
    try backing.grow(to: Int(first + 1) * Layout.unitBytes)
    for offset in [Layout.superblockOffsets.a, Layout.superblockOffsets.b, Layout.liveOffset] {
      try backing.allocate(offset: offset, count: Layout.pageBytes)
    }
    try backing.allocate(
      offset: Int(first) * Layout.unitBytes, count: Layout.unitBytes)
    let shared = source.shared
    shared[.epoch] = Epoch(number: 1)
    shared[.highWater] = Unit(number: first + 1)
    shared[.earliestExpiry] = .max

    var writer = Writer(source, backing: backing, clock: clock)
    writer.space.create()
    try makeDirectory(&writer)
    let segment = try writer.space.allocate(Int(Layout.segmentUnits), as: .segment)
    let next = try writer.space.allocate(Int(Layout.segmentUnits), as: .segment)
    let start = segment.position.offset
    try backing.allocate(offset: Int(start), count: Layout.pageBytes)
    SegmentHeader(ordinal: 1, next: next, sequence: firstSequence).encode(
      writer.memory.bytes, at: Int(start), seed: source.seed)
    shared[.segment] = segment
    shared[.tail] = Position(offset: start + UInt64(SegmentHeader.byteCount))
    shared[.sequence] = firstSequence
    shared[.chain] = source.seed.low
    try writer.space.flushReleases()

    let checkpoint = Checkpoint(
      source: source, backing: backing,
      previous: Superblock(identifier: identifier, seed: source.seed))
    let block = checkpoint.freeze()
    try checkpoint.seal(block, after: Epoch(number: 0))
    try checkpoint.persistNew(block)
  }

  private func makeDirectory(_ writer: inout Writer) throws(Store.Error) {
    let epoch = Epoch(number: 1)
    let root = try writer.space.takePage()
    let bucket = try writer.space.takePage()
    let bytes = writer.memory.bytes
    PageHeader(bytes: bytes, page: bucket).format(kind: .bucket, depth: 0, epoch: epoch, prefix: 0)
    PageHeader(bytes: bytes, page: root).format(kind: .directory, depth: 0, epoch: epoch, prefix: 0)
    let node = NodePage(bytes: bytes, page: root)
    for entry in 0..<NodePage.entryCount {
      node[entry] = PagePointer(page: bucket, depth: 0, epoch: epoch)
    }
    source.shared[.root] = PagePointer(page: root, depth: 1, epoch: epoch)
  }
}
