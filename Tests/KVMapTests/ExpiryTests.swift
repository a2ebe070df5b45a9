import SystemPackage
import Synchronization
import Testing

@testable import KVMap

/// A clock that goes when it is told to.
final class TestClock: Sendable {
  private let time: Atomic<UInt64>
  init(_ milliseconds: UInt64) { time = Atomic(milliseconds) }

  func advance(milliseconds: UInt64) { time.wrappingAdd(milliseconds, ordering: .relaxed) }
  func set(_ milliseconds: UInt64) { time.store(milliseconds, ordering: .relaxed) }
  var clock: Clock { Clock { self.time.load(ordering: .relaxed) } }
}

/// Values that cease to exist by themselves.
@Suite struct ExpiryTests {
  private func store(_ scratch: Scratch, _ time: TestClock) throws -> Store {
    Store(core: try Opening(path: scratch.path(), options: StoreOptions(), clock: time.clock).open())
  }

  @Test func aValueIsThereUntilItsTimeAndNotAfter() throws {
    let scratch = try Scratch()
    let time = TestClock(5_000)
    let store = try store(scratch, time)
    try store.put("blue", forKey: "sky", expires: .after(.milliseconds(100)))
    time.advance(milliseconds: 99)
    #expect(try store.get("sky", as: String.self) == "blue")
    time.advance(milliseconds: 1)
    #expect(try store.get("sky") == nil)
    #expect(try !store.contains("sky"))
    #expect(try store.expiry(ofKey: "sky") == nil)
    var cursor = store.makeCursor()
    #expect(try cursor.next() == nil)
    #expect(try !store.remove("sky"))
    #expect(try store.put("grey", forKey: "sky", if: .absent))
    #expect(try store.get("sky", as: String.self) == "grey")
  }

  @Test func theTimeCanBeChangedAndTaken() throws {
    let scratch = try Scratch()
    let time = TestClock(5_000)
    let store = try store(scratch, time)
    try store.put("blue", forKey: "sky")
    #expect(try store.expiry(ofKey: "sky") == .never)
    #expect(try store.setExpiry(.after(.seconds(1)), forKey: "sky"))
    #expect(try store.expiry(ofKey: "sky") == .at(millisecondsSince1970: 6_000))
    #expect(try store.setExpiry(.after(.seconds(9)), forKey: "sky"))
    time.advance(milliseconds: 8_999)
    #expect(try store.get("sky", as: String.self) == "blue")
    #expect(try store.setExpiry(.never, forKey: "sky"))
    time.advance(milliseconds: 1 << 40)
    #expect(try store.get("sky", as: String.self) == "blue")
    #expect(try store.setExpiry(.at(millisecondsSince1970: 1), forKey: "sky"))
    #expect(try store.get("sky") == nil)
    #expect(try !store.setExpiry(.never, forKey: "sky"))
    #expect(try !store.setExpiry(.never, forKey: "sea"))
  }

  @Test func largeValuesKeepTheirBytesWhenTheTimeChanges() throws {
    let scratch = try Scratch()
    let time = TestClock(5_000)
    let store = try store(scratch, time)
    let value = patterned(300_000, 3)
    try store.put(value, forKey: "large")
    #expect(try store.setExpiry(.after(.seconds(60)), forKey: "large"))
    #expect(try store.get("large") == value)
    #expect(try store.expiry(ofKey: "large") == .at(millisecondsSince1970: 65_000))
    try expectWorkingStateIsSound(store)
  }

  /// Times that no clock will see do not overflow into the past.
  @Test func timesAreSaturating() throws {
    let scratch = try Scratch()
    let time = TestClock(.max - 10)
    let store = try store(scratch, time)
    try store.put("1", forKey: "far", expires: .after(.seconds(Int64.max)))
    try store.put("2", forKey: "past", expires: .after(.seconds(-5)))
    try store.put("3", forKey: "last", expires: .at(millisecondsSince1970: .max))
    #expect(try store.get("far", as: String.self) == "1")
    #expect(try store.get("past") == nil)
    #expect(try store.get("last", as: String.self) == "3")
  }
}
