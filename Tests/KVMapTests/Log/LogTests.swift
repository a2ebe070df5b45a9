import Foundation
import TestSupport
import Testing

@testable import KVMap

/// Where the log ends, and what is damage and not its end.
@Suite(.timeLimit(.minutes(5)))
struct LogTests {
  private func scanned(_ store: Store) throws -> LogScanner.End {
    let block = try SuperblockPair(store.core.memory.bytes).current().block
    let start = LogWriter.Tail(position: block.logPosition, sequence: block.sequence, chain: block.chain)
    var scanner = LogScanner(memory: store.core.memory, tail: start, segment: block.segment)
    scanner.scan()
    return scanner.end
  }

  private func tail(_ store: Store) -> UInt64 { store.core.memory.shared[.tail].offset }

  @Test func theScannerComesToTheTail() throws {
    let store = try Store.inMemory()
    let seed = testSeed("theScannerComesToTheTail")
    for number in 0..<150 {
      try Operation(seed: seed, number: number).apply(to: store)
      let end = try scanned(store)
      #expect(end.tail.position.offset == tail(store), "operation \(number)")
      #expect(end.tail.sequence.number == store.core.memory.shared[.sequence].number)
      #expect(end.tail.chain == store.core.memory.shared[.chain])
      #expect(end.segment.number == store.core.memory.shared[.segment].number)
    }
  }

  /// Every byte of every record is damaged, one at a time: the log ends before the commit that
  /// the byte belongs to. (The lengths are such that there is no padding.)
  @Test func theLogEndsBeforeATornCommit() throws {
    let store = try Store.inMemory()
    var bytes: MappedBytes { store.core.memory.bytes }
    var commits = [tail(store)]
    func commit(_ body: () throws -> Void) throws {
      try body()
      commits.append(tail(store))
    }
    try commit { try store.put("12345678", forKey: "the key.") }
    try commit { try store.remove("the key.") }
    try commit {
      try store.transaction { transaction in
        for number in 0..<4 { try transaction.put("all in 1 commit.", forKey: "number \(number)") }
        try transaction.remove("number 2")
      }
    }
    try commit { try store.put(patterned(70_000, 5), forKey: "so large") }
    try commit { try store.put("", forKey: "", expires: .at(millisecondsSince1970: 1 << 50)) }
    for (start, end) in zip(commits, commits.dropFirst()) {
      for offset in Int(start)..<Int(end) {
        let byte = bytes.load8(offset)
        for damaged in [byte ^ 1, byte ^ 0x80, ~byte] {
          bytes.store8(damaged, offset)
          #expect(try scanned(store).tail.position.offset == start, "byte \(offset)")
        }
        bytes.store8(byte, offset)
      }
    }
    let large = try #require(try store.match([UInt8]("so large".utf8)))
    let value = try large.record(store.core.memory).valueRange()
    bytes.store8(bytes.load8(value.upperBound - 1) ^ 1, value.upperBound - 1)
    #expect(try scanned(store).tail.position.offset == commits[3])
  }

  /// After a crash the new log is written over what the torn commit left. An old record may
  /// begin just where the new ones end. It must not count, though its position, sequence number
  /// and checksum are right.
  @Test func aStaleRecordAfterACutDoesNotCount() throws {
    let scratch = try Scratch()
    var second = 0
    do {
      let store = try scratch.store()
      try store.put("kept", forKey: "first")
      second = Int(tail(store))
      // This record is as long as a CUT.
      try store.put("12345678", forKey: "abcdefgh")
      #expect(Int(tail(store)) - second == RecordHeader.byteCount + 16)
      try store.put("stale", forKey: "third")
      try write(contents(scratch.path()), to: scratch.path("crashed"))
    }
    try flip(scratch.path("crashed"), at: second + 30)
    for _ in 0..<3 {
      let store = try scratch.store("crashed")
      #expect(try store.everything() == [bytes("first"): bytes("kept")])
      try expectSound(store)
    }
    let store = try scratch.store("crashed")
    try store.put("new", forKey: "second")
    try store.close()
    #expect(try scratch.store("crashed").everything().count == 2)
  }

