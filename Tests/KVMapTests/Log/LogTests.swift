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

  @Test func sequenceNumbersAreNotHandedOutTwice() throws {
    let scratch = try Scratch()
    func version(_ name: String) throws -> UInt64 {
      let store = try scratch.store(name)
      try store.put("value", forKey: "key")
      var cursor = store.makeCursor()
      let version = try cursor.next()?.version
      return try #require(version)
    }
    let first = try version("store")
    try write(contents(scratch.path()), to: scratch.path("copy"))
    #expect(try version("copy") > first)
    #expect(try version("copy") > first + 1, "a recovery skips numbers that a lost commit may have had")
  }

  // MARK: Damage

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
