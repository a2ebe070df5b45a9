import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// Files of earlier versions, which every later one has to read.
@Suite("Golden stores")
struct GoldenStoreTests {
  private func restore(_ golden: GoldenStore, in scratch: Scratch) throws -> FilePath {
    let path = scratch.path(golden.name)
    try SparseImage(encoded: try contents(golden.image)).restore(to: path)
    return path
  }

  @Test(
    "Reading finds everything and changes nothing", arguments: GoldenStore.all,
    [Store.Access.readOnly, .scratch])
  func reading(_ golden: GoldenStore, _ access: Store.Access) throws {
    let scratch = try Scratch()
    let path = try restore(golden, in: scratch)
    let before = try data(path)
    let store = try Store(path, options: Store.Options(access: access))
    try check(store, golden)
    try store.close()
    #expect(try Store.verify(path).isSound)
    #expect(try data(path) == before)
  }

  @Test("Writing goes on where the writer ended", arguments: GoldenStore.all)
  func writing(_ golden: GoldenStore) throws {
    let scratch = try Scratch()
    let path = try restore(golden, in: scratch)
    var right = golden.contents()
    var store = try Store(path)
    try check(store, golden)
    // A program that knows only the older version of the format must not take the log that is
    // written from now on for one of that version.
    for superblock in [0, 65_536] { #expect(try data(path)[superblock + 8] == 2) }
    for (key, value) in UnicodeNames.pairs[30_000..<30_200] {
      try store.put(value, forKey: key)
      right[key] = value
    }
    for key in right.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }).prefix(20) {
      try #require(try store.remove(key))
      right[key] = nil
    }
    #expect(try store.verify().isSound)
    try store.close()
    store = try Store(path)
    for (key, value) in right { try #require(try store.get(key) == value, "\(show(key))") }
    #expect(Set(try cursorContents(store).keys) == Set(right.keys))
    #expect(try store.verify().isSound)
    try store.close()
  }

  private func check(_ store: Store, _ golden: GoldenStore) throws {
    let right = golden.contents()
    for (key, value) in right { try #require(try store.get(key) == value, "\(show(key))") }
    #expect(try cursorContents(store) == right)
    #expect(try store.get("taken back") == nil)
    #expect(try store.get("expired") == nil)
    #expect(try store.get("filler") == nil)
  }

  private func cursorContents(_ store: Store) throws -> [[UInt8]: [UInt8]] {
    var records: [[UInt8]: [UInt8]] = [:]
    var cursor = store.makeCursor()
    while let entry = try cursor.next() {
      try #require(
        records.updateValue(entry.value, forKey: entry.key) == nil, "\(show(entry.key)) comes twice")
    }
    return records
  }

  @Test("An image restores the file that it was made of", arguments: GoldenStore.all)
  func images(_ golden: GoldenStore) throws {
    let scratch = try Scratch()
    let image = try SparseImage(encoded: try contents(golden.image))
    let path = try restore(golden, in: scratch)
    #expect(SparseImage(of: try contents(path)) == image)
    #expect(try data(path).count == Int(image.length))
  }
}
