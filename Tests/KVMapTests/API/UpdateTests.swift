import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Calls that read and write in one step.
@Suite struct UpdateTests {
  @Test func numbers() throws {
    let store = try Store.inMemory()
    #expect(try store.increment("n") == 1)
    #expect(try store.increment("n", by: -5) == -4)
    #expect(try store.get("n", as: String.self) == "-4")
    try store.put("\(Int64.max)", forKey: "n")
    #expect(code { try store.increment("n") } == .notANumber)
    #expect(try store.get("n", as: String.self) == "\(Int64.max)")
    for text in ["", "1.5", " 1", "+1", "007", "99999999999999999999", "x"] {
      try store.put(text, forKey: "n")
      #expect(code { try store.increment("n") } == .notANumber, "'\(text)'")
    }
    try store.put([0xff, 0xfe], forKey: "n")
    #expect(code { try store.increment("n") } == .notANumber)
  }

  @Test func comparingAndSetting() throws {
    let store = try Store.inMemory()
    #expect(try !store.compareAndSet("k", expected: [1], new: [2]))
    #expect(try store.compareAndSet("k", expected: nil, new: [1]))
    #expect(try !store.compareAndSet("k", expected: nil, new: [9]))
    #expect(try store.compareAndSet("k", expected: [1], new: [2]))
    #expect(try store.get("k") == [2])
    #expect(try store.compareAndSet("k", expected: [2], new: nil))
    #expect(try store.get("k") == nil)
    #expect(try store.compareAndSet("k", expected: nil as [UInt8]?, new: nil))
  }

