import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// `verify` counts again what the file counts, and names what differs.
@Suite(.timeLimit(.minutes(5)))
struct AccountingTests {
  // MARK: Figures

  private func expectSum(_ statistics: Store.Statistics, _ comment: Comment) {
    let sum =
      statistics.liveBytes + statistics.garbageBytes + statistics.freeBytes + statistics.indexBytes
      + statistics.roomBytes + statistics.fixedBytes
    #expect(sum == statistics.usedBytes, comment)
  }

  /// Every byte of the store counts in exactly one figure.
  @Test func figuresAddUpToTheStore() throws {
    let scratch = try Scratch()
    let seed = testSeed("figuresAddUpToTheStore")
    let store = try scratch.store()
    let mix = Operation.Mix(keys: 120, largeEvery: 10, largestValue: 300 << 10, longestTransaction: 8)
    var model = Operation.Contents()
    for number in 0..<600 * testScale {
      let operation = Operation(seed: seed, number: number, mix: mix)
      try operation.apply(to: store)
      operation.apply(to: &model)
      switch number % 150 {
      case 40: try store.checkpoint()
      case 90: try store.compact()
      default: break
      }
      let statistics = try store.statistics()
      expectSum(statistics, "operation \(number)")
      let highWater = Int(store.core.memory.shared[.highWater].number) * Layout.unitBytes
      #expect(statistics.usedBytes == highWater)
      #expect(statistics.fileBytes >= highWater)
      #expect(statistics.liveBytes >= model.reduce(0) { $0 + $1.key.count + $1.value.count })
      #expect(statistics.liveBytes <= model.reduce(0) { $0 + $1.key.count + $1.value.count + 63 })
    }
    try store.close()
    let reader = try scratch.store { $0.access = .readOnly }
    expectSum(try reader.statistics(), "read alone")
    let memory = try Store.inMemory()
    for number in 0..<2_000 { try memory.put(patterned(number, 1), forKey: "key \(number % 50)") }
    expectSum(try memory.statistics(), "in memory")
  }

