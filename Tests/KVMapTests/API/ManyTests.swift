import TestSupport
import Testing

@testable import KVMap

/// Many keys at once.
struct ManyTests {
  @Test(arguments: [0, 1, 63, 64, 65, 5_000])
  func eachHasItsOwnValue(count: Int) throws {
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
  }

  @Test func damageOfOneIsAnError() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<100 { try store.put("value", forKey: "key \(number)") }
    let found = try #require(try store.match(bytes("key 7")))
    let memory = store.core.memory
    memory.bytes.store8(0, Int(found.position.offset) + found.header.valueOffset)
    #expect(code { try store.get((0..<100).map { "key \($0)" }) } == .damaged)
    #expect(try store.get((8..<100).map { "key \($0)" }).allSatisfy { $0 == bytes("value") })
    try store.close()
    #expect(code { try store.get(["key 8"]) } == .closed)
  }
}
