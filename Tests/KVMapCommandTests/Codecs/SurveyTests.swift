import Testing

@testable import KVMap
@testable import KVMapCommand

@Suite("The parts of a report")
struct SurveyTests {
  @Test("the map and the records account for what the statistics do")
  func figures() throws {
    let store = try Store.inMemory()
    for number in 0..<5_000 {
      try store.put([UInt8](repeating: 7, count: number % 300), forKey: "key \(number)")
    }
    for number in stride(from: 0, to: 5_000, by: 3) { try store.remove("key \(number)") }
    try store.put([UInt8](repeating: 7, count: 1 << 20), forKey: "large")
    try store.put("soon", forKey: "expires", expires: .after(.seconds(600)))
    let statistics = try store.statistics()
    let survey = try Survey(of: store, now: 1_700_000_000_000) { _, _ in }
    #expect(survey.records == statistics.recordCount)
    #expect(survey.storedBytes == statistics.liveBytes)
    #expect(survey.damaged == 0)
    #expect(survey.map.total.reduce(0, +) == statistics.usedBytes)
    #expect(survey.map.cells.reduce(0) { $0 + $1.reduce(0, +) } == statistics.usedBytes)
    #expect(survey.map.total[FileMap.Use.fixed.rawValue] == statistics.fixedBytes)
    #expect(survey.map.total[FileMap.Use.index.rawValue] == statistics.indexBytes)
    let free = survey.map.total[FileMap.Use.free.rawValue] + survey.map.total[FileMap.Use.hole.rawValue]
    #expect(free == statistics.freeBytes)
    #expect(survey.keySizes.reduce(0, +) == survey.records)
    #expect(survey.valueBytesBySize.reduce(0, +) == survey.valueBytes)
    #expect(survey.largest.items.first?.key == Array("large".utf8))
    #expect(survey.expiries.classes.reduce(0) { $0 + $1.records } == survey.records)
    #expect(survey.prefixes.root.records == survey.records)
    #expect(survey.prefixes.root.bytes == survey.storedBytes)
  }

  @Test("prefixes are counted exactly, though only some keys choose them")
  func prefixes() {
    var keys: [[UInt8]] = []
    for number in 0..<3_000 {
      keys.append(Array("user/\(number % 30)/\(number)".utf8))
      if number % 3 == 0 { keys.append(Array("ünïcode\(number)".utf8)) }
      if number % 1_000 == 0 { keys.append(Array("rare:\(number)".utf8)) }
    }
    var tree = PrefixTree(stride(from: 0, to: keys.count, by: 7).map { keys[$0] })
    for key in keys {
      unsafe key.withUnsafeBytes { unsafe tree.count(RawSpan(_unsafeBytes: $0), bytes: key.count) }
    }
    #expect(tree.root.records == keys.count)
    #expect(!tree.root.children.isEmpty)
    func check(_ node: PrefixTree.Node) {
      let with = keys.filter { $0.starts(with: node.prefix) }
      #expect(node.records == with.count)
      #expect(node.bytes == with.reduce(0) { $0 + $1.count })
      #expect(node.others.records >= 0)
      for child in node.children {
        #expect(child.prefix.starts(with: node.prefix))
        check(child)
      }
      for (one, other) in zip(node.children, node.children.dropFirst()) {
        #expect(!other.prefix.starts(with: one.prefix))
      }
    }
    check(tree.root)
    #expect(tree.root.children.contains { $0.prefix == Array("user/".utf8) })
  }

  @Test("areas of a treemap are in proportion, within the whole, and do not overlap")
  func treemap() {
    let whole = Treemap.Area(x: 10, y: 20, width: 300, height: 120)
    let numbers = [5, 100, 0, 40, 1, 1, 33, 12, 12]
    let areas = Treemap(numbers, in: whole).areas
    let scale = 300.0 * 120 / Double(numbers.reduce(0, +))
    for (number, area) in zip(numbers, areas) {
      #expect(abs(area.width * area.height - Double(number) * scale) < 0.01)
      if number == 0 { continue }
      #expect(area.x >= 9.999 && area.y >= 19.999)
      #expect(area.x + area.width <= 310.001 && area.y + area.height <= 140.001)
    }
    for (index, one) in areas.enumerated() where one.width > 0 {
      for other in areas[(index + 1)...] where other.width > 0 {
        let apart =
          one.x + one.width <= other.x + 0.001 || other.x + other.width <= one.x + 0.001
          || one.y + one.height <= other.y + 0.001 || other.y + other.height <= one.y + 0.001
        #expect(apart)
      }
    }
    #expect(Treemap([], in: whole).areas.isEmpty)
    #expect(Treemap([0, 0], in: whole).areas.allSatisfy { $0.width == 0 })
  }

  @Test("times for people")
  func times() {
    #expect(Quantity.time(nanoseconds: 0) == "0 ns")
    #expect(Quantity.time(nanoseconds: 12.4) == "12 ns")
    #expect(Quantity.time(nanoseconds: 999.6) == "1.0 µs")
    #expect(Quantity.time(nanoseconds: 1_740) == "1.7 µs")
    #expect(Quantity.time(nanoseconds: 312_400) == "312 µs")
    #expect(Quantity.time(nanoseconds: 12e9) == "12 s")
  }
}
