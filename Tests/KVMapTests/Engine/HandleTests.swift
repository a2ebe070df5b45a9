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

/// Several handles on one store in one process, and several threads on one handle.
@Suite(.timeLimit(.minutes(5)))
struct HandleTests {
  @Test func aHandleSeesAtOnceWhatAnotherWrote() throws {
    let scratch = try Scratch()
    let first = try scratch.store()
    let second = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    for number in 0..<300 {
      let writer = number % 2 == 0 ? first : second
      let value = patterned(number % 50 == 7 ? 100_000 : 20, UInt64(number))
      try writer.put(value, forKey: "key \(number % 40)")
      for handle in [first, second, reader] {
        #expect(try handle.get("key \(number % 40)") == value)
        #expect(try handle.count == min(number + 1, 40))
      }
    }
    try second.remove("key 3")
    #expect(try first.contains("key 3") == false)
    #expect(try reader.contains("key 3") == false)
    try expectSound(first)
    try expectSound(second)
  }

  @Test func nobodyElseSeesATransactionBeforeItsEnd() throws {
    let scratch = try Scratch()
    let writer = try scratch.store()
    let other = try scratch.store { $0.access = .readOnly }
    try writer.put("old", forKey: "a")
    try writer.transaction { transaction in
      try transaction.put("new", forKey: "a")
      try transaction.put("new", forKey: "b")
      let seen = (try other.get("a", as: String.self), try other.get("b", as: String.self))
      #expect(seen == ("old", nil))
      #expect(try other.everything().count == 1)
    }
    #expect(try other.get("a", as: String.self) == "new")
    #expect(try other.get("b", as: String.self) == "new")
  }

  @Test func anExclusiveHandleKeepsOthersFromWriting() throws {
    let scratch = try Scratch()
    let holder = try scratch.store { $0.exclusive = true }
    try holder.put("1", forKey: "key")
    let other = try scratch.store { $0.timeout = .milliseconds(30) }
    #expect(try other.get("key", as: String.self) == "1")
    do {
      try other.put("2", forKey: "key")
      Issue.record("two handles have the write lock")
    } catch {
      #expect(error.code == .busy)
      #expect(error.holder == getpid())
      #expect(error.message.contains(scratch.path().string))
    }
    #expect(
      code {
        try scratch.store {
          $0.exclusive = true; $0.timeout = .milliseconds(10)
        }
      } == .busy)
    #expect(try holder.get("key", as: String.self) == "1")
    try holder.close()
    #expect(try other.put("2", forKey: "key"))
    #expect(try other.get("key", as: String.self) == "2")
  }

  /// A reader that was opened while nobody wrote has a private view that never changes: the
  /// pages and large values that it shows are not reused.
  @Test func aViewStaysAsItWasWhileOthersReuseSpace() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    var expected: [[UInt8]: [UInt8]] = [:]
    do {
      let store = try scratch.store()
      for number in 0..<20 {
        expected[bytes("key \(number)")] = patterned(70_000 + number, UInt64(number))
      }
      for (key, value) in expected { try store.put(value, forKey: key) }
      try store.checkpoint()
      try store.close()
    }
    let view = try scratch.store { $0.access = .readOnly }
    let writer = try scratch.store()
    for round in 0..<6 {
      for key in expected.keys { try writer.put(patterned(80_000, UInt64(round)), forKey: key) }
      try writer.checkpoint()
      #expect(try view.everything() == expected, "round \(round)")
      #expect(view.core.verify().isSound)
    }
    try view.close()
    try expectSound(writer)
  }

  /// A process that has locked V may be about to trust the shared state, so nobody recovers.
  @Test func nobodyRecoversWhileAnotherHandleIsOpening() throws {
    let scratch = try Scratch()
    try scratch.store().close()
    let backing = try FileBacking(
      File(opening: scratch.path(), access: .readWrite),
      locks: File(opening: scratch.path(), access: .readWrite),
      isWritable: true)
    #expect(try backing.locks.tryLock(.valid, .shared))
    #expect(code { try scratch.store { $0.timeout = .zero } } == .busy)
    try backing.locks.unlock(.valid)
    try scratch.store().close()
  }

  /// An exclusive handle holds the write lock until it is closed, which may happen while a
  /// closure looks at a value.
  @Test func aValueStaysAsItWasWhenItsExclusiveHandleIsClosed() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    try store.put(patterned(5_000, 7), forKey: "key")
    for number in 0..<1_000 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
    func overwrite() throws {
      let other = try scratch.store { $0.checkpoints = .inline }
      try other.remove("key")
      for round in 0..<4 {
        for number in 0..<1_000 {
          try other.put(patterned(1_000, UInt64(number + round)), forKey: "key \(number)")
        }
        try other.compact()
      }
    }
    try store.withValue(forKey: "key") { value in
      try store.close()
      try overwrite()
      #expect(value.array == patterned(5_000, 7))
    }
    let again = try scratch.store { $0.exclusive = true }
    #expect(throws: Store.Error.self) {
      try again.forEach { key, value in
        let before = [key.array, value.array]
        try again.close()
        try overwrite()
        #expect([key.array, value.array] == before)
      }
    }
  }

  /// The file is longer than memory; all but its beginning is a hole.
  @Test func aFileLargerThanMemoryIsOpened() throws {
    let scratch = try Scratch()
    for kind in ["closed", "crashed"] {
      let store = try scratch.store(kind)
      try store.put("value", forKey: "key")
      if kind == "crashed" {
        try Image(of: scratch.path(kind)).lay(at: scratch.path("crashed 2"))
      }
      try store.close()
    }
    for name in ["closed", "crashed 2"] {
      try File(opening: scratch.path(name), access: .readWrite).setSize(512 << 30)
      for access in [Store.Access.readOnly, .scratch, .readWrite] {
        let store = try scratch.store(name) { $0.access = access }
        #expect(try store.get("key", as: String.self) == "value")
        try store.close()
      }
    }
  }

  @Test func forEachAndCursorsMeetEverythingThatStays() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<1_000 { try store.put("stays", forKey: "stays \(number)") }
    var cursor = store.makeCursor()
    var byCursor: Set<[UInt8]> = []
    var byCall: Set<[UInt8]> = []
    var number = 0
    // Meanwhile buckets split, values come and go, and space is reused.
    try store.forEach { key, _ in
      #expect(byCall.insert(key.array).inserted)
      if let entry = try cursor.next() { #expect(byCursor.insert(entry.key).inserted) }
      try store.put(patterned(number % 100 == 0 ? 70_000 : 10, UInt64(number)), forKey: "new \(number)")
      if number % 3 == 0 { try store.remove("new \(number / 2)") }
      if number % 200 == 0 { try store.checkpoint() }
      number += 1
    }
    while let entry = try cursor.next() { #expect(byCursor.insert(entry.key).inserted) }
    for number in 0..<1_000 {
      #expect(byCall.contains(bytes("stays \(number)")))
      #expect(byCursor.contains(bytes("stays \(number)")))
    }
    try expectSound(store)
  }

  /// Another version of the program has the store open, whose words mean something else.
  @Test func anotherVersionOfTheSharedStateIsRefused() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    let shared = store.core.memory.shared
    shared[.layout] += 1
    let refusal = #expect(throws: Store.Error.self) { try scratch.store() }
    #expect(refusal?.code == .busy)
    #expect(refusal?.holder == getpid())
    // A reader needs no shared state.
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try reader.get("key", as: String.self) == "value")
    try reader.close()
    shared[.layout] -= 1
    #expect(try scratch.store().get("key", as: String.self) == "value")
  }
}
