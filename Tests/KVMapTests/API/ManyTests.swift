import TestSupport
import Testing

@testable import KVMap

/// Calls that take many keys: `get`, `put(contentsOf:)` and `remove(contentsOf:)`.
struct ManyTests {
  @Test(arguments: [0, 1, 63, 64, 65, 5_000])
  func eachKeyGetsItsOwnValue(count: Int) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<count where number % 3 != 0 {
      try store.put(
        number % 50 == 1 ? patterned(70_000, UInt64(number)) : bytes("\(number)"), forKey: "key \(number)")
    }
    let values = try store.get((0..<count).map { "key \($0)" })
    #expect(values.count == count)
    for number in 0..<count {
      let wanted =
        number % 3 == 0 ? nil : number % 50 == 1 ? patterned(70_000, UInt64(number)) : bytes("\(number)")
      let isRight = values[number] == wanted
      #expect(isRight, "\(number)")
    }
    #expect(try store.get(repeatElement("key 1", count: 3)) == (0..<3).map { _ in try store.get("key 1") })
    var met: [Int] = []
    try store.withValues(forKeys: (0..<count).map { "key \($0)" }) { number, value in
      let isRight = try [UInt8](copying: value) == values[number]
      #expect(isRight, "\(number)")
      met.append(number)
    }
    #expect(met == (0..<count).filter { $0 % 3 != 0 })
  }

  /// They stay where they are while the keys are removed and their space is reused.
  @Test func valuesInPlaceStay() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let keys = (0..<200).map { "key \($0)" }
    for key in keys { try store.put(key, forKey: key) }
    try store.withValues(forKeys: keys) { number, value in
      // The first call of each group changes all that the group has looked up.
      if number % 64 == 0 {
        for key in keys { try store.put("other of \(key)", forKey: key) }
        for _ in 0..<3 { try store.checkpoint() }
        try store.compact()
        for key in keys { try store.put(key, forKey: key) }
      }
      let isRight = try [UInt8](copying: value) == bytes(keys[number])
      #expect(isRight, "\(number)")
    }
    struct Stop: Error {}
    var calls = 0
    #expect(throws: Stop.self) {
      try store.withValues(forKeys: keys) { _, _ in
        calls += 1
        throw Stop()
      }
    }
    #expect(calls == 1)
    try expectSound(store)
  }

  @Test func oneDamagedRecordIsAnError() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<100 { try store.put("value", forKey: "key \(number)") }
    let found = try #require(try store.match(bytes("key 7")))
    let memory = store.core.memory
    memory.bytes.store8(0, Int(found.position.offset) + found.header.valueOffset)
    #expect(code { try store.get((0..<100).map { "key \($0)" }) } == .damaged)
    #expect(code { try store.withValues(forKeys: (0..<100).map { "key \($0)" }) { _, _ in } } == .damaged)
    #expect(try store.get((8..<100).map { "key \($0)" }).allSatisfy { $0 == bytes("value") })
    try store.close()
    #expect(code { try store.get(["key 8"]) } == .closed)
  }

  // MARK: Changes

  @Test(arguments: [0, 1, 63, 64, 65, 5_000])
  func manyKeysArePutAndRemovedAtOnce(count: Int) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let other = try scratch.store()
    try store.put("old", forKey: "key 0")
    let before = store.core.shared[.sequence].number
    func value(_ number: Int) -> [UInt8] {
      number % 50 == 1 ? patterned(70_000, UInt64(number)) : bytes("\(number)")
    }
    try store.put(contentsOf: (0..<count).map { ("key \($0)", value($0)) })
    #expect(store.core.shared[.sequence].number == before + UInt64(count))
    #expect(try other.count == max(1, count))
    for number in 0..<count {
      let isThere = try other.get("key \(number)") == value(number)
      #expect(isThere, "\(number)")
    }
    #expect(
      try store.remove(contentsOf: (0..<count).filter { $0 % 2 == 0 }.map { "key \($0)" }) == (count + 1) / 2)
    #expect(try store.remove(contentsOf: ["key 0", "never"]) == (count == 0 ? 1 : 0))
    #expect(try other.count == count / 2)
    try expectSound(store)
  }

  @Test func theLastValueOfAKeyCounts() throws {
    let store = try Store.inMemory()
    try store.put(contentsOf: [("a", "1"), ("b", "2"), ("a", "3")], durability: .onCommit)
    #expect(try store.get("a", as: String.self) == "3")
    #expect(try store.count == 2)
    try store.put(contentsOf: ["a": [1], "c": [2]] as [String: [UInt8]])
    #expect(try store.get(["a", "b", "c"]) == [[1], bytes("2"), [2]])
    #expect(try store.remove(contentsOf: ["a", "a"]) == 1)
  }

  /// The call changes nothing, and later calls succeed.
  @Test func oneKeyThatIsTooLongFailsTheCall() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("old", forKey: "key 1")
    let tooLong = [UInt8](repeating: 1, count: Layout.largestKey + 1)
    let pairs = (0..<100).map { (bytes("key \($0)"), bytes("new")) } + [(tooLong, [])]
    #expect(code { try store.put(contentsOf: pairs) } == .keyTooLong)
    #expect(code { try store.remove(contentsOf: [bytes("key 1"), tooLong]) } == .keyTooLong)
    #expect(try store.count == 1)
    #expect(try store.get("key 1", as: String.self) == "old")
    try store.put(contentsOf: pairs.dropLast())
    #expect(try store.count == 100)
    try expectSound(store)
  }
}
