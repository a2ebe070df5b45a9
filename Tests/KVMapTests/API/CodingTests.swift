import Foundation
import KVMapFoundation
import TestSupport
import Testing

@testable import KVMap

/// `Codable` values.
@Suite struct CodingTests {
  private struct Order: Codable, Equatable {
    struct Item: Codable, Equatable {
      var name: String
      var price: Double
    }
    var id: UUID
    var date: Date
    var items: [Item]
    var note: String?
    var data: Data
  }

  private static let order = Order(
    id: UUID(), date: Date(timeIntervalSinceReferenceDate: 700_000_000.1),
    items: [Order.Item(name: "a/b", price: 0.1), Order.Item(name: "ü", price: 2)], note: nil,
    data: Data([0, 255]))

  /// JSON in an array of bytes, by an encoder that is given as two closures.
  private static let own = Store.Coding(
    encode: { (value: any Encodable) -> [UInt8] in [UInt8](try JSONEncoder().encode(value)) },
    decode: { type, bytes in try JSONDecoder().decode(type, from: Data(bytes)) })

  private let store: Store

  init() throws { store = try Store.inMemory() }

  private func complaint<R>(_ body: () throws -> R) -> String? {
    do {
      _ = try body()
      return nil
    } catch {
      #expect((error as? Store.Error)?.code == .invalidValue)
      return (error as? Store.Error)?.message
    }
  }

  @Test(arguments: [Store.Coding.json, .propertyList, own])
  func valuesComeBack(coding: Store.Coding) throws {
    let order = Self.order
    try store.put(order, forKey: "order", as: coding)
    #expect(try store.get("order", as: Order.self, from: coding) == order)
    let inferred: Order? = try store.get("order", from: coding)
    #expect(inferred == order)
    #expect(try store.get("absent", as: Order.self, from: coding) == nil)
    #expect(try store.snapshot().get("order", as: Order.self, from: coding) == order)
    try store.transaction { transaction in
      var changed = order
      changed.note = "late"
      let isStored = try transaction.put(changed, forKey: "order", as: coding, if: .present)
      let inside = try transaction.get("order", as: Order.self, from: coding)
      let outside = try store.get("order", as: Order.self, from: coding)
      #expect(isStored && inside == changed && outside == order)
    }
    let entry = try #require(try store.entry(forKey: "order"))
    #expect(try entry.value(as: Order.self, from: coding).note == "late")
    #expect(try store.get("order", as: Order.self, from: coding)?.note == "late")
  }

  @Test func conditionsAndExpiryAreThoseOfAnyPut() throws {
    #expect(try !store.put([1.5], forKey: "k", as: .json, if: .present))
    #expect(try store.put([1.5], forKey: "k", as: .json, if: .absent, durability: .onCommit))
    #expect(
      try store.put(["a": 1], forKey: "k", as: .json, expires: .at(millisecondsSince1970: UInt64(1) << 50)))
    #expect(try store.entry(forKey: "k")?.expiry == .at(millisecondsSince1970: UInt64(1) << 50))
  }

  @Test func equalValuesGiveEqualJSON() throws {
    var expected: [UInt8]?
    for _ in 0..<20 {
      let pairs = (0..<50).shuffled().map { ("key \($0)", $0) }
      try store.put(Dictionary(uniqueKeysWithValues: pairs), forKey: "k", as: .json)
      let found = try store.get("k")
      if expected == nil { expected = found }
      #expect(found == expected)
    }
    try store.put(Order.Item(name: "a/b", price: 0.1), forKey: "k", as: .json)
    #expect(try store.get("k", as: String.self) == #"{"name":"a/b","price":0.1}"#)
  }

  /// A value without parts is JSON too, and the text of a number is what the store itself writes.
  @Test func singleValuesAreJSON() throws {
    try store.put(7, forKey: "k", as: .json)
    #expect(try store.get("k", as: Int.self) == 7)
    #expect(try store.increment("k") == 8)
    #expect(try store.get("k", as: Int.self, from: .json) == 8)
    try store.put("text", forKey: "k", as: .json)
    #expect(try store.get("k", as: String.self) == #""text""#)
  }

  // MARK: Values that cannot be decoded or encoded

  @Test(arguments: [
    ("{}", "'id' is missing"),
    (
      #"{"id":"E621E1F8-C36C-495A-93FC-0C247A3E6E5F","date":0,"items":[{"name":"a","price":1},{"name":"b"}]}"#,
      "'items[1].price' is missing"
    ),
    (#"{"id":"E621E1F8-C36C-495A-93FC-0C247A3E6E5F","date":"now"}"#, "at 'date': "),
    (#"{"id":"E621E1F8-C36C-495A-93FC-0C247A3E6E5F","date":0,"items":null}"#, "at 'items': "),
    (#"{"id":"x"}"#, "at 'id': "),
    ("{", "not valid JSON"),
    ("", "not valid JSON"),
  ])
  func theErrorSaysWhereTheValueIsWrong(text: String, reason: String) throws {
    try store.put(text, forKey: "order/\t1")
    let size = text.utf8.count
    let expected =
      #"store in memory: key 'order/\t1': the value (\#(size) bytes) cannot be decoded as Order: "#
    let snapshot = try store.snapshot()
    let reads: [() throws -> Order?] = [
      { try store.get("order/\t1", from: .json) },
      { try snapshot.get("order/\t1", from: .json) },
      { try store.transaction { try $0.get("order/\t1", from: .json) } },
      { try store.view("order/", of: Order.self).get("\t1") },
      { try store.view("order/", of: Order.self).first { _ in true }?.get().value },
    ]
    for read in reads {
      let message = try #require(complaint(read))
      #expect(message.hasPrefix(expected) && message.contains(reason), "\(message)")
    }
    let entry = try #require(try store.entry(forKey: "order/\t1"))
    let message = try #require(complaint { try entry.value(as: Order.self, from: .json) })
    #expect(message.hasPrefix(#"key 'order/\t1': the value"#) && message.contains(reason), "\(message)")
  }

  @Test func theErrorSaysWhatCannotBeEncoded() throws {
    let prices = ["a": [1.0, Double.nan]]
    let puts: [() throws -> Bool] = [
      { try store.put(prices, forKey: "k", as: .json) },
      { try store.transaction { try $0.put(prices, forKey: "k", as: .json) } },
      { try store.view("", of: [String: [Double]].self).put(prices, forKey: "k") },
      { try store.view("", of: [String: [Double]].self).update("k") { $0 = prices } == () },
    ]
    for put in puts {
      let message = try #require(complaint(put))
      #expect(
        message.hasPrefix(
          "store in memory: key 'k': a value of type Dictionary<String, Array<Double>> cannot be encoded: at 'a[1]': "
        ),
        "\(message)")
    }
    #expect(complaint { try store.put(1, forKey: "k", as: .propertyList) } != nil)
    #expect(try store.count == 0)
  }

  @Test func aDecoderThatMakesAnotherTypeIsAnError() throws {
    let wrong = Store.Coding(encode: { _ in [UInt8]() }, decode: { (_, _: [UInt8]) in "text" })
    try store.put(1, forKey: "k", as: wrong)
    #expect(
      complaint { try store.get("k", as: Int.self, from: wrong) }
        == "store in memory: key 'k': the decoder made a String where a Int was asked for")
    #expect(try store.get("k", as: String.self, from: wrong) == "text")
  }
}