  /// They take and give what `put` and `get` do.
  @Test func valuesOfOtherTypes() throws {
    let store = try Store.inMemory()
    #expect(try store.increment("n", by: 250 as UInt8) == 250)
    let error = #expect(throws: Store.Error.self) { try store.increment("n", by: 6 as UInt8) }
    #expect(
      error?.message == "store in memory: key 'n': the sum of 250 and 6 does not fit into UInt8")
    #expect(try store.increment("n") == 251)
    #expect(try store.increment("n", by: Int64(-252)) == -1)
    let refusal = #expect(throws: Store.Error.self) { try store.increment("n", by: 1 as UInt) }
    #expect(refusal?.code == .notANumber && refusal?.message.hasPrefix("store in memory: key 'n': ") == true)
    #expect(try store.compareAndSet("n", expected: -1, new: 5))
    #expect(try store.compareAndSet("n", expected: "5"[...], new: "6"))
    #expect(try !store.compareAndSet("n", expected: 60, new: 7))
    #expect(try store.exchange(true, forKey: "flag") == nil)
    #expect(try store.exchange(false, forKey: "flag", expires: .after(.seconds(60))) == true)
    // What cannot be read is not replaced.
    #expect(code { try store.exchange(1, forKey: "flag") } == .notANumber)
    #expect(try store.get("flag", as: Bool.self) == false)
    #expect(try store.append("b", toKey: "text") == 1)
    #expect(try store.append(12, toKey: "text") == 3)
    #expect(try store.append("c".utf8.span, toKey: "text") == 4)
    #expect(try store.get("text", as: String.self) == "b12c")
    #expect(try store.update("n", as: Int.self) { $0.map { $0 * 2 } } == 12)
    #expect(code { try store.update("text", as: Int.self) { _ in 1 } } == .notANumber)
    #expect(try store.update("n", as: Int.self, expires: .at(millisecondsSince1970: 1)) { _ in 1 } == 1)
    #expect(try !store.contains("n"))
  }

  /// A value in an extent, which is compared where it lies.
  @Test func largeValuesAreComparedAndExchanged() throws {
    let store = try Store.inMemory()
    let (one, other) = (patterned(300_000, 1), patterned(300_000, 2))
    try store.put(one, forKey: "k")
    #expect(try !store.compareAndSet("k", expected: other, new: one))
    #expect(try !store.compareAndSet("k", expected: Array(one.dropLast()), new: other))
    #expect(try store.compareAndSet("k", expected: one, new: other))
    #expect(try store.exchange(one, forKey: "k") == other)
    #expect(try store.get("k") == one)
    #expect(store.core.verify().isSound)
  }

  @Test func byVersion() throws {
    let store = try Store.inMemory()
    try store.put("one", forKey: "k")
    let version = try #require(try store.entry(forKey: "k")).version
    #expect(try store.put("two", forKey: "k", if: .version(version)))
    #expect(try !store.put("three", forKey: "k", if: .version(version)))
    #expect(try store.get("k", as: String.self) == "two")
    #expect(try !store.put("x", forKey: "absent", if: .version(version)))
    try store.transaction { transaction in
      let now = try #require(try store.entry(forKey: "k")).version
      #expect(try transaction.put("four", forKey: "k", if: .version(now)))
      #expect(try !transaction.put("five", forKey: "k", if: .version(now)))
    }
    #expect(try store.get("k", as: String.self) == "four")
  }

  @Test func exchangingAndAppending() throws {
    let store = try Store.inMemory()
    #expect(try store.exchange([1], forKey: "k") == nil)
    #expect(try store.exchange([2], forKey: "k") == [1])
    #expect(try store.append([3, 4], toKey: "k") == 3)
    #expect(try store.append([], toKey: "new") == 0)
    #expect(try store.get("k") == [2, 3, 4])
    #expect(try store.get("new") == [])
    #expect(try store.append(patterned(200_000, 1), toKey: "k") == 200_003)
    #expect(try store.append([7], toKey: "k") == 200_004)
    #expect(try store.get("k") == [2, 3, 4] + patterned(200_000, 1) + [7])
  }

  @Test func updating() throws {
    struct Stop: Error {}
    let store = try Store.inMemory()
    #expect(try store.update("k") { old in old == nil ? [1] : nil } == [1])
    // The time of expiry stays, unless another one is given; also in a view and in the same transaction.
    let late = Store.Expiry.at(millisecondsSince1970: 4_000_000_000_000)
    try store.put("1", forKey: "late", expires: late)
    try store.update("late", as: Int.self) { ($0 ?? 0) + 1 }
    #expect(try store.expiry(ofKey: "late") == late)
    try store.view("la", of: Int.self).update("te") { $0 = ($0 ?? 0) + 1 }
    #expect(try store.expiry(ofKey: "late") == late)
    try store.transaction { transaction in
      let entry = try #require(try transaction.entry(forKey: "late"))
      #expect(entry.expiry == late && entry.value == [0x33])
      #expect(try entry.version == store.entry(forKey: "late")?.version)
      try transaction.put("7", forKey: "late")
      #expect(try transaction.expiry(ofKey: "late") == .never)
      #expect(try transaction.entry(forKey: "late")?.value == [0x37])
      #expect(try transaction.entry(forKey: "none") == nil)
    }
    try store.update("late", as: Int.self, expires: late) { _ in 1 }
    try store.update("late", as: Int.self, expires: .never) { _ in 1 }
    #expect(try store.expiry(ofKey: "late") == .never)
    #expect(throws: Stop.self) { try store.update("k") { _ in throw Stop() } }
    #expect(
      code {
        try store.update("k") { _ in
          try store.put([2], forKey: "k"); return nil
        }
      } == .reentrant)
    #expect(try store.get("k") == [1])
    #expect(try store.update("k") { _ in nil } == nil)
    #expect(try !store.contains("k"))
  }

  @Test func timesOfExpiryStay() throws {
    let scratch = try Scratch()
    let time = TestClock(1_000)
    let store = Store(
      core: try Opening(path: scratch.path(), options: Store.Options(), clock: time.clock).open())
    try store.put("1", forKey: "n", expires: .after(.milliseconds(100)))
    try store.increment("n")
    try store.append(bytes("0"), toKey: "n")
    #expect(try store.entry(forKey: "n")?.expiry == .at(millisecondsSince1970: 1_100))
    time.advance(milliseconds: 100)
    #expect(try store.increment("n") == 1)
    #expect(try store.entry(forKey: "n")?.expiry == .never)
  }
}
