import TestSupport
import Testing

@testable import KVMap

/// When released space is reused, and that none is lost.
@Suite(.timeLimit(.minutes(5)))
struct SpaceTests {
  // MARK: Pages

  /// Takes pages through all their states.
  @Test func aPageIsReusedOnceItsReleaseIsDurable() throws {
    let core = try Store.inMemory().core
    let shared = core.memory.shared
    var space = SpaceTable(working: WorkingMemory(core.source), backing: core.backing)
    func take(_ count: Int) throws -> [PageNumber] {
      try (0..<count).map { _ in
        try space.ensurePages(1)
        return try space.takePage()
      }
    }
    func state(_ page: PageNumber) throws -> (isUsed: Bool, before: Bool, lately: Bool) {
      let entry = try #require(try space.entry(page.unit))
      let bit: UInt16 = 1 << UInt16(page.indexInUnit)
      return (entry.used & bit != 0, entry.releasedBefore & bit != 0, entry.releasedLately & bit != 0)
    }
    // Ten pages of one unit: five are released in one epoch, five in the next.
    // (A unit is opened again only if it has a few free pages.)
    let all = try take(26)
    let unit = try #require(all.map(\.unit).first { unit in all.count { $0.unit == unit } >= 10 })
    let pages = all.filter { $0.unit == unit }
    let (first, second) = (Set(pages[..<5]), Set(pages[5..<10]))
    #expect(Set(all).count == 26)
    for page in pages { #expect(try state(page) == (true, false, false)) }

    shared[.epoch].number += 1
    let firstEpoch = shared[.epoch].number
    let counted = shared[.indexPages]
    for page in first { space.release(page) }
    try space.flushReleases()
    #expect(shared[.indexPages] <= counted - 5 + 3)
    for page in first { #expect(try state(page) == (false, false, true)) }
    shared[.epoch].number += 1
    for page in second { space.release(page) }
    try space.flushReleases()
    for page in first { #expect(try state(page) == (false, true, false)) }
    for page in second { #expect(try state(page) == (false, false, true)) }

    // They are not reused in the epoch of their release, nor before its checkpoint is durable.
    shared[.durableEpoch] = Epoch(number: firstEpoch - 1)
    #expect(try first.union(second).isDisjoint(with: take(60)))
    shared[.epoch].number += 1
    shared[.durableEpoch] = Epoch(number: firstEpoch)
    var taken = Set(try take(200))
    // The table itself may have taken some for its copies.
    #expect(second.isDisjoint(with: taken))
    for page in first { #expect(try state(page).isUsed) }
    shared[.epoch].number += 1
    shared[.durableEpoch] = Epoch(number: firstEpoch + 1)
    taken = Set(try take(200))
    #expect(first.isDisjoint(with: taken))
    for page in pages { #expect(try state(page).isUsed) }
  }

  /// Overwriting the same keys again and again takes two sets of pages and no more.
  @Test func theIndexDoesNotGrowByOverwriting() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    var generator = SeededGenerator(seed: testSeed("theIndexDoesNotGrowByOverwriting"))
    for number in 0..<3_000 { try store.put("value", forKey: "key \(number)") }
    var sizes: [Int] = []
    for round in 0..<30 {
      for _ in 0..<200 {
        let key = "key \(generator.below(3_000))"
        if generator.chance(30) {
          try store.remove(key)
        } else {
          try store.put("\(round)", forKey: key)
        }
      }
      try store.checkpoint()
      let statistics = try store.statistics()
      // Without log and large values.
      sizes.append(try store.highWater - 196_608 - statistics.logBytes - statistics.freeBytes)
      if round % 6 == 0 { try expectSound(store) }
    }
    #expect(sizes[29] <= sizes[4], "\(sizes)")
    try expectSound(store)
  }

  // MARK: Large values

  @Test func anExtentIsReusedAfterACheckpoint() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put(patterned(200_000, 1), forKey: "key")
    let extent = try store.extent("key")
    try store.put(patterned(200_000, 2), forKey: "key")
    for number in 0..<5 {
      try store.put(patterned(200_000, UInt64(number)), forKey: "before \(number)")
      #expect(try store.extent("before \(number)") != extent, "a crash would need what it overwrites")
    }
    try store.checkpoint()
    try store.put(patterned(200_000, 3), forKey: "after")
    #expect(try store.extent("after") == extent)
    try expectSound(store)
  }

  @Test func extentsArePunched() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<40 { try store.put(patterned(500_000, 1), forKey: "key \(number)") }
    try store.put(patterned(500_000, 1), forKey: "last")
    for number in 0..<40 { try store.remove("key \(number)") }
    for _ in 0..<4 {
      try store.checkpoint()
      for number in 0..<50 { try store.put("small", forKey: "key \(number)") }
    }
    #expect(try store.statistics().allocatedBytes < 5 << 20)
    try expectSound(store)
  }

  @Test func onlyAnExtentIsReleasedAsOne() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let unit = store.core.memory.shared[.root].page.unit
    try store.core.withWriteLock { turn throws(Store.Error) in
      let error = #expect(throws: Store.Error.self) { try turn.writer.space.releaseUnits(unit) }
      #expect(error?.code == .damaged)
    }
  }

  enum Place: CaseIterable { case file, fileOfOneHandle, memory }

  /// In a store in memory the writer knows its readers only by their count.
  @Test(arguments: Place.allCases) func bytesThatAReaderUsesAreNotReused(place: Place) throws {
    let scratch = try Scratch()
    let store =
      place == .memory ? try Store.inMemory() : try scratch.store { $0.exclusive = place == .fileOfOneHandle }
    let value = patterned(200_000, 1)
    let readers = place == .file ? [store, try scratch.store { $0.access = .readOnly }] : [store]
    for reader in readers {
      try store.put(value, forKey: "key")
      let extent = try store.extent("key")
      try reader.withValue(forKey: "key") { span in
        for round in 0..<4 {
          try store.put(patterned(200_000, UInt64(round + 2)), forKey: "key")
          #expect(try store.extent("key") != extent)
          try store.checkpoint()
          // Not compared within the macro, which would take hours to list the differences.
          let isSame = span.array == value
          #expect(isSame, "the bytes changed while they were looked at")
        }
      }
      // It is reused later.
      try store.checkpoint()
      var extents = Set<UInt64>()
      for number in 0..<6 {
        try store.put(patterned(200_000, 9), forKey: "after \(number)")
        extents.insert(try store.extent("after \(number)"))
      }
      #expect(extents.contains(extent))
      try expectSound(store)
    }
  }

  /// Making the table's pages writable may raise the high-water mark into a leaf that was about
  /// to be dropped.
  @Test func aLeafThatComesIntoUseIsNotDropped() throws {
    let core = try Store.inMemory().core
    let shared = core.memory.shared
    var space = SpaceTable(working: WorkingMemory(core.source), backing: core.backing)
    let leafEnd = UInt64(SpaceEntry.entriesPerLeaf)
    let count = Int(leafEnd + 5 - shared[.highWater].number)
    try space.claim(space.extend(by: count), count, as: .extent)
    // The mark falls to the end of the first leaf, and no page is free below it.
    for number in 0..<leafEnd {
      guard let entry = try space.entry(Unit(number: number)), entry.kind == .index else { continue }
      entry.used = 0xffff
    }
    shared[.highWater] = Unit(number: leafEnd)
    shared[.epoch] = shared[.epoch].next
    try space.dropLeaves()
    #expect(shared[.highWater].number == leafEnd + 1)
    #expect(try space.entry(Unit(number: leafEnd))?.kind == .index)
  }

  /// A handle remembers where leaves of the table lie. One that was dropped since, by the handle
  /// itself or by another one, must not be written.
  @Test(arguments: [true, false]) func aLeafThatWasDroppedIsNotWritten(byAnother: Bool) throws {
    let scratch = try Scratch()
    let (store, other) = (try scratch.store(), try scratch.store())
    try store.put("value", forKey: "key")
    let unit = Unit(number: UInt64(SpaceEntry.entriesPerLeaf * 2))
    // At the second time the leaf is there, and remembered.
    for _ in 0..<2 {
      try store.core.withWriteLock { turn throws(Store.Error) in _ = try turn.writer.space.writableEntry(unit)
      }
    }
    try (byAnother ? other : store).core.withWriteLock { turn throws(Store.Error) in
      try turn.writer.space.dropLeaves()
    }
    let entry = try store.core.withWriteLock { turn throws(Store.Error) in
      try turn.writer.space.writableEntry(unit).expiring = 8
      return try turn.writer.space.entry(unit)?.expiring
    }
    #expect(entry == 8)
  }

  /// An index unit that was empty at the checkpoint may have become free and hold a large value
  /// by the time of a crash. Recovery begins with the checkpoint's table and must not take pages
  /// of that unit.
  @Test func recoveryTakesNoPagesOfUnitsThatMayHoldValues() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.checkpoints = .inline }
    for number in 0..<30_000 { try store.put("value", forKey: "key \(number)") }
    for number in 0..<30_000 { try store.remove("key \(number)") }
    try store.checkpoint()
    let empty = try store.units { $0.kind == .index && $0.used == 0 }
    var count = 0
    while count < 100 {
      try store.put(patterned(70_000, UInt64(count)), forKey: "large \(count)")
      count += 1
      if try empty.contains(store.extent("large \(count - 1)") / UInt64(Layout.unitBytes)) { break }
    }
    #expect(count < 100)
    for number in 0..<2_000 { try store.put("again", forKey: "key \(number)") }
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    let crashed = try scratch.store("crashed")
    for number in 0..<count {
      let isThere = try crashed.get("large \(number)") == patterned(70_000, UInt64(number))
      #expect(isThere)
    }
    #expect(try crashed.count == 2_000 + count)
    try expectSound(crashed)
  }

