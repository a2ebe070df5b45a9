import Foundation
import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An open store loses its file or its disk: calls throw errors, end in no signal, and call no
/// key absent.
@Suite(.timeLimit(.minutes(5)))
struct LostFileTests {
  private func cutShort(_ path: FilePath, to length: Int64) throws {
    let file = try FileDescriptor.open(path, .readWrite)
    try file.resize(to: length)
    try file.close()
  }

  @Test(arguments: [Store.Access.readWrite, .readOnly])
  func aFileThatIsCutShort(access: Store.Access) throws {
    let scratch = try Scratch()
    let writer = try scratch.store()
    for number in 0..<2_000 { try writer.put("value \(number)", forKey: "key \(number)") }
    try writer.put(patterned(100_000, 1), forKey: "large")
    let store = access == .readWrite ? writer : try scratch.store { $0.access = access }
    #expect(try store.get("key 7", as: String.self) == "value 7")
    try cutShort(scratch.path(), to: 196_608)
    for number in 0..<50 { #expect(code { try store.get("key \(number)") } == .lost) }
    #expect(code { try store.contains("no such key") } == .lost)
    #expect(code { try store.withValue(forKey: "large") { $0.byteCount } } == .lost)
    #expect(code { try store.everything() } == .lost)
    if access == .readWrite {
      #expect(code { try store.put("x", forKey: "key 1") } == .lost)
      #expect(code { try store.transaction { try $0.put("x", forKey: "key 1") } } == .lost)
    }
    try? store.close()
    #expect(code { try scratch.store { $0.access = .readOnly } } == .damaged)
  }

  /// A lost bucket reads as one without slots.
  @Test func aTransactionDoesNotFindALostKeyAbsent() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let keys = (0..<5_000).map { "key \($0)" }
    for key in keys { try store.put("value", forKey: key) }
    try store.checkpoint()
    let memory = store.core.memory
    func bucket(_ key: String) throws -> Int {
      let hash = unsafe KeyHash(bytes(key).span.bytes, seed: memory.seed)
      return try IndexReader(memory: memory).bucket(hash, workingTag: memory.shared[.epoch].tag).page.offset
    }
    // The directory pages and other buckets stay.
    let last = try #require(try keys.map(bucket).max())
    let key = try #require(try keys.first { try bucket($0) == last })
    #expect(last > memory.shared[.root].page.offset)
    var inside: Store.Error.Code?
    let outside = code {
      try store.transaction { transaction in
        _ = try transaction.get(key)
        try cutShort(scratch.path(), to: Int64(last))
        inside = code { _ = try transaction.get(key) }
      }
    }
    #expect(inside == .lost && outside == .lost)
  }

  @Test func aWriteIntoALostPageFails() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put(patterned(100_000, 1), forKey: "large")
    var memory: StoreMemory { store.core.memory }
    let end = Int(memory.shared[.highWater].number) * Layout.unitBytes
    #expect(
      code {
        try store.core.withWriteLock { _ throws(Store.Error) in
          try? cutShort(scratch.path(), to: Int64(end - Layout.unitBytes))
          memory.bytes.store8(1, end - 1)
        }
      } == .lost)
  }

  /// Pages put in place of lost ones are written nowhere, even if the file is long enough again.
  @Test func aSyncOfWhatWasLostFails() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let length = try store.statistics().fileBytes
    try cutShort(scratch.path(), to: 4096)
    #expect(code { try store.get("key") } == .lost)
    try cutShort(scratch.path(), to: Int64(length))
    #expect(code { try store.core.backing.sync(offset: 0, count: 4096) } == .lost)
  }

  /// The directory is there, one bucket is lost: its zeros are no empty slots.
  @Test func aBucketThatIsCutOffIsNotEmpty() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let keys = (0..<3_000).map { bytes("key \($0)") }
    for key in keys { try store.put("value", forKey: key) }
    let pages = try keys.map { try #require(try store.match($0)).slotOffset / Layout.pageBytes }
    let last = try #require(pages.max())
    let root = store.core.memory.shared[.root].page
    try #require(root.number < UInt64(last))
    try cutShort(scratch.path(), to: Int64(last * Layout.pageBytes))
    for (key, page) in zip(keys, pages) where page == last {
      #expect(code { try store.get(key) } == .lost)
      #expect(code { try store.contains(key) } == .lost)
    }
  }

  @Test func aFileThatIsCutShortWhileAValueIsLookedAt() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put(patterned(200_000, 1), forKey: "large")
    #expect(
      code {
        try store.withValue(forKey: "large") { span in
          try cutShort(scratch.path(), to: 4096)
          return span.array.count
        }
      } == .lost)
  }

  @Test func aFileThatIsCutShortWhileItIsGoneThrough() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put(patterned(200_000, 1), forKey: "large")
    var seen = 0
    let found = code {
      try store.forEach { _, value in
        try cutShort(scratch.path(), to: 4096)
        seen += value.array.count
      }
    }
    #expect(found == .lost)
    #expect(seen == 200_000)
  }

  /// A page that this handle has not read before reads as zeros. That is no damage.
  @Test func aPageThatIsCutOffIsNotCalledDamaged() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    try store.checkpoint()
    let reader = try scratch.store { $0.access = .readOnly }
    try cutShort(scratch.path(), to: Int64(Layout.firstFreeUnit) * Int64(Layout.unitBytes))
    #expect(code { try reader.get("key") } == .lost)
  }

  /// The last attempt of a read has a pin.
  @Test func aReadUnderAPinIsNotBelievedEither() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    let end = reader.core.memory.mappedBytes
    var looks = 0
    let found = code {
      try reader.core.read { memory throws(Store.Error) -> UInt64 in
        looks += 1
        if looks < 4 { try store.checkpoint() } else { try? cutShort(scratch.path(), to: 4096) }
        return memory.bytes.load64(end - 8)
      }
    }
    #expect(looks == 4)
    #expect(found == .lost)
  }

  /// What was stored into pages that were cut off may be lost. No process writes before a
  /// recovery.
  @Test func aLossMakesEveryHandleRecover() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let shared = store.core.memory.shared
    let page = shared[.tail].offset / UInt64(Layout.pageBytes) * UInt64(Layout.pageBytes)
    try cutShort(scratch.path(), to: Int64(page))
    #expect(code { try store.put("other", forKey: "key") } == .lost)
    #expect(shared[.syncFailed] != 0)
  }
}
