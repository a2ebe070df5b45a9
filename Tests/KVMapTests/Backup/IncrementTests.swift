import Foundation
import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Backups of changes, and stores made of them.
@Suite(.timeLimit(.minutes(5))) struct IncrementTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private var clock: UInt64 { 1_800_000_000_000 }

  /// All entries, with versions and expiry.
  private func entries(_ store: Store) throws -> [[UInt8]: Store.Entry] {
    var found: [[UInt8]: Store.Entry] = [:]
    var cursor = store.makeCursor()
    while let entry = try cursor.next() { found[entry.key] = entry }
    return found
  }

  private func expectRestored(_ name: String, _ store: Store, _ increments: [any Store.Path]) throws {
    try Store.restore(scratch.path(name), from: scratch.path("base"), increments)
    #expect(try Store.verify(scratch.path(name)).isSound)
    let restored = try scratch.store(name)
    let (found, expected) = (try entries(restored), try entries(store))
    for key in Set(found.keys).union(expected.keys) where found[key] != expected[key] {
      Issue.record(
        "\(name), \(String(decoding: key, as: UTF8.self)): \(describe(found[key])), not \(describe(expected[key]))"
      )
    }
    #expect(try restored.count == store.count)
    try expectSound(restored)
    try restored.close()
  }

  private func describe(_ entry: Store.Entry?) -> String {
    entry.map { "version \($0.version), \($0.value.count) bytes, expires \($0.expiry)" } ?? "nothing"
  }

  // MARK: Whole chains

  /// Also where the first backup is a clone, and where one made of others is the first of the next ones.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func aChainIsEqualToTheStore(seed: UInt64) throws {
    let seed = testSeed("aChainIsEqualToTheStore") &+ seed
    let store = try scratch.store { $0.keptLog = 256 << 20 }
    var random = SeededGenerator(seed: seed)
    var number = 0
    func change(_ count: Int) throws {
      for _ in 0..<count {
        _ = try Operation(seed: seed, number: number, mix: Operation.Mix()).apply(to: store)
        if random.below(5) == 0 {
          try store.setExpiry(.at(millisecondsSince1970: 4_000_000_000_000 + UInt64(number)), forKey: "0")
        }
        number += 1
      }
    }
    try change(200)
    if random.below(2) == 0 { try store.compact() }
    var end = try store.backup(to: scratch.path("base"))
    #expect(try Store.backupSequence(of: scratch.path("base")) == end)
    #expect(try end == store.lastSequence)
    var increments: [any Store.Path] = []
    for round in 0..<6 {
      try change(random.below(150))
      if random.below(3) == 0 { try store.compact() }
      let path = scratch.path("changes \(round)")
      end = try store.backup(to: path, since: end)
      increments.append(path)
      #expect(try Store.backupSequence(of: path) == end)
      #expect(store.core.lastSequence(durable: true).number >= end)
      try expectRestored("restored \(round)", store, increments)
      #expect(try Store.backupSequence(of: scratch.path("restored \(round)")) == end)
    }
    // One that was restored takes the place of all before it.
    try change(30)
    let last = scratch.path("last")
    let numbers = try store.backup(to: last, since: end)
    try Store.restore(scratch.path("again"), from: scratch.path("restored 5"), [last])
    #expect(try entries(scratch.store("again") { $0.access = .readOnly }) == entries(store))
    #expect(try Store.backupSequence(of: scratch.path("again")) == numbers)
    // And it goes on as a store of its own, whose versions are higher than all that it took over.
    let again = try scratch.store("again")
    let highest = try entries(again).values.map(\.version).max() ?? 0
    try again.put("new", forKey: "new")
    #expect(try #require(try again.entry(forKey: "new")).version > highest)
  }

  /// A writer goes on all the time; the last increment is made when it has ended.
  @Test func othersWriteMeanwhile() throws {
    let store = try scratch.store { $0.keptLog = 1 << 30 }
    let isOver = Signal()
    let writer = Threads(1) { [scratch] in
      guard let other = try? scratch.store("store", { $0.keptLog = 1 << 30 }) else { return }
      var number = 0
      while !isOver.isGiven {
        let mix = Operation.Mix(keys: 40, largeEvery: 50)
        _ = try? Operation(seed: 5, number: number, mix: mix).apply(to: other)
        number += 1
      }
      try? other.close()
    }
    var end = try store.backup(to: scratch.path("base"))
    var increments: [any Store.Path] = []
    for round in 0..<30 {
      let path = scratch.path("changes \(round)")
      end = try store.backup(to: path, since: end)
      increments.append(path)
      // Each is a state of the store between two commits: verified while the other goes on.
      if round % 10 == 9 {
        try Store.restore(scratch.path("restored \(round)"), from: scratch.path("base"), increments)
      }
    }
    isOver.give()
    writer.join()
    increments.append(scratch.path("last"))
    try store.backup(to: scratch.path("last"), since: end)
    try expectRestored("restored", store, increments)
  }

  @Test func aReadOnlyHandleMakesOne() throws {
    let store = try scratch.store()
    try store.put("old", forKey: "key")
    let end = try store.backup(to: scratch.path("base"))
    try store.put("new", forKey: "key")
    try store.remove("key")
    try store.put("other", forKey: "other")
    try store.checkpoint()
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try reader.backup(to: scratch.path("changes"), since: end) == store.lastSequence)
    try reader.close()
    try expectRestored("restored", store, [scratch.path("changes")])
  }

  /// A key that has expired is not in the restored store; one that was put again is.
  @Test func expiryIsTakenOver() throws {
    let store = try scratch.store(at: clock)
    try store.put("1", forKey: "soon", expires: .at(millisecondsSince1970: clock + 1))
    let end = try store.backup(to: scratch.path("base"))
    try store.put("2", forKey: "soon", expires: .at(millisecondsSince1970: clock + 1_000_000))
    try store.put("3", forKey: "past", expires: .at(millisecondsSince1970: clock - 1))
    try store.backup(to: scratch.path("changes"), since: end)
    try Store.restore(scratch.path("restored"), from: scratch.path("base"), [scratch.path("changes")])
    let restored = try scratch.store("restored", at: clock)
    #expect(try restored.get("soon", as: String.self) == "2")
    #expect(try restored.entry(forKey: "soon")?.expiry == .at(millisecondsSince1970: clock + 1_000_000))
    #expect(try !restored.contains("past"))
  }

  // MARK: What does not belong together

  private func mismatch<R>(_ body: () throws -> R) -> Bool { code(body) == .backupMismatch }

  @Test func whatDoesNotBelongTogetherIsRefused() throws {
    let store = try scratch.store()
    try store.put("0", forKey: "key")
    let first = try store.backup(to: scratch.path("base"))
    try store.put("1", forKey: "key")
    let second = try store.backup(to: scratch.path("one"), since: first)
    try store.put("2", forKey: "key")
    let third = try store.backup(to: scratch.path("two"), since: second)
    let (base, new) = (scratch.path("base"), scratch.path("new"))
    let (one, two) = (scratch.path("one"), scratch.path("two"))
    // One is missing; the order is wrong.
    #expect(mismatch { try Store.restore(new, from: base, [two]) })
    #expect(mismatch { try Store.restore(new, from: base, [one, two, one]) })
    // Numbers that the store does not have.
    #expect(mismatch { try store.backup(to: new, since: third + 1) })
    #expect(mismatch { try store.backup(to: new, since: .max) })
    // One that overlaps is no harm.
    try store.backup(to: scratch.path("both"), since: first)
    try Store.restore(scratch.path("restored"), from: base, [one, scratch.path("both")])
    #expect(try scratch.store("restored").get("key", as: String.self) == "2")

    // Changes of another store.
    let other = try scratch.store("other")
    try other.put("0", forKey: "key")
    try other.backup(to: scratch.path("another"), since: 0)
    #expect(mismatch { try Store.restore(new, from: base, [scratch.path("another")]) })
    // The store itself is no backup of itself, and a backup that was changed is none any more.
    #expect(mismatch { try Store.restore(new, from: scratch.path(), [one]) })
    #expect(mismatch { try Store.backupSequence(of: scratch.path()) })
    let changed = try scratch.store("base")
    #expect(try changed.get("key", as: String.self) == "0")
    try changed.close()
    #expect(try Store.backupSequence(of: base) == first)
    try scratch.store("base").put("9", forKey: "key")
    #expect(mismatch { try Store.restore(new, from: base, [one]) })
    #expect(mismatch { try Store.backupSequence(of: base) })
    // What a scratch handle has changed is in no other store.
    let scratchHandle = try scratch.store { $0.access = .scratch }
    try scratchHandle.put("3", forKey: "key")
    #expect(mismatch { try scratchHandle.backup(to: new, since: third) })
    try scratchHandle.backup(to: scratch.path("of the scratch handle"))
    #expect(mismatch { try Store.backupSequence(of: scratch.path("of the scratch handle")) })
    #expect(try !scratch.names.contains("new"))
  }

  /// A process was killed: its last commits are in the page cache, and a power failure could still undo them.
  @Test func aPrivateViewTakesNothingForDurable() throws {
    let store = try scratch.store()
    try store.put("0", forKey: "checkpointed")
    try store.checkpoint()
    let end = try store.lastSequence
    try store.put("1", forKey: "not durable")
    let image = try contents(scratch.path())
    try image.write(to: URL(filePath: scratch.path("killed").string))
    let reader = try scratch.store("killed") { $0.access = .readOnly }
    #expect(try reader.contains("not durable"))
    var changes = reader.changes(since: 0, durable: true).makeReader()
    #expect(try changes.next().map { String(decoding: $0.key, as: UTF8.self) } == "checkpointed")
    #expect(try changes.next() == nil)
    #expect(try reader.backup(to: scratch.path("changes"), since: 0) == end)
  }

  @Test func theFileHasTheModeThatIsAskedFor() throws {
    let store = try scratch.store()
    for mode in [0o400, 0o440, 0o600] as [UInt16] {
      let path = scratch.path("\(mode)")
      try store.backup(to: path, since: 0, mode: mode)
      let permissions = try File(opening: path, access: .readOnly).status().permissions
      #expect(permissions & ~mode == 0 && permissions & 0o700 == mode & 0o700)
    }
  }

  /// A clone, which has the file of its source, is a store of its own all the same.
  @Test func aCloneGoesItsOwnWay() throws {
    let store = try scratch.store()
    for number in 0..<2_000 { try store.put("\(number)", forKey: "key \(number)") }
    try store.compact()
    let end = try store.backup(to: scratch.path("base"))
    let copy = try scratch.store("base")
    #expect(copy.core.superblock.identifier != store.core.superblock.identifier)
    try copy.put("its own", forKey: "key 1")
    try copy.backup(to: scratch.path("of the copy"), since: end)
    try store.put("the store's", forKey: "key 1")
    try store.backup(to: scratch.path("second"))
    #expect(
      mismatch {
        try Store.restore(scratch.path("new"), from: scratch.path("second"), [scratch.path("of the copy")])
      })
  }

  /// The log is reused: then a whole backup is needed, and nothing pretends to be one.
  @Test func changesThatAreGoneAreTold() throws {
    let store = try scratch.store()
    try store.put("0", forKey: "key")
    let end = try store.backup(to: scratch.path("base"))
    for number in 0..<2_000 {
      try store.put(patterned(4_000, UInt64(number)), forKey: "key \(number % 10)")
      if number % 100 == 0 { try store.checkpoint() }
    }
    try store.compact()
    #expect(mismatch { try store.backup(to: scratch.path("changes"), since: end) })
    #expect(try scratch.names.filter { $0.contains("changes") }.isEmpty)
  }

  @Test func nothingIsReplaced() throws {
    let store = try scratch.store()
    let end = try store.backup(to: scratch.path("base"))
    try store.put("1", forKey: "key")
    try store.backup(to: scratch.path("changes"), since: end)
    for name in ["base", "changes", "store", "no/such"] {
      #expect(code { try store.backup(to: scratch.path(name), since: end) } == .cannotCreate)
      #expect(
        code { try Store.restore(scratch.path(name), from: scratch.path("base"), [scratch.path("changes")]) }
          == .cannotCreate)
    }
    #expect(code { try Store(scratch.path("changes")) } == .notAStore)
    #expect(code { try Store.backupSequence(of: scratch.path("nothing")) } == .notFound)
    #expect(try scratch.names == ["base", "changes", "store"])
  }

  // MARK: Damage

  /// Each byte changed, and each end cut off: an error, and no store.
  @Test func anyByteMayBeWrong() throws {
    let store = try scratch.store()
    let end = try store.backup(to: scratch.path("base"))
    try store.put("value", forKey: "key", expires: .at(millisecondsSince1970: 4_000_000_000_000))
    try store.remove("key")
    try store.put(patterned(300, 1), forKey: "")
    try store.backup(to: scratch.path("changes"), since: end)
    let file = try File(opening: scratch.path("changes"), access: .readOnly)
    let whole = try file.read(count: 1 << 20, at: 0)
    #expect(whole.count < 700)
    let (bad, new) = (scratch.path("bad"), scratch.path("new"))
    func restore(_ bytes: [UInt8]) throws -> Store.Error.Code? {
      try? File.remove(bad)
      let file = try File(opening: bad, access: .readWrite, create: true)
      try unsafe file.write(bytes.span.bytes, at: 0)
      return code { try Store.restore(new, from: scratch.path("base"), [bad]) }
    }
    for place in whole.indices {
      for mask in [1, 0x80, 0xff] as [UInt8] {
        var bytes = whole
        bytes[place] ^= mask
        let expected: Store.Error.Code = place < 8 ? .notAStore : place < 16 ? .newerFormat : .damaged
        #expect(try restore(bytes) == expected, "byte \(place)")
      }
      #expect(try restore(Array(whole[..<place])) == (place < 16 ? .notAStore : .damaged), "\(place) bytes")
    }
    #expect(try restore(whole + [0]) == .damaged)
    #expect(try restore(whole + whole) == .damaged)
    // Two changes in the other order, each as it was.
    let (first, second, third) = (56, 56 + 32 + 3 + 5 + 8, 56 + 32 + 3 + 5 + 8 + 32 + 3 + 8)
    #expect(
      try restore(Array(whole[..<first]) + whole[second..<third] + whole[first..<second] + whole[third...])
        == .damaged)
    // A length that no memory could hold.
    var bytes = whole
    bytes.replaceSubrange(64..<72, with: [0, 0, 0, 0, 0, 0x40, 0, 0])
    #expect(try restore(bytes) == .damaged)
    #expect(try !scratch.names.contains("new"))
    #expect(try restore(whole) == nil)
  }
}
