import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Compaction returns space to the file system in steps, each of which may fail.
@Suite(.timeLimit(.minutes(5)))
struct PunchTests {
  private func fill(_ store: Store, _ count: Int, round: Int = 0) throws {
    for number in 0..<count {
      try store.put(
        patterned(60 + number * 7 % 200, UInt64(number + round * 1_000_003)), forKey: "key \(number)")
    }
  }

  private func isCompacting(_ store: Store) -> Bool {
    store.core.fullCompactions.areUnderWay
  }

  @Test func theFileIsNotTruncatedWhileOthersUseIt() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 20_000)
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try reader.contains("key 19999"))
    let length = try store.statistics().fileBytes
    for number in 0..<20_000 { try store.remove("key \(number)") }
    try store.compact()
    #expect(try store.statistics().fileBytes >= length)
    try reader.close()
    try store.compact()
    let cut = try store.statistics().fileBytes
    #expect(cut < length / 2)
    // Reading past the end would count as reading a lost page.
    #expect(store.core.memory.mappedBytes <= cut)
  }

  // MARK: Units

  /// A large value that was to be moved found no place further down. The free units above
  /// that were looked at were not found again before the next checkpoint, and the file grew.
  @Test func aSearchBelowALimitLeavesTheRest() throws {
    let core = try Store.inMemory().core
    let shared = core.memory.shared
    var space = SpaceTable(working: WorkingMemory(core.source), backing: core.backing)
    let low = try space.allocate(4, as: .extent)
    let wall = try space.allocate(2, as: .extent)
    let high = try space.allocate(8, as: .extent)
    _ = try space.allocate(2, as: .extent)
    try space.releaseUnits(low)
    try space.releaseUnits(high)
    shared[.durableEpoch] = shared[.epoch]
    shared[.epoch].number += 1
    let taken = space.takenUnits
    #expect(try space.allocateBelow(wall, 8, as: .extent) == nil)
    #expect(space.takenUnits == taken)
    #expect(try space.allocateBelow(wall, 3, as: .extent) == low)
    #expect(space.takenUnits == taken + 3)
    #expect(try space.allocate(8, as: .extent) == high)
    #expect(space.takenUnits == taken + 11)
  }

  /// Units above the high-water mark may be truncated or punched. A recovery that raised the
  /// mark over them found them entered with disk space, and they were written without
  /// allocating it.
  @Test func unitsAboveTheMarkAreNotEnteredWithDiskSpace() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.checkpoints = .inline }
    for number in 0..<12_000 { try store.put([], forKey: "key \(number)") }
    try store.checkpoint()
    let before = store.core.memory.shared[.highWater].number
    for number in 0..<12_000 { try store.remove("key \(number)") }
    for round in 0..<12 {
      try store.checkpoint()
      for number in 0..<40 { try store.put([1], forKey: "\(round) \(number % 3)") }
    }
    let end = store.core.memory.shared[.highWater].number
    #expect(end < before)
    let space = SpaceTable(working: WorkingMemory(store.core.source), backing: store.core.backing)
    for number in end..<before {
      #expect(try space.entry(Unit(number: number))?.diskSpace != .all, "unit \(number)")
    }
  }

  /// The reserve of a store that would have grown by a large value lies beyond that value. If the
  /// disk is full half-way through that reserve, what lies before it has no disk space.
  @Test func aReserveThatFailedHalfWayIsNotReliedOn() throws {
    let core = try Store.inMemory().core
    let backing = CountingBacking(core.backing)
    let shared = core.memory.shared
    shared[.indexPages] = 600
    let kept = SpaceReserve.kept(core.memory)
    #expect(kept > 4)
    var space = SpaceTable(working: WorkingMemory(core.source), backing: backing)
    backing.room = 3
    let refused = code {
      try space.taking(for: .adding) { space throws(Store.Error) in try space.extend(by: 2) }
    }
    #expect(refused == .diskFull)
    backing.room = .max
    backing.preallocated = []
    let end = space.highWater
    try space.taking(for: .adding) { space throws(Store.Error) in
      try space.reserve.ensure(above: end, core.memory, backing)
    }
    #expect(backing.preallocated == Set(Int(end)..<Int(end + kept)))
  }

  /// Another handle lowers the high-water mark, and punches what lies above its own reserve, before the next
  /// checkpoint ends. What this handle knew of the space above the mark holds no longer.
  @Test func aReserveAboveAMarkThatWasLoweredIsNotReliedOn() throws {
    let core = try Store.inMemory().core
    let backing = CountingBacking(core.backing)
    let shared = core.memory.shared
    shared[.indexPages] = 600
    var space = SpaceTable(working: WorkingMemory(core.source), backing: backing)
    let low = space.highWater
    try space.taking(for: .adding) { space throws(Store.Error) in _ = try space.extend(by: 3) }
    backing.preallocated = []
    shared[.highWater] = Unit(number: low)
    try space.taking(for: .adding) { space throws(Store.Error) in
      try space.reserve.ensure(above: low, core.memory, backing)
    }
    #expect(backing.preallocated == Set(Int(low)..<Int(low + SpaceReserve.kept(core.memory))))
  }

  /// The file was truncated below free units that the table calls allocated. When it had
  /// grown again, index pages were taken there without allocating disk space.
  @Test func unitsAboveTheMarkAreAllocatedAgain() throws {
    let core = try Store.inMemory().core
    let backing = CountingBacking(core.backing)
    let shared = core.memory.shared
    var space = SpaceTable(working: WorkingMemory(core.source), backing: backing)
    let end = space.highWater
    // The entry of a unit of index pages that became free before the file was truncated.
    let entry = try space.writableEntry(Unit(number: end + 1))
    entry.reset(.free)
    entry.diskSpace = .all
    shared[.epoch].number += 1
    backing.allocated = []
    while space.highWater <= end + 1 {
      try space.ensurePages(8)
      for _ in 0..<8 { _ = try space.takePage() }
    }
    #expect(backing.allocated.contains(Int(end + 1) * Layout.unitBytes))
  }

  // MARK: Ending a compaction

  struct Enough: Error {}

  @Test func theProgressClosureMayEndACompaction() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 40_000)
    try fill(store, 40_000, round: 1)
    for last in [1, 2, 5, 9] {
      var reports = 0
      #expect(throws: Enough.self) {
        try store.compact { _ in
          #expect(isCompacting(store))
          reports += 1
          if reports == last { throw Enough() }
        }
      }
      #expect(!isCompacting(store))
      try store.put("here", forKey: "after \(last)")
    }
    try expectSound(store)
    try store.compact()
    #expect(!isCompacting(store))
    #expect(try store.count == 40_004)
    try expectSound(store)
  }

  /// A compaction could not note that it had ended, because another process held the write
  /// lock. Commits of this handle never compacted again.
  @Test func commitsCompactAgainAfterACompactionThatCouldNotEnd() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.timeout = .milliseconds(20) }
    try fill(store, 20_000)
    try fill(store, 20_000, round: 1)
    var other: Store?
    let found = code {
      try store.compact { _ in
        if other != nil { return }
        other = try scratch.store { $0.exclusive = true }
        try other?.put("has the write lock", forKey: "other")
      }
    }
    #expect(found == .busy)
    #expect(!isCompacting(store))
    try other?.close()
    try store.put("1", forKey: "again")
    try expectSound(store)
  }

  /// Nobody could open the store as long as this handle was open.
  @Test func othersMayOpenAfterTheFileCouldNotBeTruncated() async throws {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        // Which call is the nth must not depend on another thread.
        let store = try scratch.store { $0.checkpoints = .inline }
        for number in 0..<100 { try store.put(patterned(60_000, UInt64(number)), forKey: "key \(number)") }
        for number in 0..<99 { try store.remove("key \(number)") }
        let size = try store.statistics().fileBytes
        var failures = 0
        for nth in 1... {
          let fault = Fault([.ftruncate], nth: nth, as: .ioError)
          let found = code { try fault.during { try store.compact() } }
          let other = try scratch.store { $0.timeout = .milliseconds(50) }
          try other.put("opened", forKey: "other")
          try other.close()
          // A failure while the file grows is no error: it tries again with less.
          #expect(found == nil || found == .system)
          if found != nil { failures += 1 }
          if !fault.hasStruck { break }
          for number in 0..<40 { try store.put(patterned(60_000, 1), forKey: "again \(number)") }
          for number in 0..<40 { try store.remove("again \(number)") }
        }
        #expect(failures > 0)
        #expect(try store.statistics().fileBytes < size / 2)
        try expectSound(store)
      }
    }
  }

  // MARK: How much is done

  @Test func progressNeverExceedsItsEnd() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 60_000)
    for number in 0..<60_000 where number % 3 != 0 { try store.remove("key \(number)") }
    for number in 0..<8 { try store.put(patterned(300_000, UInt64(number)), forKey: "large \(number)") }
    for number in 0..<4 { try store.remove("large \(number)") }
    var (last, reports) = (Store.CompactionProgress(), 0)
    try store.compact { progress in
      #expect(progress.movedBytes >= last.movedBytes)
      #expect(progress.movedBytes <= progress.totalBytes)
      last = progress
      reports += 1
    }
    #expect(reports > 4)
    #expect(last.movedBytes > 2 << 20)
  }

  /// Compacting a compact store rewrites the index once and no more. What a view pins is not
  /// moved again and again, since its old places cannot be reused.
  @Test(arguments: [false, true]) func nothingIsMovedWithoutGain(isPinned: Bool) throws {
    let scratch = try Scratch()
    // If another epoch began meanwhile, pages would be copied once more.
    let store = try scratch.store { $0.checkpoints = .inline }
    try fill(store, 60_000)
    for number in 0..<60_000 where number % 2 == 0 { try store.remove("key \(number)") }
    var view: Store?
    if isPinned { view = try scratch.store { $0.access = .scratch } } else { try store.compact() }
    let before = try store.statistics()
    var last = Store.CompactionProgress()
    try store.compact { last = $0 }
    let most = before.indexBytes + (isPinned ? before.liveBytes : Layout.segmentBytes) * 5 / 4
    #expect(last.movedBytes <= most)
    // The file grows by more than the segments that are replaced.
    let growth = try store.statistics().fileBytes - before.fileBytes
    #expect(growth <= 2 * most + 8 * Layout.segmentBytes)
    try view?.close()
    try store.compact()
    let after = try store.statistics()
    #expect(after.allocatedBytes < after.liveBytes * 5 / 4 + 2 * after.indexBytes + 1 << 20)
    try expectSound(store)
  }
}

/// Notes which units are allocated.
private final class CountingBacking: ForwardingBacking, @unchecked Sendable {
  // Sendable: one thread uses it.
  /// Where the allocated ranges begin.
  var allocated: Set<Int> = []
  /// The units of the reserve that have disk space, and how many more can have it.
  var preallocated: Set<Int> = []
  var room = Int.max

  override func preallocate(offset: Int, count: Int) throws(Store.Error) {
    guard room > 0 else { throw Store.Error(.diskFull, "the disk is full") }
    room -= 1
    preallocated.insert(offset / Layout.unitBytes)
    try super.preallocate(offset: offset, count: count)
  }

  override func allocate(offset: Int, count: Int) throws(Store.Error) {
    allocated.insert(offset)
    try super.allocate(offset: offset, count: count)
  }
}