  @Test func spaceReleasedAfterAPinIsNotReused() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store { $0.access = .readOnly }
    try store.put(patterned(100_000, 1), forKey: "key")
    let extent = try store.extent("key")
    try store.checkpoint()
    let pin = try other.core.pins.pinCurrent()
    try store.remove("key")
    for round in 0..<5 {
      try store.checkpoint()
      try store.put(patterned(100_000, UInt64(round)), forKey: "other \(round)")
      #expect(try store.extent("other \(round)") != extent)
    }
    try other.core.pins.unpin(pin)
    try store.checkpoint()
    var extents = Set<UInt64>()
    for round in 0..<5 {
      try store.put(patterned(100_000, UInt64(round)), forKey: "last \(round)")
      extents.insert(try store.extent("last \(round)"))
    }
    #expect(extents.contains(extent))
  }

  /// Large values hardly make the log longer. If only its length made checkpoints due, the units
  /// of old values would not be reused.
  @Test func overwritingLargeValuesKeepsTheFileSmall() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<600 { try store.put(patterned(262_144, UInt64(number)), forKey: "key") }
    let size = try store.statistics().fileBytes
    #expect(size < 100 << 20, "\(size >> 20) MiB for one value of 256 KiB")
    try expectSound(store)
  }

  /// Each append writes the whole value anew, and none of its old extents is large enough.
  @Test func appendingToALargeValueKeepsTheFileSmall() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.checkpoints = .inline }
    let piece = patterned(1 << 20, 1)
    for count in 1...40 {
      try store.append(piece, toKey: "key")
      let size = try store.statistics().allocatedBytes
      #expect(size < (count * 5 / 2 + 16) << 20, "\(size >> 20) MiB for \(count) MiB")
    }
    try expectSound(store)
  }

  @Test func overwritingInAPrivateViewTakesNoMoreAndMoreMemory() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let store = try scratch.store { $0.access = .scratch }
    for number in 0..<100_000 {
      try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number % 1_000)")
    }
    let size = try store.highWater
    #expect(size < 50 << 20, "\(size >> 20) MiB for 1 MiB")
    try expectSound(store)
  }

  @Test func overwritingLargeValuesInMemoryKeepsTheStoreSmall() throws {
    let store = try Store.inMemory()
    for number in 0..<600 { try store.put(patterned(262_144, UInt64(number)), forKey: "key") }
    let size = try store.highWater
    #expect(size < 100 << 20, "\(size >> 20) MiB for one value of 256 KiB")
  }

  // MARK: The whole store

  /// After random operations each unit has one owner or none, and the figures of `statistics`
  /// add up to the store.
  @Test func everyUnitHasOneOwner() throws {
    let scratch = try Scratch()
    let seed = testSeed("everyUnitHasOneOwner")
    var number = 0
    for round in 0..<8 * testScale {
      let store = try scratch.store { $0.exclusive = round % 2 == 0 }
      for _ in 0..<80 {
        try Operation(seed: seed, number: number).apply(to: store)
        number += 1
      }
      if round % 3 != 0 { try store.checkpoint() }
      try expectSound(store, "round \(round)")
      let statistics = try store.statistics()
      let indexUnits = try store.units(of: .index)
      let sum =
        Int(Layout.firstFreeUnit) * Layout.unitBytes + statistics.logBytes + statistics.largeValueBytes
        + statistics.freeBytes + indexUnits * Layout.unitBytes
      #expect(sum == (try store.highWater))
      // At most the segments that the log has used, and the next one.
      #expect(UInt64(statistics.segments) <= store.core.memory.shared[.segmentOrdinal] + 1)
      #expect(statistics.indexPages <= indexUnits * Layout.pagesPerUnit)
      #expect(statistics.recordCount == (try store.count))
      #expect(statistics.fileBytes >= (try store.highWater))
      try store.close()
    }
  }

  @Test func removingEverythingLeavesNothingLive() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<500 {
      try store.put(patterned(number % 10 == 0 ? 70_000 : number, 1), forKey: "key \(number)")
    }
    for number in 0..<500 { #expect(try store.remove("key \(number)")) }
    try store.checkpoint()
    let statistics = try store.statistics()
    #expect(statistics.liveBytes == 0)
    #expect(statistics.recordCount == 0)
    #expect(statistics.largeValueBytes == 0)
    #expect(try store.everything().isEmpty)
    try expectSound(store)
  }
}

extension Store {
  fileprivate var highWater: Int {
    get throws { Int(core.memory.shared[.highWater].number) * Layout.unitBytes }
  }

  /// Where the extent of a large value begins.
  func extent(_ key: String) throws -> UInt64 {
    let match = try #require(try match(bytes(key)))
    #expect(match.header.flags.contains(.external))
    return core.memory.bytes.load64(Int(match.position.offset) + match.header.externalOffset)
  }

  /// The units whose entries satisfy a condition.
  fileprivate func units(where isWanted: (SpaceEntry) -> Bool) throws -> Set<UInt64> {
    let space = SpaceTable(working: WorkingMemory(core.source), backing: core.backing)
    return try Set(
      (0..<core.memory.shared[.highWater].number).filter { number in
        try space.entry(Unit(number: number)).map(isWanted) ?? false
      })
  }

  fileprivate func units(of kind: UnitKind) throws -> Int { try units { $0.kind == kind }.count }
}
