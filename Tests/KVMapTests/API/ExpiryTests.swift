import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A clock that stands still until the test sets it.
final class TestClock: Sendable {
  private let time: Atomic<UInt64>
  init(_ milliseconds: UInt64) { time = Atomic(milliseconds) }

  func advance(milliseconds: UInt64) { time.wrappingAdd(milliseconds, ordering: .relaxed) }
  func set(_ milliseconds: UInt64) { time.store(milliseconds, ordering: .relaxed) }
  var clock: Clock { Clock(now: { self.time.load(ordering: .relaxed) }) }
}

/// Values that expire.
@Suite struct ExpiryTests {
  private func store(_ scratch: Scratch, _ time: TestClock) throws -> Store {
    Store(core: try Opening(path: scratch.path(), options: Store.Options(), clock: time.clock).open())
  }

  @Test func aValueIsThereUntilItExpires() throws {
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

  @Test func theExpiryCanBeChangedAndRemoved() throws {
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

  @Test func largeValuesKeepTheirBytesWhenTheExpiryChanges() throws {
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

  /// For readers of every kind, also in the middle of a `forEach`.
  @Test func anExpiredValueIsAbsentForAllReadersAtOnce() throws {
    let scratch = try Scratch()
    let time = TestClock(5_000)
    let store = try store(scratch, time)
    for number in 0..<200 {
      try store.put(
        "v", forKey: "key \(number)", expires: .at(millisecondsSince1970: number % 2 == 0 ? 6_000 : 7_000))
    }
    func opened(_ access: Store.Access) throws -> Store {
      let options = Store.Options(access: access)
      return Store(core: try Opening(path: scratch.path(), options: options, clock: time.clock).open())
    }
    let others = try [opened(.readOnly), opened(.scratch), opened(.readWrite), store]
    var cursors = others.map { $0.makeCursor() }
    time.set(5_999)
    for index in others.indices { #expect(try cursors[index].next() != nil) }
    time.set(6_000)
    for (index, other) in others.enumerated() {
      #expect(try other.get("key 0") == nil)
      #expect(try !other.contains("key 2"))
      #expect(try other.withValue(forKey: "key 4") { _ in true } == nil)
      #expect(try other.expiry(ofKey: "key 6") == nil)
      #expect(try other.get("key 1", as: String.self) == "v")
      #expect(try other.everything().count == 100)
      while let entry = try cursors[index].next() {
        #expect(entry.key.last.map { $0 % 2 == 1 } == true, "an expired key was returned")
      }
    }
    try store.transaction { transaction in
      #expect(try transaction.get("key 8") == nil)
      #expect(try !transaction.remove("key 8"))
      try transaction.put("w", forKey: "key 8", if: .absent, expires: .after(.milliseconds(1)))
      #expect(try transaction.get("key 8", as: String.self) == "w")
      time.advance(milliseconds: 1)
      #expect(try transaction.get("key 8") == nil)
      try transaction.put("x", forKey: "key 1", expires: .at(millisecondsSince1970: 8_000))
    }
    #expect(try store.expiry(ofKey: "key 1") == .at(millisecondsSince1970: 8_000))
    time.set(7_000)
    #expect(try others[0].everything().count == 1)
    try expectWorkingStateIsSound(store)
  }

  /// An expiry beyond the last time of the clock does not overflow into the past.
  @Test func lateExpiriesSaturate() throws {
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

  // MARK: Odd clocks

  @Test func theClockSaturates() {
    #expect(Clock.milliseconds(timespec(tv_sec: -1, tv_nsec: 999_999_999)) == 0)
    #expect(Clock.milliseconds(timespec(tv_sec: .min, tv_nsec: 0)) == 0)
    #expect(Clock.milliseconds(timespec(tv_sec: 0, tv_nsec: 1_999_999)) == 1)
    #expect(Clock.milliseconds(timespec(tv_sec: .max, tv_nsec: 999_999_999)) == .max)
    #expect(Clock.milliseconds(timespec(tv_sec: 1_700_000_000, tv_nsec: 5_000_000)) == 1_700_000_000_005)
  }

  /// Also at the first and last times of the clock, and when it is set back or forward by
  /// years, the clock alone decides what has expired.
  @Test(arguments: [0, 1, 5_000, UInt64.max / 1_000, .max - 1, .max])
  func everyTimeOfTheClockWorks(now: UInt64) throws {
    let scratch = try Scratch()
    let time = TestClock(now)
    let store = try store(scratch, time)
    let years: UInt64 = 20 * 365 * 86_400_000
    func sum(_ milliseconds: UInt64) -> UInt64 {
      let (sum, overflow) = now.addingReportingOverflow(milliseconds)
      return overflow ? .max : sum
    }
    try store.put("value", forKey: "stays")
    try store.put("value", forKey: "second", expires: .after(.seconds(1)))
    try store.put("value", forKey: "decades", expires: .after(.milliseconds(Int64(years))))
    try store.put("value", forKey: "ages", expires: .after(.seconds(Int64.max)))
    #expect(try store.expiry(ofKey: "stays") == .never)
    for (key, expiry) in [("second", sum(1_000)), ("decades", sum(years)), ("ages", .max)] where now != .max {
      #expect(try store.expiry(ofKey: key) == .at(millisecondsSince1970: expiry))
    }
    for moved in [now, sum(1_000), 0, sum(years), now &- years, .max - 1, .max, now] {
      time.set(moved)
      #expect(try store.contains("stays"))
      #expect(try store.contains("second") == (moved < sum(1_000)), "\(moved)")
      #expect(try store.contains("decades") == (moved < sum(years)), "\(moved)")
      #expect(try store.contains("ages") == (moved < .max), "\(moved)")
      try store.put("value", forKey: "other \(moved)")
    }
    try store.compact()
    try store.checkpoint()
    try expectSound(store)
  }
}
