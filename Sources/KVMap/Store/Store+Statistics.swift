/// Figures about a store; see ``Store/statistics()``.
public struct StoreStatistics: Sendable {
  /// Keys, expired ones included until they are reclaimed.
  public var recordCount = 0
  /// Bytes of live records as stored, heads and padding included.
  public var liveBytes = 0
  /// Length of the file; it may have holes.
  public var fileBytes = 0
  /// Bytes of disk the file takes.
  public var allocatedBytes = 0
  /// Pages of the host's size that are in memory.
  public var residentPages = 0
  /// Pages of 4 KiB that index and space table use.
  public var indexPages = 0
  /// The same in bytes.
  public var indexBytes: Int { indexPages * Layout.pageBytes }
  /// Those among them that hold slots, overflow pages included.
  public var bucketPages = 0
  /// Overflow pages: more than a few mean many keys of one hash.
  public var overflowPages = 0
  /// Bucket pages by the share of their slots in use, in tenths.
  public var fillHistogram = [Int](repeating: 0, count: 10)
  /// Lines of 8 slots that are full, of 63 for each bucket page.
  public var fullLines = 0
  /// Levels of directory pages above the buckets.
  public var directoryHeight = 0
  /// Log segments of 1 MiB.
  public var segments = 0
  /// Bytes of the file that are set apart for the log.
  public var logBytes = 0
  /// Bytes of large values' runs.
  public var largeValueBytes = 0
  /// Log that holds no live record: what compaction can win.
  public var garbageBytes = 0
  /// Bytes of the file that are in nobody's use.
  public var freeBytes = 0
  /// Bytes of log written since the last checkpoint: what recovery would read.
  public var logSinceCheckpoint = 0
  /// The last durable checkpoint.
  public var checkpointEpoch: UInt64 = 0
  /// Version of the file's format.
  public var formatVersion = Int(Layout.version)
  /// Process that has the writer's turn, as far as one look can tell.
  public var writer: Int32?
}

extension Store {
  /// Counts what there is: O(number of index pages).
  ///
  /// Beside a writer, the figures are each right at some moment during the call.
  ///
  /// - Throws: ``StoreError`` with `damaged` or `lost`.
  public func statistics() throws(StoreError) -> StoreStatistics { try core.statistics() }
}

extension StoreCore {
  func statistics() throws(StoreError) -> StoreStatistics {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    var statistics = StoreStatistics()
    let sizes: (file: Int, allocated: Int, resident: Int)
    do { sizes = try backing.sizes() } catch { throw error.naming(name) }
    statistics.fileBytes = sizes.file
    statistics.allocatedBytes = sizes.allocated
    statistics.residentPages = sizes.resident
    let live = memory.live
    statistics.recordCount = Int(live[LivePage.recordCount])
    statistics.liveBytes = Int(live[LivePage.liveBytes])
    statistics.indexPages = Int(live[LivePage.indexPages])
    statistics.logSinceCheckpoint = Int(live[LivePage.logSinceCheckpoint])
    statistics.checkpointEpoch = live[LivePage.durableEpoch]
    statistics.directoryHeight = PagePointer(bits: live[LivePage.root]).depth
    let holder = Int32(clamping: live[LivePage.holder])
    statistics.writer = holder == 0 ? nil : holder
    try countBuckets(&statistics)
    try countUnits(&statistics)
    return statistics
  }

  private func countBuckets(_ statistics: inout StoreStatistics) throws(StoreError) {
    var next: UInt64? = 0
    while let from = next {
      let (pages, used, full) = try read { () throws(StoreError) in try bucketFill(from, &next) }
      statistics.bucketPages += pages
      statistics.overflowPages += pages - 1
      statistics.fullLines += full
      statistics.fillHistogram[min(9, used * 10 / (Bucket.slotCount * pages))] += 1
    }
  }

  private func bucketFill(
    _ from: UInt64, _ behind: inout UInt64?
  ) throws(StoreError) -> (pages: Int, used: Int, fullLines: Int) {
    let index = IndexReader(memory: memory)
    let tag = UInt16(truncatingIfNeeded: memory.live[LivePage.epoch])
    let pointer = try index.bucketForWalk(from, behind: &behind)
    var (pages, used, full) = (0, 0, 0)
    var page = pointer.page
    var chain = ChainGuard()
    while page.number != 0 {
      try chain.pass(page)
      if pages > 0 { try index.checkOverflow(page, workingTag: tag) }
      let bucket = Bucket(bytes: memory.bytes, page: page)
      for line in 1...Bucket.lineCount {
        let count = bucket.room(line: line).used
        used += count
        if count == Bucket.slotsPerLine { full += 1 }
      }
      pages += 1
      page = PageHeader(bytes: memory.bytes, page: page).overflow
    }
    return (pages, used, full)
  }

  private func countUnits(_ statistics: inout StoreStatistics) throws(StoreError) {
    // Reading the table needs its own view; nothing is changed through it.
    let space = SpaceTable(memory: memory, backing: backing)
    var number = Layout.firstFreeUnit
    let end = memory.live[LivePage.highWater]
    var live = 0
    while number < end {
      let entry = try read { () throws(StoreError) in
        try space.entry(Unit(number: number)).map {
          (kind: $0.kind, length: $0.length, live: $0.live)
        }
      }
      switch entry?.kind {
      case .segment:
        statistics.segments += 1
        statistics.logBytes += Layout.segmentBytes
        live += entry?.live ?? 0
      case .continuation: live += entry?.live ?? 0
      case .run:
        let length = min(max(1, UInt64(entry?.length ?? 1)), end - number)
        statistics.largeValueBytes += Int(length) * Layout.unitBytes
        number += length - 1
      case .free, nil: statistics.freeBytes += Layout.unitBytes
      case .index, .fixed: break
      }
      number += 1
    }
    // The current segment's rest and the next segment are room, not garbage.
    let segmentEnd = memory.live[LivePage.segment] * UInt64(Layout.unitBytes) + UInt64(Layout.segmentBytes)
    let room = Layout.segmentBytes + Int(clamping: segmentEnd - min(segmentEnd, memory.live[LivePage.tail]))
    statistics.garbageBytes = max(0, statistics.logBytes - live - room)
  }
}

extension PagePointer {
  /// The first hash behind those that a bucket covers; nil if there is none.
  func end(after hash: UInt64) -> UInt64? {
    if depth == 0 { return nil }
    let step = UInt64(1) << UInt64(64 - depth)
    let (end, overflow) = (hash & ~(step - 1)).addingReportingOverflow(step)
    return overflow ? nil : end
  }
}
