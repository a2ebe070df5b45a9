import Foundation
import TestSupport
import Testing

@testable import KVMap
import MappedMemory

/// How much disk space a store takes.
@Suite(.timeLimit(.minutes(5)))
struct SizeTests {
  private func allocated(_ store: Store) throws -> Int { try store.statistics().allocatedBytes }

  private func filled(
    _ scratch: Scratch, _ count: Int, valueBytes: (Int) -> Int
  ) throws -> Store {
    let store = try scratch.store()
    for number in 0..<count {
      try store.put(patterned(valueBytes(number), UInt64(number)), forKey: "key \(number)")
    }
    try store.checkpoint()
    return store
  }

  @Test func aStoreOfOneKeyIsSmall() throws {
    let scratch = try Scratch()
    try scratch.store().put("value", forKey: "key")
    let store = try scratch.store()
    #expect(try allocated(store) <= 160 << 10)
    for _ in 0..<10 {
      try store.put("value", forKey: "key")
      try store.checkpoint()
    }
    #expect(try allocated(store) <= 160 << 10)
  }

  enum Values: CaseIterable {
    case small, middling, large, mixed

    func bytes(_ number: Int) -> Int {
      switch self {
      case .small: 100
      case .middling: 5_000
      case .large: 70_000
      case .mixed: [1, 100, 10_000, 66_000][number % 4]
      }
    }
  }

  @Test(arguments: [1, 2, 10, 100, 400, 1_000, 3_000, 20_000], Values.allCases)
  func compactionAndBackupMakeNoStoreLarger(count: Int, values: Values) throws {
    let count = values == .small ? count : min(count, 1_000)
    let scratch = try Scratch()
    let store = try filled(scratch, count, valueBytes: values.bytes)
    let what: Comment = "\(count) \(values)"
    let before = try allocated(store)
    try store.backup(to: scratch.path("first"))
    let first = try Store(scratch.path("first"))
    #expect(try allocated(first) <= before, what)
    try store.compact()
    let compacted = try allocated(store)
    #expect(compacted <= before, what)
    for _ in 0..<3 {
      try store.compact()
      let again = try allocated(store)
      #expect(again <= compacted, what)
    }
    try store.backup(to: scratch.path("second"))
    let second = try Store(scratch.path("second"))
    let backedUp = try allocated(second)
    #expect(backedUp <= compacted, what)
    try second.compact()
    #expect(try allocated(second) <= backedUp, what)
    for copy in [first, second] {
      try expectSound(copy, what)
      #expect(try copy.everything() == store.everything(), what)
    }
  }

  /// The same for stores with a long history of writes.
  @Test(arguments: 0..<12)
  func compactionAndBackupMakeNoOldStoreLarger(seed: Int) throws {
    let scratch = try Scratch()
    var random = SeededGenerator(seed: UInt64(seed))
    let keys = [50, 500, 5_000][seed % 3]
    let store = try scratch.store()
    for round in 0..<20_000 {
      let key = "key \(Int.random(in: 0..<keys, using: &random))"
      if Int.random(in: 0..<4, using: &random) == 0 {
        try store.remove(key)
      } else {
        try store.put(
          patterned(Int.random(in: 0..<[100, 2_000][seed % 2], using: &random), UInt64(round)), forKey: key)
      }
      if Int.random(in: 0..<5_000, using: &random) == 0 {
        let before = try allocated(store)
        try store.compact()
        #expect(try allocated(store) <= before)
        let path = scratch.path("copy \(round)")
        try store.backup(to: path)
        #expect(try File(opening: path, access: .readOnly).status().allocatedBytes <= allocated(store))
        let copy = try Store(path)
        #expect(try copy.everything() == store.everything())
      }
    }
  }

  /// A backup keeps the versions of its values, and new versions are higher.
  @Test func aBackupKeepsVersionsAndExpiry() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("one", forKey: "a")
    try store.put("two", forKey: "b", expires: .at(millisecondsSince1970: 1 << 50))
    try store.put(patterned(100_000, 7), forKey: "c")
    try store.backup(to: scratch.path("copy"))
    let copy = try Store(scratch.path("copy"))
    for key in ["a", "b", "c"] {
      let (here, there) = try (store.entry(forKey: key), copy.entry(forKey: key))
      #expect(here == there && here != nil)
    }
    let last = try #require(try copy.entry(forKey: "c")).version
    try copy.put("three", forKey: "a")
    #expect(try #require(try copy.entry(forKey: "a")).version > last)
    try expectSound(copy)
  }
}
