import Foundation
import KVMapFoundation
import TestSupport
import Testing

@testable import KVMap

/// The largest and smallest keys and values, and what each kind of handle may do.
@Suite(.timeLimit(.minutes(5)))
struct LimitTests {
  // MARK: Keys and values

  @Test func keysToTheLimit() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let longest = [UInt8](repeating: 0xff, count: 65_536)
    #expect(try store.put("longest", forKey: longest))
    #expect(try store.put("empty", forKey: ""))
    let tooLong = [UInt8](repeating: 0xff, count: 65_537)
    #expect(code { try store.put("x", forKey: tooLong) } == .keyTooLong)
    #expect(code { try store.remove(tooLong) } == .keyTooLong)
    #expect(try store.count == 2)
    try store.close()
    let again = try scratch.store()
    #expect(try again.get(longest, as: String.self) == "longest")
    #expect(try again.get([UInt8](), as: String.self) == "empty")
    #expect(try again.get(Array(longest.dropLast())) == nil)
    // A key that is too long is absent for every call.
    #expect(try again.get(tooLong) == nil)
    #expect(try !again.contains(tooLong))
    #expect(try again.remove(longest))
    #expect(try again.remove(""))
    #expect(try again.count == 0)
    try expectSound(again)
  }

  @Test func everyByteIsKeptAsItIs() throws {
    let scratch = try Scratch()
    let all = (0...255).map { UInt8($0) }
    do {
      let store = try scratch.store()
      for byte in all { try store.put([byte], forKey: [byte]) }
      try store.put(all, forKey: all)
      try store.put([UInt8](), forKey: "empty value")
      try store.close()
    }
    let store = try scratch.store { $0.access = .readOnly }
    for byte in all { #expect(try store.get([byte]) == [byte]) }
    #expect(try store.get(all) == all)
    #expect(try store.get("empty value") == [])
    #expect(try store.contains("empty value"))
    #expect(try store.withValue(forKey: "empty value") { $0.byteCount } == 0)
    #expect(try store.count == 258)
  }

  @Test(arguments: [0, 1, 7, 8, 4095, 65_535, 65_536, 65_537, 131_072, 1_048_576, 3_000_001])
  func valuesOfAllSizes(size: Int) throws {
    let scratch = try Scratch()
    let value = patterned(size, 77)
    do {
      let store = try scratch.store()
      try store.put(value, forKey: "key")
      _ = try store.transaction { try $0.put(value, forKey: "key in a transaction") }
      try store.close()
    }
    let store = try scratch.store()
    #expect(try store.get("key") == value)
    #expect(try store.get("key in a transaction") == value)
    try expectSound(store)
  }

  @Test(.enabled(if: Environment.isSet("KVMAP_TEST_HUGE")))
  func aValueOfOneGibibyte() throws {
    let scratch = try Scratch()
    let value = patterned(1 << 30, 3)
    do {
      let store = try scratch.store()
      try store.put(value, forKey: "huge")
      try store.close()
    }
    let store = try scratch.store()
    #expect(try store.withValue(forKey: "huge") { $0.array == value } == true)
    try expectSound(store)
  }

  @Test func textAndData() throws {
    let store = try Store.inMemory()
    try store.put("grüße", forKey: "ключ")
    #expect(try store.get("ключ", as: String.self) == "grüße")
    #expect(try store.get(Data("ключ".utf8), as: Data.self) == Data("grüße".utf8))
    try store.put([0xff, 0xfe], forKey: "no text")
    #expect(code { try store.get("no text", as: String.self) } == .invalidText)
    #expect(try store.get("no text") == [0xff, 0xfe])
    try store.put(Data([1, 2, 3]).dropFirst(), forKey: "slice"[...])
    #expect(try store.get("slice") == [2, 3])
  }

  // MARK: Conditions and expiry

  @Test func conditions() throws {
    let store = try Store.inMemory()
    #expect(try !store.put("1", forKey: "key", if: .present))
    #expect(try store.put("2", forKey: "key", if: .absent))
    #expect(try !store.put("3", forKey: "key", if: .absent))
    #expect(try store.put("4", forKey: "key", if: .present))
    #expect(try store.get("key", as: String.self) == "4")
  }

  @Test func whatHasExpiredIsAbsent() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let past = Store.Expiry.at(millisecondsSince1970: 1_000)
    try store.put("old", forKey: "past", expires: past)
    try store.put(patterned(100_000, 1), forKey: "large past", expires: .after(.seconds(-1)))
    try store.put("here", forKey: "future", expires: .after(.seconds(100_000)))
    try store.put("here", forKey: "for ever", expires: .after(.seconds(Int64.max)))
    for key in ["past", "large past"] {
      #expect(try store.get(key) == nil)
      #expect(try !store.contains(key))
      #expect(try store.withValue(forKey: key) { _ in true } == nil)
      #expect(try !store.put("x", forKey: key, if: .present))
    }
    #expect(try store.get("future", as: String.self) == "here")
    #expect(try store.get("for ever", as: String.self) == "here")
    #expect(try Set(store.everything().keys) == [bytes("future"), bytes("for ever")])
    #expect(try Set(store.everythingByCursor().keys) == [bytes("future"), bytes("for ever")])
    try store.transaction { transaction in
      let isThere = (try transaction.contains("past"), try transaction.remove("past"))
      #expect(isThere == (false, false))
      let isPut = try transaction.put("again", forKey: "large past", if: .absent)
      #expect(isPut)
    }
    #expect(try !store.remove("past"))
    #expect(try store.get("large past", as: String.self) == "again")
    try expectSound(store)
    // A value without expiry replaces one that had expired.
    try store.put("old", forKey: "past", expires: past)
    try store.put("new", forKey: "past", if: .absent)
    #expect(try store.get("past", as: String.self) == "new")
    try store.close()
    #expect(try scratch.store().get("past", as: String.self) == "new")
  }

  // MARK: Handles

  @Test(arguments: [false, true])
  func aReadingHandleWritesNothing(besideAWriter: Bool) throws {
    let scratch = try Scratch()
    do {
      let store = try scratch.store()
      try store.put("value", forKey: "key")
      try store.put(patterned(100_000, 1), forKey: "large")
      try store.close()
    }
    let writer = besideAWriter ? try scratch.store() : nil
    let before = try contents(scratch.path())
    do {
      let store = try scratch.store { $0.access = .readOnly }
      #expect(code { try store.put("x", forKey: "key") } == .readOnly)
      #expect(code { try store.remove("key") } == .readOnly)
      #expect(code { try store.transaction { _ in } } == .readOnly)
      #expect(code { try store.sync() } == nil, "there is nothing to sync, or .readOnly")
      #expect(try store.get("key", as: String.self) == "value")
      #expect(try store.withValue(forKey: "large") { $0.array } == patterned(100_000, 1))
      #expect(try store.everything().count == 2)
      #expect(try store.statistics().recordCount == 2)
      #expect(try store.verify().isSound)
      try store.close()
    }
    #expect(try contents(scratch.path()) == before)
    try writer?.close()
  }

  @Test func scratchChangesVanish() throws {
    let scratch = try Scratch()
    do {
      let store = try scratch.store()
      for number in 0..<100 { try store.put("value", forKey: "key \(number)") }
      try store.close()
    }
    let before = try contents(scratch.path())
    do {
      let store = try scratch.store { $0.access = .scratch }
      for number in 50..<3_000 { try store.put("changed", forKey: "key \(number)") }
      try store.put(patterned(500_000, 1), forKey: "large")
      try store.remove("key 1")
      #expect(try store.count == 3_000)
      #expect(try store.get("key 70", as: String.self) == "changed")
      #expect(store.core.verify().isSound, "\(store.core.verify().faults)")
      try store.sync()
      try store.close()
    }
    #expect(try contents(scratch.path()) == before)
    #expect(try scratch.store().get("key 70", as: String.self) == "value")
  }

  @Test func aClosedHandleThrows() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    var cursor = store.makeCursor()
    try store.close()
    try store.close()
    #expect(code { try store.get("key") } == .closed)
    #expect(code { try store.contains("key") } == .closed)
    #expect(code { try store.withValue(forKey: "key") { _ in } } == .closed)
    #expect(code { try store.put("x", forKey: "key") } == .closed)
    #expect(code { try store.remove("key") } == .closed)
    #expect(code { try store.transaction { _ in } } == .closed)
    #expect(code { try store.sync() } == .closed)
    #expect(code { try store.forEach { _, _ in } } == .closed)
    #expect(code { try cursor.next() } == .closed)
    #expect(code { try store.count } == .closed)
    #expect(code { try store.verify() } == .closed)
    #expect(code { try store.statistics() } == .closed)
    #expect(try scratch.store().get("key", as: String.self) == "value")
  }

  @Test func writingInsideATransactionIsRefused() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.transaction { transaction in
      #expect(code { try store.put("x", forKey: "key") } == .reentrant)
      #expect(code { try store.remove("key") } == .reentrant)
      #expect(code { try store.transaction { _ in } } == .reentrant)
      #expect(code { try store.sync() } == .reentrant)
      #expect(code { try store.close() } == .reentrant)
      try transaction.put("y", forKey: "key")
    }
    #expect(try store.get("key", as: String.self) == "y")
    // Reading calls take closures that may write.
    #expect(try store.withValue(forKey: "key") { _ in try store.put("z", forKey: "key") } == true)
    #expect(try store.get("key", as: String.self) == "z")
    try expectSound(store)
  }

  /// The path was left out if it happened to be part of the message, as "a" nearly always is.
  @Test func errorsNameTheStore() {
    let error = Store.Error(.damaged, "a record is damaged").naming("a")
    #expect(error.description.hasPrefix("a: "), "\(error)")
    #expect(error.naming("a").description == error.description)
  }
}
