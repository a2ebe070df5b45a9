import Synchronization

extension Store {
  /// Figures about a store; see ``Store/statistics()``.
  ///
  /// They account for all that the store uses of its file: ``usedBytes`` is the sum of ``liveBytes``,
  /// ``garbageBytes``, ``freeBytes``, ``indexBytes``, ``roomBytes`` and ``fixedBytes``.
  public struct Statistics: Sendable {
    /// Keys, including expired ones until they are reclaimed.
    public var recordCount = 0
    /// Bytes of live records as stored, with record headers, padding and large values.
    public var liveBytes = 0
    /// Bytes of live records in the log that have an expiry, passed or not. Of a large value only its
    /// record counts.
    public var expiringBytes = 0
    /// Bytes of the file that the store uses or keeps for use; what lies beyond is not counted.
    public var usedBytes = 0
    /// Length of the file in bytes; it may have holes.
    public var fileBytes = 0
    /// Bytes of disk that the file takes.
    public var allocatedBytes = 0
    /// Pages of the host's size that are in memory; nil where the system does not tell.
    public var residentPages: Int?
    /// Pages of 4 KiB that the index and the space table use.
    public var indexPages = 0
    /// The same in bytes.
    public var indexBytes: Int { indexPages * Layout.pageBytes }
    /// Those of the index pages that hold slots, including overflow pages.
    public var bucketPages = 0
    /// Overflow pages. More than a few mean that many keys have the same hash.
    public var overflowPages = 0
    /// Buckets by the share of their slots that is in use, in ten steps: element 0 counts those below
    /// 10 %, element 9 those from 90 %.
    public var fillHistogram = [Int](repeating: 0, count: 10)
    /// Lines of 8 slots that are full. Each bucket page has 63 lines.
    public var fullLines = 0
    /// Levels of directory pages above the buckets.
    public var directoryHeight = 0
    /// Log segments of 1 MiB.
    public var segments = 0
    /// Bytes of the file that are set apart for the log.
    public var logBytes = 0
    /// Bytes of the extents that hold large values, rounded up to units of 64 KiB.
    public var largeValueBytes = 0
    /// Bytes of log that hold no live record: what compaction can reclaim.
    public var garbageBytes = 0
    /// Bytes of the file that are not in use.
    public var freeBytes = 0
    /// Those of the free bytes that may still take disk space.
    public var freeStoredBytes = 0
    /// Those of the free bytes that must not be written before the next checkpoint.
    public var freeAwaitingCheckpointBytes = 0
    /// Those of the free bytes that a snapshot or another reader keeps from being written.
    public var freeAwaitingPinBytes = 0
    /// Bytes that belong to something and hold nothing yet: the rest of the segments that are being
    /// written, of the last unit of each large value, and of index units.
    public var roomBytes = 0
    /// Bytes of the superblocks and the shared state.
    public var fixedBytes: Int { Int(Layout.firstFreeUnit) * Layout.unitBytes }
    /// Bytes of log written since the last checkpoint: what recovery would have to read.
    public var logSinceCheckpoint = 0
    /// Number of the last durable checkpoint.
    public var checkpointEpoch: UInt64 = 0
    /// Version of the file's format.
    public var formatVersion = Int(Layout.version)
    /// Process that holds the write lock, as far as one look can tell; nil if none does, or it is
    /// unknown.
    public var writer: Int32?
    /// Process of the oldest snapshot or other pin, which keeps ``freeAwaitingPinBytes`` from being
    /// used; nil if there is none.
    public var oldestPinHolder: Int32?
  }
}

extension Store {
  /// Counts what the store has: O(index pages and units of 64 KiB).
  ///
  /// Waits for no lock. Beside a writer, each figure is right at some moment during the call.
  ///
  /// - Throws: ``Store/Error`` with `damaged`, `lost`, `closed` or `notEnoughMemory`.
  public func statistics() throws(Store.Error) -> Store.Statistics { try core.statistics() }
}

