import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// The file takes little more than what it holds, while in use and after `compact`.
@Suite struct CompactionTests {
  /// The value of a record, which follows from its number.
  private func value(_ number: Int, _ round: Int) -> [UInt8] {
    patterned(60 + number * 7 % 200, UInt64(number &+ round &* 1_000_003))
  }

  private func fill(_ store: Store, _ count: Int, round: Int = 0) throws {
    for number in 0..<count { try store.put(value(number, round), forKey: "key \(number)") }
  }

  private func expectSound(_ store: Store, _ path: FilePath) throws {
    let report = try Store.verify(path)
    #expect(report.isSound, "\(report.faults)")
    try expectWorkingStateIsSound(store)
  }

  /// They may hold nothing that lives yet, and must not be released.
  @Test func segmentsThatAreBeingWrittenAreInUse() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let shared = store.core.memory.shared
    try store.core.withWriteLock { turn throws(Store.Error) in
      let words: [SharedWord<Unit>] = [.segment, .nextSegment, .moveSegment, .victim]
      for word in words {
        let before = shared[word]
        defer { shared[word] = before }
        shared[word] = Unit(number: 4_711)
        let isInUse = turn.writer.isInUse(Unit(number: 4_711))
        #expect(isInUse)
      }
      let isInUse = turn.writer.isInUse(Unit(number: 4_711))
      #expect(!isInUse)
    }
  }

  /// A store that is overwritten again and again takes at most twice what it holds and 64 MiB,
  /// or one and a half times and 16 MiB; and what is written beside a checkpoint.
  @Test(arguments: [Store.SpaceUse.standard, .compact])
  func overwritingKeepsTheFileSmall(space: Store.SpaceUse) throws {
    let scratch = try Scratch()
    let store = try scratch.store {
      $0.space = space
      $0.exclusive = true
      $0.checkpoints = .inline
    }
    let count = 60_000
    var random = SeededGenerator(seed: testSeed("overwritingKeepsTheFileSmall"))
    var rounds = [Int](repeating: 0, count: count)
    try fill(store, count)
    for step in 1...count * 12 {
      let number = random.below(count)
      rounds[number] = step
      try store.put(value(number, step), forKey: "key \(number)")
      if step % count == 0 {
        let statistics = try store.statistics()
        let held = statistics.liveBytes + statistics.indexBytes
        let bound = space == .compact ? held * 3 / 2 + 16 << 20 : held * 2 + 64 << 20
        #expect(statistics.allocatedBytes <= bound)
      }
    }
    for number in 0..<count {
      #expect(try store.get("key \(number)") == value(number, rounds[number]))
    }
    try expectSound(store, scratch.path())
    try store.close()
    #expect(try Store(scratch.path()).count == count)
  }

  /// The file shrinks: ten keys are left of many, and it is small.
  @Test func aStoreThatIsAlmostEmptiedTakesLittle() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let count = 400_000
    try fill(store, count)
    for number in 10..<count { try store.remove("key \(number)") }
    try store.compact()
    let statistics = try store.statistics()
    #expect(statistics.allocatedBytes < 1 << 20)
    #expect(statistics.fileBytes < 8 << 20)
    #expect(statistics.bucketPages <= 4)
    for number in 0..<10 { #expect(try store.get("key \(number)") == value(number, 0)) }
    #expect(try store.get("key 10") == nil)
    try expectSound(store, scratch.path())
    try fill(store, 1_000, round: 1)
    try store.close()
    let again = try Store(scratch.path())
    #expect(try again.count == 1_000)
    #expect(try again.get("key 999") == value(999, 1))
  }

  /// Large values take units of their own, all of which become free.
  @Test func largeValuesGiveTheirSpaceBack() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<24 { try store.put(patterned(900_000, UInt64(number)), forKey: "large \(number)") }
    for number in 0..<24 where number % 4 != 3 { try store.remove("large \(number)") }
    try store.compact()
    let statistics = try store.statistics()
    #expect(statistics.allocatedBytes < 6 * 983_040 + 1 << 20)
    #expect(statistics.fileBytes < 14 << 20)
    for number in 0..<24 {
      #expect(
        try store.get("large \(number)") == (number % 4 == 3 ? patterned(900_000, UInt64(number)) : nil))
    }
    try expectSound(store, scratch.path())
  }

  @Test func movedRecordsKeepVersionAndExpiry() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let expiry = Store.Expiry.at(millisecondsSince1970: 4_000_000_000_000)
    for number in 0..<20_000 {
      try store.put(value(number, 0), forKey: "key \(number)", expires: number % 3 == 0 ? expiry : .never)
    }
    for number in 0..<20_000 where number % 2 == 0 { try store.remove("key \(number)") }
    var before: [[UInt8]: Store.Entry] = [:]
    var cursor = store.makeCursor()
    while let entry = try cursor.next() { before[entry.key] = entry }
    try store.compact()
    var after: [[UInt8]: Store.Entry] = [:]
    cursor = store.makeCursor()
    while let entry = try cursor.next() { after[entry.key] = entry }
    #expect(before.count == 10_000)
    #expect(after == before)
  }

  /// Expired records are absent at once, and compaction frees their space though nobody
  /// removes them.
  @Test func expiredRecordsAreReclaimed() throws {
    let scratch = try Scratch()
    let time = TestClock(1_000_000)
    let store = Store(
      core: try Opening(path: scratch.path(), options: Store.Options(), clock: time.clock).open())
    for number in 0..<40_000 {
      try store.put(value(number, 0), forKey: "old \(number)", expires: .after(.seconds(10 + number % 50)))
    }
    for number in 0..<100 { try store.put(value(number, 0), forKey: "key \(number)") }
    time.advance(milliseconds: 61_000)
    #expect(try store.get("old 7") == nil)
    let full = try store.statistics().allocatedBytes
    try store.compact()
    #expect(try store.count == 100)
    #expect(try store.statistics().allocatedBytes < full / 4)
    for number in 0..<100 { #expect(try store.get("key \(number)") == value(number, 0)) }
    try expectSound(store, scratch.path())
  }

  /// The same while others are written, without a call of `compact`.
  @Test(arguments: [(Store.SpaceUse.standard, 68 << 20), (.compact, 40 << 20)])
  func expiredRecordsAreReclaimedByWriting(space: Store.SpaceUse, bound: Int) throws {
    let scratch = try Scratch()
    let time = TestClock(1_000_000)
    let options = Store.Options(space: space)
    let store = Store(
      core: try Opening(path: scratch.path(), options: options, clock: time.clock).open())
    var most = 0
    for number in 0..<600_000 {
      try store.put(value(number, 0), forKey: "session \(number)", expires: .after(.milliseconds(500)))
      if number % 20 == 0 { time.advance(milliseconds: 1) }
      if number % 20_000 == 0 { most = max(most, try store.statistics().allocatedBytes) }
    }
    // Some 10,000 sessions, 2 MB, are live at a time.
    #expect(most < bound)
    try expectSound(store, scratch.path())
  }

  /// A large value that is moved gets whole pages, as when it was put, and not whole units.
  @Test func largeValuesThatAreMovedTakeNoMorePages() throws {
    let scratch = try Scratch()
    let (store, fresh) = (try scratch.store(), try scratch.store("fresh"))
    for number in 0..<60 { try store.put(patterned(70_000, UInt64(number)), forKey: "large \(number)") }
    for number in 0..<40 { try store.remove("large \(number)") }
    for number in 40..<60 { try fresh.put(patterned(70_000, UInt64(number)), forKey: "large \(number)") }
    let before = try store.extent("large 59")
    try store.compact()
    try fresh.compact()
    #expect(try store.extent("large 59") < before)
    #expect(try store.statistics().allocatedBytes < fresh.statistics().allocatedBytes + 300_000)
    try expectSound(store, scratch.path())
  }

  @Test func aValueInUseStaysWhileItsSegmentIsEmptied() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 30_000)
    let kept = try store.withValue(forKey: "key 17") { span in
      let before = span.array
      for number in 0..<30_000 where number != 18 { try store.remove("key \(number)") }
      try store.compact()
      try fill(store, 30_000, round: 1)
      try store.compact()
      return (before, span.array)
    }
    #expect(kept?.0 == value(17, 0))
    #expect(kept?.1 == value(17, 0))
    #expect(try store.get("key 17") == value(17, 1))
    try expectSound(store, scratch.path())
  }

  /// Compaction reuses nothing that a private view of the last checkpoint needs.
  @Test func aViewStaysWhileTheStoreIsCompacted() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try fill(store, 20_000)
    let view = try scratch.store { $0.access = .scratch }
    for round in 1...3 {
      try fill(store, 20_000, round: round)
      try store.compact()
    }
    for number in 0..<20_000 { #expect(try view.get("key \(number)") == value(number, 0)) }
    try view.close()
    try store.compact()
    try expectSound(store, scratch.path())
  }

  /// The file is not truncated below what another handle uses.
  @Test func anotherHandleReadsAndWritesMeanwhile() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store()
    try fill(store, 20_000)
    for number in 0..<20_000 where number % 5 != 0 { try other.remove("key \(number)") }
    var steps = 0
    try store.compact { _ in
      steps += 1
      #expect(try other.get("key 0") == value(0, 0))
      try other.put(value(steps, 5), forKey: "meanwhile \(steps)")
    }
    #expect(steps > 0)
    for number in 0..<20_000 {
      #expect(try other.get("key \(number)") == (number % 5 == 0 ? value(number, 0) : nil))
    }
    for step in 1...steps { #expect(try store.get("meanwhile \(step)") == value(step, 5)) }
    try expectSound(store, scratch.path())
  }

  @Test func aStoreInMemoryIsCompactedToo() throws {
    let store = try Store.inMemory()
    try fill(store, 50_000)
    for number in 100..<50_000 { try store.remove("key \(number)") }
    try store.compact()
    for number in 0..<100 { #expect(try store.get("key \(number)") == value(number, 0)) }
    try fill(store, 5_000, round: 2)
    #expect(try store.count == 5_000)
    try expectWorkingStateIsSound(store)
  }
}
