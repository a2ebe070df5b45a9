import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A small store with everything that a store can hold, and all values that its keys ever had.
struct SalvageSample {
  var bytes: Data
  /// What the store holds.
  var contents: [[UInt8]: Store.Entry] = [:]
  /// All values each key ever had.
  var values: [[UInt8]: Set<[UInt8]>] = [:]
  /// Keys whose last change was a removal.
  var removed: Set<[UInt8]> = []
  /// Where the newest record of each key is, and its large value.
  var places: [[UInt8]: [Range<Int>]] = [:]
  /// Where the last record begins, if only the log shows it and not the checkpoint's index.
  var last: Int?
  var block: Superblock
  var indexUnits: [Int] = []

  /// Has records, overwritten and removed ones, large values, transactions, expiring records and
  /// three segments. The last `recent` changes are after the checkpoint.
  init(recent: Int, isSynced: Bool = true) throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.durability = isSynced ? .onCommit : .none }
    var values: [[UInt8]: Set<[UInt8]>] = [:]
    var removed: Set<[UInt8]> = []
    func note(_ value: [UInt8], _ key: [UInt8]) {
      values[key, default: []].insert(value)
      removed.remove(key)
    }
    func put(_ value: [UInt8], _ key: String, _ expires: Store.Expiry = .never) throws {
      try store.put(value, forKey: key, expires: expires)
      note(value, TestSupport.bytes(key))
    }
    func remove(_ key: String) throws {
      try store.remove(key)
      removed.insert(TestSupport.bytes(key))
    }
    func change(_ number: Int) throws {
      try put(patterned(50 + number % 60, UInt64(number)), "key \(number % 300)")
      if number % 5 == 0 { try put(patterned(30, UInt64(number)), "short \(number % 40)") }
      if number % 7 == 0 { try remove("key \((number * 3) % 300)") }
      if number % 40 == 3 { try put(patterned(60_000, UInt64(number)), "long \(number % 80)") }
      if number % 150 == 4 { try put(patterned(70_000 + number, UInt64(number)), "large \(number % 300)") }
      if number % 50 == 5 {
        try put(patterned(20, UInt64(number)), "expiring \(number)", .at(millisecondsSince1970: 1 << 50))
      }
      if number % 30 == 6 {
        try store.transaction { transaction in
          for part in 0..<4 {
            let value = patterned(40, UInt64(number * 10 + part))
            try transaction.put(value, forKey: "part \(part)")
            note(value, TestSupport.bytes("part \(part)"))
          }
        }
      }
      if number % 90 == 7 {
        try? store.transaction { transaction in
          try transaction.put("given up", forKey: "key 1")
          try transaction.put("given up", forKey: "given up \(number)")
          throw Store.Error(.system, "given up")
        }
      }
    }
    for number in 0..<900 { try change(number) }
    try store.checkpoint()
    for number in 900..<900 + recent { try change(number) }
    var cursor = store.makeCursor()
    while let entry = try cursor.next() {
      contents[entry.key] = entry
      let span = unsafe entry.key.span.bytes
      let hash = KeyHash(span, seed: store.core.memory.seed)
      let match = try #require(try IndexReader(memory: store.core.memory).find(hash, span))
      let start = Int(match.position.offset)
      places[entry.key] = [start..<start + match.header.contentBytes]
      if match.header.flags.contains(.external) {
        places[entry.key]?.append(try match.record(store.core.memory).valueRange())
      }
    }
    bytes = try KVMapTests.contents(scratch.path())
    block = try SuperblockPair(store.core.memory.bytes).current().block
    if recent > 0, let newest = contents.values.max(by: { $0.version < $1.version }) {
      last = places[newest.key]?.first?.lowerBound
    }
    let space = SpaceTable(working: WorkingMemory(store.core.source), backing: store.core.backing)
    for unit in 3..<bytes.count / Layout.unitBytes
    where try space.entry(Unit(number: UInt64(unit)))?.kind == .index { indexUnits.append(unit) }
    self.values = values
    self.removed = removed
    try store.close()
    if recent == 0 { bytes = try KVMapTests.contents(scratch.path()) }
  }

  /// Checks that removed keys have no value, and that each value is one that its key had.
  func check(
    _ salvaged: FilePath, _ report: Store.SalvageReport, damaged: Range<Int>, _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let store = try Store(salvaged)
    defer { try? store.close() }
    var found: [[UInt8]: Store.Entry] = [:]
    var cursor = store.makeCursor()
    while let entry = try cursor.next() { found[entry.key] = entry }
    let listed = Set(report.losses.compactMap(\.key))
    var wrong: [String] = []
    func expect(_ isRight: Bool, _ what: String, _ key: [UInt8]) {
      if !isRight { wrong.append("\(what): \(String(decoding: key, as: UTF8.self))") }
    }
    // Nobody can know that the log's last records are gone without a trace.
    let isEndWiped = last.map { damaged.contains($0) } ?? false
    let hasUnknown = isEndWiped || report.losses.contains { $0.kind == .unknownKeys || $0.key == nil }
    for (key, entry) in found {
      expect(values[key]?.contains(entry.value) ?? false, "a value that its key never had", key)
      if contents[key] != entry {
        expect(hasUnknown || listed.contains(key), "an older value, unlisted", key)
      }
    }
    // A commit that was cut in two is left out as a whole.
    let mayLack = { (key: [UInt8]) in damaged.upperBound == .max && key.starts(with: Array("part".utf8)) }
    for (key, entry) in contents {
      if found[key] == nil { expect(hasUnknown || listed.contains(key), "missing, unlisted", key) }
      let isIntact = places[key]?.allSatisfy { !$0.overlaps(damaged) } ?? false
      if isIntact, !mayLack(key) { expect(found[key] == entry, "not salvaged though it can be read", key) }
    }
    #expect(
      wrong.isEmpty,
      "\(comment): \(wrong.count) keys, for example \(wrong.prefix(3)); listed: \(report.losses.prefix(3))",
      sourceLocation: sourceLocation)
    #expect(report.recordCount == found.count, "\(comment)", sourceLocation: sourceLocation)
    #expect(report.isComplete == report.losses.isEmpty)
    if report.isComplete, !isEndWiped {
      #expect(found == contents, "\(comment)", sourceLocation: sourceLocation)
    }
  }
}