  /// The same where the log was empty: then the CUT comes with the first commit, and is no more
  /// durable than that. The commit after it is the same as before the crash.
  @Test func whatTheFirstCommitLeftBehindIsNotTakenUp() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let store = try scratch.store()
    let start = Int(tail(store))
    try store.put("again", forKey: "first")
    try store.put("stale", forKey: "second")
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    try flip(scratch.path("crashed"), at: start + 30)
    for _ in 0..<2 {
      let crashed = try scratch.store("crashed")
      #expect(try crashed.everything().isEmpty)
      #expect(Int(tail(crashed)) == start)
      try crashed.close()
    }
    let crashed = try scratch.store("crashed")
    try crashed.put("again", forKey: "first")
    try write(contents(scratch.path("crashed")), to: scratch.path("again"))
    let again = try scratch.store("again")
    #expect(try again.everything() == [bytes("first"): bytes("again")])
    try expectSound(again)
  }

  /// A store that is only read keeps every byte but those of the shared state.
  @Test func openingWritesNoRecord() throws {
    let scratch = try Scratch()
    let now: UInt64 = 1_800_000_000_000
    do {
      let store = try scratch.store(at: now)
      try store.put("value", forKey: "key")
    }
    let before = try contents(scratch.path())
    for durability in [Store.Durability.none, .onCommit] {
      let store = try scratch.store(at: now + 1) { $0.durability = durability }
      #expect(try store.get("key", as: String.self) == "value")
      try store.close()
    }
    var after = try contents(scratch.path())
    let shared = Layout.liveOffset..<Layout.liveOffset + Layout.pageBytes
    after.replaceSubrange(shared, with: before[shared])
    let isSame = before == after
    #expect(isSame)
  }

  /// However the first commits fail, there is one CUT before the first one that succeeds.
  @Test func theFirstCommitGoesAfterOneCut() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let store = try scratch.store()
    let other = try scratch.store()
    let start = tail(store)
    #expect(throws: Operation.Abort.self) {
      try store.transaction { transaction in
        try transaction.put("no", forKey: "key 1")
        try transaction.put("no", forKey: "key 2")
        throw Operation.Abort()
      }
    }
    #expect(try other.remove("absent") == false)
    #expect(tail(store) == start)
    try other.transaction { transaction in
      for number in 0..<3 { try transaction.put("yes", forKey: "key \(number)") }
    }
    try store.put("more", forKey: "key 3")
    var kinds: [RecordKind?] = []
    var walk = LogWalk(
      memory: store.core.memory, from: Position(offset: start), upTo: Position(offset: tail(store)))
    while let record = try walk.next() { kinds.append(record.kind) }
    #expect(kinds == [.cut, .put, .put, .put, .put])
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    #expect(try scratch.store("crashed").count == 4)
  }

  /// Also if all that followed the checkpoint was lost, so that nothing in the file tells of those
  /// numbers.
  @Test(arguments: [0, 1, 100_000])
  func sequenceNumbersAreNotHandedOutTwice(commitsBefore: Int) throws {
    let scratch = try Scratch()
    do {
      let store = try scratch.store()
      for number in 0..<commitsBefore { try store.put("\(number)", forKey: "key \(number % 10)") }
      try store.close()
    }
    try write(contents(scratch.path()), to: scratch.path("before"))
    var last: UInt64 = 0
    for life in 0..<4 {
      try write(contents(scratch.path("before")), to: scratch.path("life"))
      let store = try scratch.store("life")
      for number in 0..<100 {
        try store.put("life \(life)", forKey: "\(number)")
        let version = try #require(try store.entry(forKey: "\(number)")).version
        #expect(version > last, "life \(life)")
        last = version
      }
    }
  }

  /// The log has no room left in its segment when a store is opened, and the number made of the time is the
  /// next but one: the LINK takes one number, and the CUT another.
  @Test func aCutAfterALinkHasAHigherNumber() throws {
    let scratch = try Scratch()
    let from: UInt64 = 1_577_836_800_000
    let dated: UInt64 = 500_000_000 * 4_096
    let store = try scratch.store(at: from + 1_000)
    while room(store) > 6_000 { try store.put(patterned(900, 1), forKey: "key") }
    try store.core.withWriteLock { turn throws(Store.Error) in
      var tail = turn.writer.log.tail
      while room(store, tail) >= 72 {
        let isLast = room(store, tail) < 72 + 40
        let number = isLast ? dated - 2 : tail.sequence.number + 1
        turn.writer.log.appendCut(SequenceNumber(number: number), isEnd: true, &tail)
      }
      turn.writer.complete(tail)
    }
    try store.close()
    let opened = try scratch.store(at: from + 500_000_000)
    #expect(opened.core.shared[.sequence].number == dated - 1)
    #expect(opened.core.shared[.pendingCut].number == dated)
    for key in ["first", "second"] { try opened.put("durable", forKey: key, durability: .onCommit) }
    try write(contents(scratch.path()), to: scratch.path("killed"))
    #expect(try scratch.store("killed").everything().count == 3)
  }

  /// Bytes that are left in the log's segment.
  private func room(_ store: Store, _ tail: LogWriter.Tail? = nil) -> Int {
    let end = Int(store.core.shared[.segment].position.offset) + Layout.segmentBytes
    return end - Int((tail?.position ?? store.core.shared[.tail]).offset)
  }

  /// A CUT that is not made of the time is durable when the store is open: its number does not tell it from
  /// that of an earlier opening.
  @Test(arguments: [0, 1_800_000_000_000] as [UInt64])
  func onlyACutThatIsMadeOfTheTimeWaitsForTheFirstCommit(time: UInt64) throws {
    let scratch = try Scratch()
    try scratch.store(at: time).close()
    for _ in 0..<3 {
      let store = try scratch.store(at: time)
      let isPending = store.core.shared[.pendingCut].number != 0
      #expect(isPending == (time != 0))
      #expect((store.core.shared[.tail] == store.core.superblock.logPosition) == isPending)
      #expect(store.core.shared[.durable] == store.core.shared[.tail])
      try store.close()
    }
  }

  @Test func theNumberOfACutIsMadeOfTheTime() {
    let jump = Layout.sequenceJump
    func cut(_ number: UInt64, _ time: UInt64) -> UInt64 {
      SequenceNumber(number: number).cut(at: time).number
    }
    #expect(SequenceNumber(number: 7).dated(1_577_836_799_999) == nil)
    let now: UInt64 = 1_800_000_000_000
    #expect(cut(7, now) == (now - 1_577_836_800_000) * 4_096)
    #expect(cut(7, now + 1) == cut(7, now) + 4_096)
    #expect(cut(cut(7, now) - 1, now) == cut(7, now))
    // Again within the same millisecond.
    #expect(cut(cut(7, now), now) == cut(7, now) + 1)
    // Far from what a clock can show, and where the numbers are further than the clock.
    for time in [0, 1_577_836_799_999, 1_577_836_800_000 + 1 << 41, .max] as [UInt64] {
      #expect(cut(7, time) == 7 + jump)
    }
    #expect(cut(1 << 55, now) == 1 << 55 + jump)
    #expect(cut(7, 1_577_836_799_999 + 1 << 41) < 1 << 53)
  }

  // MARK: Damage

  /// What an earlier use of the space has left beyond the end costs an opening hardly anything, and does not
  /// look like damage: no checksum is computed for bytes that cannot be a record.
  @Test func randomBytesAreNotTakenForRecords() throws {
    let store = try Store.inMemory()
    let end = Int(store.core.shared[.segment].position.offset) + Layout.segmentBytes
    var random = SeededGenerator(seed: testSeed("randomBytesAreNotTakenForRecords"))
    let start = Int(tail(store))
    for offset in stride(from: start, to: end, by: 8) {
      store.core.memory.bytes.store64(random.next(), offset)
    }
    let candidates = stride(from: start, to: end - 64, by: 8).count {
      Record(store.core.memory, uncheckedAt: $0).isPlausible(before: end)
    }
    #expect(candidates == 0)
  }

  /// Every record that a store writes passes, wherever its segment or large value lies.
  @Test func everyRecordIsPlausible() throws {
    let store = try Store.inMemory()
    let seed = testSeed("everyRecordIsPlausible")
    var kinds: Set<RecordKind?> = []
    for number in 0..<400 {
      let start = store.core.shared[.tail]
      try Operation(seed: seed, number: number).apply(to: store)
      try store.put(patterned(70_000, 1), forKey: "large", expires: .at(millisecondsSince1970: 1 << 50))
      var walk = LogWalk(memory: store.core.memory, from: start, upTo: store.core.shared[.tail])
      while let record = try walk.next() {
        kinds.insert(record.kind)
        #expect(record.isPlausible(before: store.core.memory.mappedBytes))
        #expect(record.sequence < SequenceNumber(number: 1).bound)
      }
    }
    #expect(kinds.isSuperset(of: [.put, .delete]))
  }

  /// A record beyond the bound of all numbers that the log can reach is none, however right its checksum.
  @Test func aRecordBeyondTheBoundIsNoDamage() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key", durability: .onCommit)
    let sequence = store.core.shared[.sequence]
    for (number, isDamage) in [(sequence.bound.number, false), (sequence.bound.number - 1, true)] {
      let (key, value) = (bytes("far"), bytes("away"))
      var tail = try store.core.withWriteLock { turn throws(Store.Error) in turn.writer.log.tail }
      tail.position.offset += 4_096
      tail.sequence.number = number
      try store.core.withWriteLock { turn throws(Store.Error) in
        let durable = store.core.shared[.durableSequence]
        store.core.shared[.durableSequence] = tail.sequence
        _ = unsafe turn.writer.log.append(
          .put, LogWriter.Fields(), key: key.span.bytes, value: value.span.bytes, &tail)
        store.core.shared[.durableSequence] = durable
      }
      try write(contents(scratch.path()), to: scratch.path("copy"))
      #expect(code { try scratch.store("copy").close() } == (isDamage ? .damaged : nil))
    }
  }

  /// Three commits, each durable before the next one. Then one byte is wrong.
  @Test func damageBeforeADurableRecordIsRefused() throws {
    let scratch = try Scratch()
    var places: [Int] = []
    do {
      let store = try scratch.store()
      for number in 0..<4 {
        places.append(Int(tail(store)))
        try store.put("value \(number)", forKey: "key \(number)", durability: .onCommit)
      }
      try write(contents(scratch.path()), to: scratch.path("crashed"))
    }
    let sound = try contents(scratch.path("crashed"))
    for place in places.dropLast() {
      for offset in [0, 5, 9, 17, 25, 35] {
        let path = scratch.path("crashed")
        try write(sound, to: path)
        try flip(path, at: place + offset)
        let before = try contents(path)
        #expect(code { try scratch.store("crashed") } == .damaged, "\(offset) of \(place)")
        #expect(code { try scratch.store("crashed") { $0.access = .readOnly } } == .damaged)
        #expect(try Store.verify(path).isSound == false)
        #expect(try contents(path) == before, "a file that was refused has changed")
      }
    }
    // The last commit may be torn: nothing shows that it was durable.
    try write(sound, to: scratch.path("crashed"))
    try flip(scratch.path("crashed"), at: places[3] + 25)
    #expect(try scratch.store("crashed").count == 3)
  }

  @Test func aDamagedSegmentHeaderIsNoEndOfTheLog() throws {
    let scratch = try Scratch()
    var next = Unit(number: 0)
    do {
      let store = try scratch.store()
      next = store.core.memory.shared[.nextSegment]
      for number in 0..<30 {
        try store.put(patterned(60_000, UInt64(number)), forKey: "key \(number)", durability: .onCommit)
      }
      #expect(store.core.memory.shared[.segment] == next)
      try write(contents(scratch.path()), to: scratch.path("crashed"))
    }
    let path = scratch.path("crashed")
    #expect(try scratch.store("crashed") { $0.access = .readOnly }.count == 30)
    try flip(path, at: Int(next.position.offset) + 8)
    let before = try contents(path)
    #expect(code { try scratch.store("crashed") } == .damaged)
    #expect(try contents(path) == before)
  }

  // MARK: Several segments

  @Test func anAbortedTransactionReleasesItsSegments() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("before", forKey: "key 1")
    let position = tail(store)
    let segments = try store.statistics().segments
    for _ in 0..<4 {
      #expect(throws: Operation.Abort.self) {
        try store.transaction { transaction in
          for number in 0..<50 {
            try transaction.put(patterned(60_000, UInt64(number)), forKey: "key \(number)")
          }
          try transaction.put(patterned(200_000, 9), forKey: "large")
          throw Operation.Abort()
        }
      }
      #expect(tail(store) == position)
      #expect(try store.statistics().segments == segments)
      #expect(try store.statistics().largeValueBytes == 0)
      #expect(try store.everything() == [bytes("key 1"): bytes("before")])
      try expectSound(store)
    }
    try store.transaction { transaction in
      for number in 0..<50 { try transaction.put(patterned(60_000, UInt64(number)), forKey: "key \(number)") }
    }
    try expectSound(store)
    try store.put("after", forKey: "after")
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    let recovered = try scratch.store("crashed")
    #expect(try recovered.everything() == store.everything())
    #expect(try recovered.count == 51)
    try expectSound(recovered)
  }

  /// A transaction is given up and tried again with other values of the same lengths. On the
  /// disk are the first record of the first attempt and the rest of the second: positions,
  /// sequence numbers and checksums are right, and yet this is no commit.
  @Test func twoAttemptsAtATransactionAreNotMixed() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("there", forKey: "before")
    let start = Int(tail(store))
    func attempt(_ stamp: UInt64, isAbandoned: Bool) throws {
      try store.transaction { transaction in
        try transaction.put(patterned(5_000, stamp), forKey: "one")
        try transaction.put(patterned(5_000, stamp), forKey: "two")
        if isAbandoned { throw Operation.Abort() }
      }
    }
    #expect(throws: Operation.Abort.self) { try attempt(1, isAbandoned: true) }
    let length = RecordHeader(store.core.memory.bytes, at: start).storedBytes
    let first = try contents(scratch.path())[start..<start + length]
    try attempt(2, isAbandoned: false)
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    try overwrite(scratch.path("crashed"), at: start, with: Array(first))
    #expect(try scratch.store("crashed").everything() == [bytes("before"): bytes("there")])
  }

  /// The log may go on in a segment further down. That the segment before is durable says
  /// nothing about it.
  @Test func aSegmentFurtherDownIsSyncedToo() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let shared = store.core.memory.shared
    try store.put(patterned(2 << 20, 1), forKey: "large")
    let start = shared[.segment].number
    while shared[.segment].number == start { try store.put(patterned(60_000, 2), forKey: "key") }
    // The large value leaves room for a segment.
    try store.remove("large")
    try store.checkpoint()
    for _ in 0..<100 where shared[.nextSegment] > shared[.segment] {
      try store.put(patterned(60_000, 3), forKey: "key")
    }
    let last = shared[.segment].number
    while shared[.segment].number == last {
      try store.sync()
      try store.put(patterned(60_000, 4), forKey: "key")
    }
    #expect(tail(store) < shared[.durable].offset, "the log did not go on further down")
    #expect(store.core.needsSync)
    try store.sync()
    #expect(shared[.durable].offset == tail(store))
    #expect(!store.core.needsSync)
    try expectSound(store)
  }

  /// A failed change is left out of the transaction, and the others count.
  @Test func aFailedChangeLeavesTheTransactionUsable() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.transaction { transaction in
      try transaction.put("1", forKey: "first")
      #expect(code { try transaction.put("x", forKey: [UInt8](repeating: 1, count: 65_537)) } == .keyTooLong)
      try transaction.put("2", forKey: "second")
    }
    #expect(try store.count == 2)
    try expectSound(store)
  }
}
