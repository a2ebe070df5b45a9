import Synchronization
import TestSupport
import Testing

@testable import KVMap

/// Going through a store and a snapshot as sequences, in tasks, and with several cursors.
@Suite struct EntriesTests {
  private let scratch: Scratch
  private let store: Store
  private static let count = 2_000

  init() throws {
    scratch = try Scratch()
    store = try scratch.store()
    try store.put(contentsOf: (0..<Self.count).map { ("key \($0)", "\($0)") })
    try store.put("past", forKey: "expired", expires: .at(millisecondsSince1970: 1))
  }

  private static let all = Dictionary(uniqueKeysWithValues: (0..<count).map { ("key \($0)", "\($0)") })

  private func found(_ entries: some Sequence<Result<Store.Entry, Store.Error>>) throws -> [String: String] {
    var found: [String: String] = [:]
    for entry in entries {
      let entry = try entry.get()
      let previous = try found.updateValue(entry.value(as: String.self), forKey: entry.key(as: String.self))
      #expect(previous == nil, "an entry was met twice")
    }
    return found
  }

  @Test func allAreMetOnce() throws {
    #expect(try found(store) == Self.all)
    #expect(try found(store.entries()) == Self.all)
    #expect(Array(store).count == Self.count)
    let keys = try store.keys.map { try String(decoding: $0.get(), as: UTF8.self) }
    #expect(Set(keys) == Set(Self.all.keys) && keys.count == Self.count)
    let values = try store.values.map { try String(decoding: $0.get(), as: UTF8.self) }
    #expect(Set(values) == Set(Self.all.values) && values.count == Self.count)
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(try found(reader) == Self.all)
    #expect(try found(Store.inMemory()) == [:])
  }

  @Test func aPrefixMeetsItsKeysAlone() throws {
    let wanted = Self.all.filter { $0.key.hasPrefix("key 1") }
    let snapshot = try store.snapshot()
    #expect(try found(store.entries(withPrefix: "key 1")) == wanted)
    #expect(try found(snapshot.entries(withPrefix: [UInt8]("key 1".utf8))) == wanted)
    #expect(Array(store.entries(withPrefix: "key 1").keys).count == wanted.count)
    #expect(Array(store.entries(withPrefix: "key 1").values).count == wanted.count)
    #expect(try found(store.entries(withPrefix: "key 1234")) == ["key 1234": "1234"])
    #expect(try found(store.entries(withPrefix: "key 12345")) == [:])
    #expect(try found(store.entries(withPrefix: "")) == Self.all)
  }

  @Test func aSnapshotShowsItsMoment() throws {
    let snapshot = try store.snapshot()
    for number in 0..<Self.count where number % 2 == 0 { try store.remove("key \(number)") }
    try store.put("new", forKey: "new")
    #expect(try found(snapshot) == Self.all)
    #expect(try found(snapshot.entries()) == Self.all)
    #expect(Array(snapshot.keys).count == Self.count && Array(snapshot.values).count == Self.count)
    #expect(try found(store).count == Self.count / 2 + 1)
    snapshot.end()
    #expect(code { try found(snapshot) } == .closed)
  }

  /// Nothing is pinned between two steps, so what the loop has passed can be overwritten again and again.
  @Test func aLoopOverTheStoreSeesChangesAndHoldsNoSpace() throws {
    var met: [String: String] = [:]
    for entry in store {
      let entry = try entry.get()
      met[try entry.key(as: String.self)] = try entry.value(as: String.self)
      if met.count == 1 {
        for number in 0..<Self.count { try store.put("new", forKey: "key \(number)") }
        #expect(store.core.pins.lowestAnnounced == nil)
      }
    }
    #expect(met.count == Self.count && met.values.filter { $0 != "new" }.count == 1)
  }

  // MARK: Errors

  @Test func damageIsAnElementAndTheLoopGoesOn() throws {
    let place = try #require(try store.match(bytes("key 7")))
    store.core.memory.bytes.store8(0, Int(place.position.offset) + place.header.valueOffset)
    var failures = 0
    var met = 0
    for entry in store {
      switch entry {
      case .success: met += 1
      case .failure(let error):
        #expect(error.code == .damaged)
        failures += 1
      }
    }
    #expect(met == Self.count - 1 && failures == 1)
    #expect(code { try found(store) } == .damaged)
    #expect(code { try store.removeAll() } == .damaged)
  }

  /// A loop that leaves out errors must end all the same.
  @Test func aClosedStoreEndsTheLoop() throws {
    let entries = store.entries()
    try store.close()
    #expect(entries.map { try? $0.get() }.count == 1)
    #expect(Array(entries.keys).count == 1 && Array(entries.values).count == 1)
    #expect(code { try found(entries) } == .closed)
  }

  // MARK: In tasks

  @Test func tasksMeetAllEntries() async throws {
    var found: [String: String] = [:]
    for try await entry in store.entries().async {
      found[try entry.key(as: String.self)] = try entry.value(as: String.self)
    }
    #expect(found == Self.all)
    let count = try await store.entries(withPrefix: "key 1").async.reduce(0) { count, _ in count + 1 }
    #expect(count == Self.all.keys.filter { $0.hasPrefix("key 1") }.count)
  }

