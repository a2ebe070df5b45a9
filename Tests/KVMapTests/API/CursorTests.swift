import TestSupport
import Testing

@testable import KVMap

/// A cursor reads one bucket at a time, and still returns the changes that were made after it read the
/// bucket.
struct CursorTests {
  let scratch: Scratch
  let store: Store
  let other: Store
  static let count = 300

  init() throws {
    scratch = try Scratch()
    store = try scratch.store()
    other = try scratch.store()
    for number in 0..<Self.count { try store.put("old", forKey: "key \(number)") }
  }

  private func rest(_ cursor: inout Store.Cursor) throws -> [String: String] {
    var found: [String: String] = [:]
    while let entry = try cursor.next() {
      let isNew = found.updateValue(text(entry.value), forKey: text(entry.key)) == nil
      #expect(isNew, "a key was returned twice")
    }
    return found
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func aCursorReturnsTheLatestValues() throws {
    var cursor = store.makeCursor()
    let first = text(try #require(try cursor.next()).key)
    for number in 0..<Self.count { try other.put("new \(number)", forKey: "key \(number)") }
    let found = try rest(&cursor)
    #expect(found.count == Self.count - 1 && found[first] == nil)
    #expect(found.allSatisfy { $1 == "new \($0.dropFirst(4))" })
  }

  @Test func aRemovedKeyIsNotReturned() throws {
    var cursor = store.makeCursor()
    let first = text(try #require(try cursor.next()).key)
    for number in 0..<Self.count where number % 2 == 0 { try other.remove("key \(number)") }
    let found = try rest(&cursor)
    let odd = Set((0..<Self.count).filter { $0 % 2 == 1 }.map { "key \($0)" }).subtracting([first])
    #expect(Set(found.keys) == odd)
  }

  /// A key that is removed and put again while its bucket is read is in the old slot first and in the new
  /// one later: the walk sees both.
  @Test func aKeyInTwoSlotsIsReturnedOnce() throws {
    let key = bytes("key 7")
    let hash = KeyHash(unsafe key.span.bytes, seed: store.core.source.seed)
    let index = IndexReader(memory: store.core.memory)
    let old = try #require(try index.find(hash, unsafe key.span.bytes))
    try store.put("new", forKey: key)
    let bucket = store.core.memory.bucket(
      try index.bucket(hash, workingTag: store.core.shared[.epoch].tag).page)
    let line = try #require((1...Bucket.lineCount).first { bucket.room(line: $0).empty != nil })
    let slot = try #require(bucket.room(line: line).empty)
    store.core.memory.bytes.storeRelease(old.slot.bits, bucket.offset(line: line, slot: slot))
    defer { store.core.memory.bytes.storeRelease(Slot.empty.bits, bucket.offset(line: line, slot: slot)) }
    // As long as a change is under way, or one was made meanwhile.
    store.core.shared[.busy] = 1
    defer { store.core.shared[.busy] = 0 }
    #expect(try store.everything().count == Self.count)
    #expect(try store.everythingByCursor().count == Self.count)
  }

  /// The same with a process that does it all the time.
  @Test func keysThatComeAndGoAreReturnedOnce() throws {
    let churn = Task.detached { [other] in
      var number = 0
      while !Task.isCancelled {
        let keys = (0..<4).map { "key \((number + $0 * 70) % Self.count)" }
        for key in keys { try other.remove(key) }
        for key in keys.reversed() { try other.put("new", forKey: key) }
        number += 1
      }
    }
    for _ in 0..<20_000 * testScale {
      _ = try store.everything()
    }
    churn.cancel()
  }

  #if CRASH_SIMULATION
    /// A commit of the other handle stores its slot before it moves the log's tail. The cursor looks in
    /// between.
    @Test func aChangeThatIsUnderWayIsNotMissed() throws {
      var cursor = store.makeCursor()
      let first = try #require(try cursor.next()).key
      var isSeen = false
      let observer = unsafe StoreObserver { _, _, _ in
        guard !isSeen, (try? store.get("key 7", as: String.self)) == "new" else { return }
        isSeen = true
        var copy = cursor
        let found = try? rest(&copy)
        #expect(first == bytes("key 7") || found?["key 7"] == "new")
      }
      StoreObserver.current = observer
      try other.put("new", forKey: "key 7")
      StoreObserver.current = nil
      withExtendedLifetime(observer) {}
      #expect(isSeen)
    }
  #endif

  @Test func aSnapshotStaysAsItWas() throws {
    let snapshot = try store.snapshot()
    var cursor = snapshot.makeCursor()
    _ = try cursor.next()
    for number in 0..<Self.count { try other.put("new", forKey: "key \(number)") }
    let found = try rest(&cursor)
    #expect(found.count == Self.count - 1 && found.values.allSatisfy { $0 == "old" })
    snapshot.end()
    #expect(code { try cursor.next() } == nil)
    cursor = snapshot.makeCursor()
    #expect(code { try cursor.next() } == .closed)
  }

  @Test func nextKeyReturnsTheSameKeys() throws {
    for number in 0..<3 { try store.put(patterned(100_000, 1), forKey: "large \(number)") }
    try store.put("past", forKey: "expired", expires: .at(millisecondsSince1970: 1))
    var keys: [[UInt8]] = []
    var cursor = store.makeCursor()
    while let key = try cursor.nextKey() { keys.append(key) }
    #expect(keys.count == Self.count + 3)
    let all = (0..<Self.count).map { bytes("key \($0)") } + (0..<3).map { bytes("large \($0)") }
    #expect(Set(keys) == Set(all))
    // After `nextKey`, which copies no values, `next` reads them.
    cursor = store.makeCursor()
    _ = try cursor.nextKey()
    let entry = try #require(try cursor.next())
    #expect(try store.get(entry.key) == entry.value)
  }

  @Test func largeAndLongValuesAreReturned() throws {
    for number in 0..<40 { try store.put(patterned(60_000, UInt64(number)), forKey: "long \(number)") }
    try store.put(patterned(500_000, 1), forKey: "large")
    var cursor = store.makeCursor()
    var count = 0
    while let entry = try cursor.next() {
      count += 1
      let isRight = try store.get(entry.key) == entry.value
      #expect(isRight)
    }
    #expect(count == Self.count + 41)
  }

  /// The other handle has added segments that this one has not mapped. The index has stayed where it was, so
  /// this handle still finds the slots. It took the records for damaged.
  @Test func recordsBeyondTheMappingAreReturned() throws {
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try reader.get("key 1") != nil)
    let mapped = reader.core.backing.mappedBytes
    while try store.statistics().fileBytes < mapped + (4 << 20) {
      for number in 0..<Self.count { try store.put(patterned(3_000, 1), forKey: "key \(number)") }
    }
    #expect(reader.core.backing.mappedBytes == mapped)
    var cursor = reader.makeCursor()
    var count = 0
    while let entry = try cursor.next() {
      #expect(entry.value.count == 3_000)
      count += 1
    }
    #expect(count == Self.count)
  }

  /// The last record begins in what is mapped and ends beyond it.
  @Test func aRecordAcrossTheEndOfTheMappingIsReturned() throws {
    let scratch = try Scratch()
    let writer = try scratch.store()
    let reader = try scratch.store()
    let mapped = reader.core.backing.mappedBytes
    var count = 0
    while writer.core.shared[.tail].offset <= mapped, count < 300 {
      try writer.put(patterned(60_000, UInt64(count)), forKey: "key \(count)")
      count += 1
    }
    #expect(reader.core.backing.mappedBytes == mapped)
    var cursor = reader.makeCursor()
    var found = 0
    while try cursor.next() != nil { found += 1 }
    #expect(found == count)
  }

  @Test func anEntryThatExpiresMeanwhileIsNotReturned() throws {
    let time = TestClock(1_000)
    let expiring = Store(core: try Opening.inMemory(Store.Options(), clock: time.clock))
    for number in 0..<10 {
      try expiring.put("v", forKey: "\(number)", expires: .at(millisecondsSince1970: 2_000))
    }
    var cursor = expiring.makeCursor()
    #expect(try cursor.next() != nil)
    time.set(2_000)
    #expect(try cursor.next() == nil)
  }
}