extension StoreCore {
  func statistics() throws(Store.Error) -> Store.Statistics {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    var statistics = Store.Statistics()
    do throws(Store.Error) {
      (statistics.fileBytes, statistics.allocatedBytes) = try backing.sizes()
      statistics.residentPages = try backing.residentPages()
    } catch {
      throw error.naming(name)
    }
    let shared = shared
    statistics.recordCount = Int(shared[.recordCount])
    statistics.liveBytes = Int(shared[.liveBytes])
    statistics.indexPages = Int(shared[.indexPages])
    statistics.logSinceCheckpoint = Int(shared[.logSinceCheckpoint])
    statistics.checkpointEpoch = shared[.durableEpoch].number
    statistics.directoryHeight = shared[.root].depth
    do throws(Store.Error) {
      statistics.writer =
        options.exclusive ? processIdentifier : try backing.locks.holder(of: .write, against: .exclusive)
      statistics.oldestPinHolder = try oldestPinHolder()
    } catch {
      throw error.naming(name)
    }
    try countBuckets(&statistics)
    try countUnits(&statistics)
    return statistics
  }

  private func countBuckets(_ statistics: inout Store.Statistics) throws(Store.Error) {
    var next: UInt64? = 0
    while let from = next {
      let (pages, used, full) = try read { memory throws(Store.Error) in try bucketFill(from, &next, memory) }
      statistics.bucketPages += pages
      statistics.overflowPages += pages - 1
      statistics.fullLines += full
      statistics.fillHistogram[min(9, used * 10 / (Bucket.slotCount * pages))] += 1
    }
  }

  private func bucketFill(
    _ from: UInt64, _ next: inout UInt64?, _ memory: StoreMemory
  ) throws(Store.Error) -> (pages: Int, used: Int, fullLines: Int) {
    let index = IndexReader(memory: memory)
    let tag = shared[.epoch].tag
    let pointer = try index.bucketForWalk(from, next: &next)
    var (pages, used, full) = (0, 0, 0)
    var page = pointer.page
    var chain = ChainGuard()
    while page.number != 0 {
      try chain.pass(page)
      if pages > 0 { try index.checkOverflow(page, workingTag: tag) }
      let bucket = memory.bucket(page)
      for line in 1...Bucket.lineCount {
        let count = bucket.room(line: line).used
        used += count
        if count == Bucket.slotsPerLine { full += 1 }
      }
      pages += 1
      page = memory.header(page).overflow
    }
    return (pages, used, full)
  }

  private func countUnits(_ statistics: inout Store.Statistics) throws(Store.Error) {
    var liveInLog = 0
    var indexUnits = 0
    var end = Store.UnitUse.fixedUnits
    try forEachUnit { unit in
      let bytes = unit.count * Layout.unitBytes
      end = unit.first + unit.count
      liveInLog += unit.liveBytes
      statistics.expiringBytes += unit.expiringBytes
      switch unit.kind {
      case .log where unit.beginsSegment:
        statistics.segments += 1
        statistics.logBytes += Layout.segmentBytes
      case .log: break
      case .largeValue: statistics.largeValueBytes += bytes
      case .index: indexUnits += 1
      case .free:
        statistics.freeBytes += bytes
        if unit.isStored { statistics.freeStoredBytes += bytes }
        switch unit.wait {
        case .nothing: break
        case .checkpoint: statistics.freeAwaitingCheckpointBytes += bytes
        case .pin: statistics.freeAwaitingPinBytes += bytes
        }
      }
    }
    // The next segment counts as room before it is chosen.
    let logRoom = Layout.segmentBytes + logRooms().dropLast().reduce(0) { $0 + $1.count }
    statistics.usedBytes = end * Layout.unitBytes
    statistics.garbageBytes = max(0, statistics.logBytes - liveInLog - logRoom)
    let largeValues = statistics.liveBytes - liveInLog
    statistics.roomBytes =
      logRoom + max(0, statistics.largeValueBytes - largeValues)
      + max(0, indexUnits * Layout.unitBytes - statistics.indexBytes)
  }

  private func oldestPinHolder() throws(Store.Error) -> Int32? {
    let own = min(source.local.lowestPin, pins.lowestAnnounced?.number ?? .max)
    let others = try backing.locks.lowestPin()
    if let announced = try ReuseRule.announcedPin(memory, backing),
      announced.epoch < others ?? Epoch(number: .max), announced.epoch.number < own
    {
      return announced.process
    }
    if let others, others.number < own { return try backing.locks.holderOfLowestPin() }
    return own == .max ? nil : Int32(processIdentifier)
  }

  /// Space released up to `durable`, and before `pin`, may be written again.
  func releaseLimits() throws(Store.Error) -> (durable: Epoch, pin: Epoch?) {
    let pin: Epoch?
    do { pin = try ReuseRule.lowestPin(memory, backing) } catch { throw error.naming(name) }
    let announced = pins.lowestAnnounced
    return (shared[.durableEpoch], [pin, announced].compactMap { $0 }.min())
  }
}