  @MainActor @Test func anActorGoesThroughToo() async throws {
    var count = 0
    for try await _ in store.entries().async { count += 1 }
    #expect(count == Self.count)
  }

  @Test func aCancelledTaskStops() async throws {
    let met = Atomic(0)
    let task = Task {
      for try await _ in store.entries().async {
        met.add(1, ordering: .relaxed)
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      }
    }
    let result = await task.result
    #expect(throws: CancellationError.self) { try result.get() }
    #expect((1...64).contains(met.load(ordering: .relaxed)))
  }

  @Test func aTaskThrowsWhatTheStoreThrows() async throws {
    let entries = store.entries().async
    try await store.close()
    await #expect(throws: Store.Error.self) { for try await _ in entries {} }
  }

  // MARK: Several cursors

  @Test(arguments: [1, 2, 3, 4, 7, 16, 1_000])
  func severalCursorsMeetEachKeyOnce(count: Int) throws {
    let snapshot = try store.snapshot()
    for cursors in [store.cursors(count), snapshot.cursors(count)] {
      #expect(cursors.count == count)
      var keys: [[UInt8]] = []
      for var cursor in cursors { while let key = try cursor.nextKey() { keys.append(key) } }
      #expect(keys.count == Self.count && Set(keys).count == Self.count)
    }
  }

  /// Three does not divide the index: the bounds lie within buckets.
  @Test(arguments: [3, 8])
  func severalCursorsMeetEachKeyOnceWhileTheIndexSplits(count: Int) async throws {
    let isOver = Atomic(false)
    let writer = Task {
      var number = 0
      while !isOver.load(ordering: .relaxed), number < 400_000 {
        try await store.put(contentsOf: (number..<number + 100).map { ("new \($0)", "") })
        number += 100
      }
      return number
    }
    for round in 0..<20 {
      let keys = try await withThrowingTaskGroup(of: [[UInt8]].self) { group in
        for var cursor in store.cursors(count) {
          group.addTask {
            var keys: [[UInt8]] = []
            while let key = round % 2 == 0 ? try cursor.nextKey() : try cursor.next()?.key {
              if key.starts(with: bytes("key ")) { keys.append(key) }
            }
            return keys
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      #expect(keys.count == Self.count && Set(keys).count == Self.count, "round \(round)")
    }
    isOver.store(true, ordering: .relaxed)
    #expect(try await writer.value > 0)
  }

  /// The damaged key hashes to another value, so no range seems to contain it.
  @Test func aDamagedKeyIsReportedWhicheverRangeItIsIn() throws {
    let place = try #require(try store.match(bytes("key 7")))
    store.core.memory.bytes.store8(0, Int(place.position.offset) + place.header.keyOffset)
    for count in [1, 3, 5, 16] {
      var reports = 0
      for var cursor in store.cursors(count) {
        while true {
          do {
            guard try cursor.nextKey() != nil else { break }
          } catch {
            #expect(error.code == .damaged)
            reports += 1
          }
        }
      }
      #expect((1...2).contains(reports), "\(count) cursors")
    }
  }

  // MARK: Removing

  @Test func removingAllGivesSpaceBack() throws {
    for number in 0..<100 { try store.put(patterned(100_000, 1), forKey: "large \(number)") }
    #expect(try store.removeAll() == Self.count + 100)
    #expect(try store.count == 0)
    #expect(try found(store) == [:])
    #expect(try store.statistics().allocatedBytes < 2 << 20)
    try expectSound(store)
    try store.put("again", forKey: "key")
    #expect(try store.get("key", as: String.self) == "again")
    #expect(try Store.inMemory().removeAll() == 0)
  }

  @Test func removingChosenEntries() throws {
    var calls = 0
    let removed = try store.removeAll { entry in
      calls += 1
      return try entry.value(as: Int.self) % 3 == 0
    }
    #expect(calls == Self.count && removed == (Self.count + 2) / 3)
    #expect(try found(store) == Self.all.filter { Int($0.value)! % 3 != 0 })
    #expect(try store.removeAll(durability: .onCommit) { _ in false } == 0)
    try expectSound(store)
  }

  @Test func anEntryThatIsPutAgainStays() throws {
    let removed = try store.removeAll { entry in
      let number = try entry.value(as: Int.self)
      if number == 5 { try store.put("6", forKey: entry.key) }
      if number == 7 { try store.put(entry.value, forKey: entry.key) }
      if number == 8 { try store.remove(entry.key) }
      return [5, 7, 8, 9].contains(number)
    }
    #expect(removed == 1)
    #expect(try store.get(["key 5", "key 7", "key 8", "key 9"]) == [bytes("6"), bytes("7"), nil, nil])
  }

  @Test func whatIsThrownEndsTheRemoval() throws {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try store.removeAll { _ in throw Stop() } }
    #expect(try store.count == Self.count)
    #expect(code { try store.transaction { _ in try store.removeAll() } } == .reentrant)
    #expect(code { try store.transaction { _ in try store.removeAll { _ in true } } } == .reentrant)
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(code { try reader.removeAll() } == .readOnly)
    #expect(code { try reader.removeAll { _ in true } } == .readOnly)
    let scratchHandle = try scratch.store { $0.access = .scratch }
    #expect(try scratchHandle.removeAll() == Self.count)
    #expect(try store.count == Self.count)
  }
}
