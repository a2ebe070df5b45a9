import KVMap
import Testing

/// Stores in memory, as a user's tests use them.
@Suite struct MemoryStoreTests {
  @Test func theClockDecidesWhatHasExpired() throws {
    let clock = Store.ManualClock(millisecondsSince1970: 1_000)
    let store = try Store.inMemory(clock: clock)
    try store.put("abc", forKey: "token", expires: .after(.seconds(60)))
    #expect(try store.expiry(ofKey: "token") == .at(millisecondsSince1970: 61_000))
    clock.advance(by: .milliseconds(59_999))
    #expect(try store.get("token", as: String.self) == "abc")
    #expect(try store.count == 1)
    clock.advance(by: .microseconds(1_500))
    #expect(clock.millisecondsSince1970 == 61_000)
    #expect(try store.get("token") == nil)
    #expect(try !store.contains("token") && store.count == 0 && Array(store).isEmpty)
    let other = Store.ManualClock()
    #expect(other.millisecondsSince1970 == 0)
    other.advance(by: .zero)
    #expect(other.millisecondsSince1970 == 0)
  }

  @Test(arguments: [
    Store.Options(durability: .onCommit), Store.Options(durability: .interval(milliseconds: 1)),
    Store.Options(checkpoints: .inline), Store.Options(space: .compact),
    Store.Options(create: false, exclusive: true, timeout: .zero, mode: 0, warm: true, pinned: true),
  ])
  func optionsAreThoseOfAFile(options: Store.Options) throws {
    let store = try Store.inMemory(options: options)
    for number in 0..<1_000 { try store.put(number, forKey: "key \(number)") }
    try store.checkpoint()
    #expect(try store.count == 1_000 && store.get("key 7", as: Int.self) == 7)
    let reader = try Store.inMemory(options: Store.Options(access: .readOnly))
    #expect(throws: Store.Error.self) { try reader.put(1, forKey: "k") }
  }

  @Test func storesInMemoryAreApart() throws {
    let (one, other) = (try Store.inMemory(), try Store.inMemory())
    try one.put(1, forKey: "k")
    #expect(try !other.contains("k"))
  }
}