  /// Free space waits for a checkpoint first, then for pins, and is punched in the end.
  @Test func freeSpaceSaysWhatItWaitsFor() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<40 { try store.put(patterned(200_000, UInt64(number)), forKey: "large \(number)") }
    try store.put("stays", forKey: "key")
    try store.checkpoint()
    let view = try scratch.store { $0.access = .scratch }
    for number in 0..<39 { try store.remove("large \(number)") }
    let units = 39 * 4 * Layout.unitBytes
    var statistics = try store.statistics()
    #expect(statistics.freeBytes >= units)
    #expect(statistics.freeAwaitingCheckpointBytes >= units)
    #expect(statistics.freeAwaitingPinBytes == 0)
    #expect(statistics.freeStoredBytes >= units)
    try store.checkpoint()
    statistics = try store.statistics()
    #expect(statistics.freeAwaitingCheckpointBytes < 2 << 20)
    #expect(statistics.freeAwaitingPinBytes >= units)
    try view.close()
    statistics = try store.statistics()
    #expect(statistics.freeAwaitingPinBytes == 0)
    #expect(statistics.freeStoredBytes >= units)
    // A handle's own readers count too.
    try store.withValue(forKey: "key") { _ in
      try store.remove("large 39")
      try store.checkpoint()
      #expect(try store.statistics().freeAwaitingPinBytes >= 4 * Layout.unitBytes)
    }
    try store.compact()
    statistics = try store.statistics()
    #expect(statistics.freeStoredBytes < 1 << 20)
    #expect(statistics.freeBytes < 8 << 20)
    expectSum(statistics, "compacted")
  }

  @Test func expiringBytesAreCounted() throws {
    let scratch = try Scratch()
    let time = TestClock(1_000_000)
    let store = Store(
      core: try Opening(path: scratch.path(), options: Store.Options(), clock: time.clock).open())
    for number in 0..<100 { try store.put(patterned(68, 1), forKey: "stays \(10_000 + number)") }
    #expect(try store.statistics().expiringBytes == 0)
    for number in 0..<100 {
      try store.put(
        patterned(68, 1), forKey: "goes \(100_000 + number)", expires: .after(.seconds(number + 1)))
    }
    // Header, expiry, key and value.
    #expect(try store.statistics().expiringBytes == 100 * 112)
    for number in 0..<10 { try store.setExpiry(.never, forKey: "goes \(100_000 + number)") }
    #expect(try store.statistics().expiringBytes == 90 * 112)
    time.advance(milliseconds: 50_000)
    #expect(try store.statistics().expiringBytes == 90 * 112)
    try store.compact()
    #expect(try store.statistics().expiringBytes == 50 * 112)
  }

  // MARK: Counters

  /// A counter of the file that gets a wrong value.
  enum Counter: String, CaseIterable {
    case recordCount, liveBytes, indexPages, highWater
    case live, liveTooSmall, liveOfLargeValue, liveOfFree, liveOfIndex
    case expiring, expiringTooSmall, earliestExpiry, latestExpiry
    case usedPage, unusedPage, releasedPage, releasedTwice, releaseToCome, releaseBeforeOutOfOrder
    case lengthOfExtent, lengthOfSegment, lengthOfIndex, kind, continuation, forgottenExtent, freeSegment
    case freeToCome, freeLength, diskSpace

    /// What `verify` says of it.
    var meaning: String {
      switch self {
      case .recordCount: "record count"
      case .liveBytes: "live bytes"
      case .indexPages: "index page count"
      case .highWater: "which the store does not have"
      case .live, .liveTooSmall: "are live, but"
      case .liveOfLargeValue, .liveOfFree, .liveOfIndex: "are live, but no log is there"
      case .expiring, .expiringTooSmall: "will expire, but"
      case .earliestExpiry, .latestExpiry: "expire at other times"
      case .usedPage: "keeps pages of unit"
      case .unusedPage: "are in use that it does not say are"
      case .releasedPage: "are in use and released"
      case .releasedTwice: "were released twice"
      case .releaseToCome, .releaseBeforeOutOfOrder: "pages of unit"
      case .lengthOfExtent, .forgottenExtent: "a large value lies there"
      case .lengthOfSegment: "is interrupted"
      case .lengthOfIndex: "an index unit is one"
      case .kind: "its kind is unknown"
      case .continuation: "it continues a row of units that has no beginning"
      case .freeSegment: "which it does not say is log"
      case .freeToCome: "was released in an epoch to come"
      case .freeLength: "speaks of its use"
      case .diskSpace: "does not say how much disk space"
      }
    }
  }

  /// The first unit of this kind whose entry satisfies `isWanted`.
  private func unit(
    _ kind: UnitKind, _ space: inout SpaceTable, _ isWanted: (SpaceEntry) -> Bool = { _ in true }
  ) throws(Store.Error) -> SpaceEntry {
    for number in Layout.firstFreeUnit..<space.highWater {
      let unit = Unit(number: number)
      if let entry = try space.entry(unit), entry.kind == kind, isWanted(entry) {
        return try space.writableEntry(unit)
      }
    }
    throw Store.Error(.system, "there is no unit of kind \(kind)")
  }

  private func falsify(_ counter: Counter, _ writer: inout Writer) throws(Store.Error) {
    let shared = writer.shared
    func segment(_ isWanted: (SpaceEntry) -> Bool = { $0.live > 0 }) throws(Store.Error) -> SpaceEntry {
      try unit(.segment, &writer.space, isWanted)
    }
    switch counter {
    case .recordCount: shared[.recordCount] += 1
    case .liveBytes: shared[.liveBytes] -= 8
    case .indexPages: shared[.indexPages] += 1
    case .highWater: shared[.highWater] = Unit(number: shared[.segment].number + Layout.segmentUnits)
    case .live: try segment().live += 8
    case .liveTooSmall: try segment().live -= 8
    case .liveOfLargeValue: try unit(.extent, &writer.space).live = 8
    case .liveOfFree: try unit(.free, &writer.space).live = 8
    case .liveOfIndex: try unit(.index, &writer.space).live = 8
    case .expiring: try segment { $0.expiring > 0 }.expiring += 8
    case .expiringTooSmall: try segment { $0.expiring > 0 }.expiring -= 8
    case .earliestExpiry: try segment { $0.expiring > 0 }.earliestExpiry += 1
    case .latestExpiry: try segment { $0.expiring > 0 }.latestExpiry -= 1
    case .usedPage:
      let entry = try unit(.index, &writer.space) { ~($0.used | $0.releasedBefore | $0.releasedLately) != 0 }
      let free = ~(entry.used | entry.releasedBefore | entry.releasedLately)
      entry.used |= free & (~free + 1)
    case .unusedPage:
      let entry = try unit(.index, &writer.space) { $0.used.nonzeroBitCount > 4 }
      entry.used &= ~(1 << UInt16(entry.used.trailingZeroBitCount))
    case .releasedPage:
      let entry = try unit(.index, &writer.space) { $0.used != 0 }
      entry.releasedLately |= 1 << UInt16(entry.used.trailingZeroBitCount)
    case .releasedTwice:
      let entry = try unit(.index, &writer.space) { $0.releasedLately != 0 }
      entry.releasedBefore |= entry.releasedLately
    case .releaseToCome: try unit(.index, &writer.space).epoch.number += 1_000
    case .releaseBeforeOutOfOrder:
      let entry = try unit(.index, &writer.space)
      entry.epochBefore = entry.epoch.next
    case .lengthOfExtent: try unit(.extent, &writer.space) { $0.length > 1 }.length -= 1
    case .lengthOfSegment: try segment().length += 1
    case .lengthOfIndex: try unit(.index, &writer.space).length = 0
    case .kind: writer.memory.bytes.store8(9, try unit(.extent, &writer.space).offset)
    case .continuation: try segment().reset(.free)
    case .forgottenExtent: try unit(.extent, &writer.space).reset(.free)
    case .freeSegment: try segment().reset(.free)
    case .freeToCome: try unit(.free, &writer.space).epoch.number += 1_000
    case .freeLength: try unit(.free, &writer.space).length = 1
    case .diskSpace:
      writer.memory.bytes.store8(7, try unit(.free, &writer.space).offset + SpaceEntry.diskSpace)
    }
  }

  /// Each wrong figure has a right checksum, as if a defect of the library had written it.
  @Test(arguments: Counter.allCases) func aWrongCounterIsNamed(counter: Counter) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<3_000 {
      try store.put(
        patterned(number % 300, 1), forKey: "key \(number)",
        expires: number % 5 == 0 ? .at(millisecondsSince1970: 1 << 50 + UInt64(number)) : .never)
    }
    for number in 0..<6 {
      try store.put(patterned(65_537 + number % 2 * 70_000, 1), forKey: "large \(number)")
    }
    // The store's last units are in use, so that free ones below them are not truncated.
    for number in 0..<3 { try store.remove("large \(number)") }
    for number in 2_500..<3_000 { try store.remove("key \(number)") }
    try store.checkpoint()
    #expect(try Store.verify(scratch.path()).isSound)
    try store.core.withWriteLock { turn throws(Store.Error) in
      try self.falsify(counter, &turn.writer)
      if counter == .highWater {
        _ = try store.core.checkpointWithoutTrimming()
      } else {
        try store.core.checkpoint(turn, .skip)
      }
    }
    let report = try Store.verify(scratch.path())
    let faults = report.faults.map(\.description)
    #expect(faults.contains { $0.contains(counter.meaning) }, "\(counter): \(faults)")
  }
}

extension StoreCore {
  /// A checkpoint of the shared state as it is.
  fileprivate func checkpointWithoutTrimming() throws(Store.Error) -> Bool {
    let durable = memory.shared[.durableEpoch]
    let checkpoint = Checkpoint(source: source, backing: backing, previous: superblock)
    let block = checkpoint.freeze()
    try checkpoint.seal(block, after: durable)
    try checkpoint.persist(block)
    checkpoint.publishReuse(block)
    return true
  }
}
