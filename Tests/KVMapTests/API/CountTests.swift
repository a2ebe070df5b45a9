import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A key that is absent for `get` is not counted.
@Suite struct CountTests {
  private let scratch: Scratch
  private let time = TestClock(5_000)
  private let store: Store

  init() throws {
    scratch = try Scratch()
    store = try Self.open(scratch, time)
  }

  private static func open(_ scratch: Scratch, _ time: TestClock) throws -> Store {
    Store(core: try Opening(path: scratch.path(), options: Store.Options(), clock: time.clock).open())
  }

  private func expectCount(_ expected: Int, _ store: Store) throws {
    #expect(try store.count == expected)
    var cursor = store.makeCursor()
    var found = 0
    while try cursor.next() != nil { found += 1 }
    #expect(found == expected)
    let snapshot = try store.snapshot()
    #expect(try snapshot.count == expected)
  }

  @Test func expiredKeysAreNotCounted() throws {
    for number in 0..<300 { try store.put("value", forKey: "stays \(number)") }
    try expectCount(300, store)
    for number in 0..<200 {
      try store.put("value", forKey: "goes \(number)", expires: .after(.milliseconds(1 + number)))
    }
    try expectCount(500, store)
    let before = try store.snapshot()
    for passed in [1, 50, 100, 200] {
      time.set(5_000 + UInt64(passed))
      try expectCount(500 - passed, store)
    }
    #expect(try before.count == 500)
    try store.put("value", forKey: "stays 0")
    #expect(try store.remove("stays 1"))
    #expect(try !store.remove("goes 1"))
    try store.put("again", forKey: "goes 2")
    try expectCount(300, store)
    try store.compact()
    try expectCount(300, store)
    #expect(try before.count == 500)
  }

  @Test func countingReadsNoRecordBeforeTheFirstExpires() throws {
    for number in 0..<100 { try store.put("value", forKey: "\(number)", expires: .after(.seconds(1))) }
    // Reading this record would be an error.
    try store.put("value", forKey: "damaged", expires: .after(.seconds(2)))
    let found = try #require(
      try "damaged".withBytes { key throws(Store.Error) in
        let hash = KeyHash(key, seed: store.core.source.seed)
        return try store.core.find(key, hash, in: store.core.memory)
      })
    let bytes = store.core.memory.bytes
    let byte = Int(found.position.offset) + found.header.valueOffset
    bytes.store8(bytes.load8(byte) ^ 1, byte)
    #expect(try store.count == 101)
    time.advance(milliseconds: 1_500)
    #expect(try store.count == 1)
    // The expiry of a damaged record is not believed.
    time.advance(milliseconds: 1_500)
    #expect(code { try store.count } == .damaged)
  }

  @Test(arguments: [false, true])
  func theCountIsKnownAfterOpening(afterACrash: Bool) throws {
    try store.put("value", forKey: "stays")
    try store.put("value", forKey: "goes", expires: .after(.seconds(1)))
    // What a crash leaves at this moment.
    let image = try Image(of: scratch.path())
    try store.close()
    if afterACrash { try image.lay(at: scratch.path()) }
    let again = try Self.open(scratch, time)
    try expectCount(2, again)
    time.advance(milliseconds: 1_000)
    try expectCount(1, again)
    try expectSound(again)
  }

  @Test func aValueStoredAfterItsExpiryIsNotCounted() throws {
    try store.put("value", forKey: "key", expires: .at(millisecondsSince1970: 1))
    try expectCount(0, store)
    try store.transaction { transaction in
      try transaction.put("value", forKey: "one")
      try transaction.put("value", forKey: "two", expires: .at(millisecondsSince1970: 4_999))
    }
    try expectCount(1, store)
  }

  /// Older versions did not note when the first value expires.
  @Test func theFirstExpiryMayBeUnknown() throws {
    store.core.shared[.earliestExpiry] = 0
    try store.put("value", forKey: "stays")
    try expectCount(1, store)
    try store.put("value", forKey: "goes", expires: .after(.seconds(1)))
    try expectCount(2, store)
    time.advance(milliseconds: 1_000)
    try expectCount(1, store)
  }

  @Test func aStoreInMemory() throws {
    let store = Store(core: try Opening.inMemory(Store.Options(), clock: time.clock))
    try store.put("value", forKey: "stays")
    try store.put("value", forKey: "goes", expires: .after(.seconds(1)))
    try expectCount(2, store)
    time.advance(milliseconds: 1_000)
    try expectCount(1, store)
  }
}
