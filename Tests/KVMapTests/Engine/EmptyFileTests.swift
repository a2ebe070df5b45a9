import MappedMemory
import TestSupport
import Testing

@testable import KVMap

/// Stores that are made in an empty file.
struct EmptyFileTests {
  /// Another process was faster and has the store open. This one waited for it until its timeout.
  @Test func nobodyWaitsForAnEmptyFileThatBecameAStore() throws {
    let scratch = try Scratch()
    let path = scratch.path()
    let empty = try File(opening: path, access: .readWrite, create: true)
    let new = try NewStoreFile(inMemoryFor: path, Store.Options(timeout: .seconds(0)))
    _ = try Opening.create(in: new.map(), clock: .system)
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    #expect(try new.put(into: empty, isOwn: false) == nil)
    try expectSound(store)
  }

  /// The same when the other process has closed the store: its contents stay.
  @Test func anEmptyFileThatBecameAStoreIsNotWrittenOver() throws {
    let scratch = try Scratch()
    let path = scratch.path()
    let empty = try File(opening: path, access: .readWrite, create: true)
    let new = try NewStoreFile(inMemoryFor: path, Store.Options())
    _ = try Opening.create(in: new.map(), clock: .system)
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    try store.close()
    #expect(try new.put(into: empty, isOwn: false) == nil)
    #expect(try scratch.store().get("key", as: String.self) == "value")
  }
}
