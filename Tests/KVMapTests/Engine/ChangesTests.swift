import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// The changes of a store are told in the order of commits, each once, and what is missing is told as
/// well.
@Suite(.timeLimit(.minutes(5)))
struct ChangesTests {
  private func told(_ reader: inout Store.Changes.Reader) throws -> [Store.Change] {
    var changes: [Store.Change] = []
    while let change = try reader.next() { changes.append(change) }
    return changes
  }

  private func told(
    _ store: Store, since sequence: UInt64 = 0, withPrefix prefix: String = "", values: Bool = true
  ) throws -> [Store.Change] {
    var reader = store.changes(since: sequence, withPrefix: prefix, values: values).makeReader()
    return try told(&reader)
  }

  @Test(arguments: [false, true])
  func everyChangeIsToldOnce(isInMemory: Bool) throws {
    let scratch = try Scratch()
    let store = try isInMemory ? Store.inMemory() : scratch.store()
    let following = store.changes()
    try store.put("one", forKey: "a")
    var reader = following.makeReader()
    try store.put("two", forKey: "a", expires: .at(millisecondsSince1970: 9_000_000_000_000))
    try store.remove("a")
    try store.remove("absent")
    try store.transaction { transaction in
      try transaction.put("three", forKey: "b")
      try transaction.put("four", forKey: "c")
    }
    try? store.transaction { transaction in
      try transaction.put("never", forKey: "b")
      throw Operation.Abort()
    }
    let changes = try told(&reader)
    #expect(changes.map(\.kind) == [.put, .put, .remove, .put, .put])
    #expect(try changes.map { try $0.key(as: String.self) } == ["a", "a", "a", "b", "c"])
    #expect(try changes.map { try $0.value(as: String.self) } == ["one", "two", nil, "three", "four"])
    #expect(changes.map(\.isLastOfCommit) == [true, true, true, false, true])
    #expect(changes[1].expiry == .at(millisecondsSince1970: 9_000_000_000_000))
    #expect(changes.map(\.sequence) == changes.map(\.sequence).sorted())
    #expect(try changes[3].version == store.entries(withPrefix: "b").first { _ in true }?.get().version)
    #expect(try changes[4].sequence == store.lastSequence)
    #expect(reader.sequence == changes[4].sequence)
    #expect(try told(&reader).isEmpty)
    #expect(try told(store, since: changes[1].sequence) == Array(changes[2...]))
    #expect(try told(store, withPrefix: "b", values: false).map(\.value) == [nil])
    #expect(try told(store, withPrefix: "b").map(\.sequence) == [changes[3].sequence])
  }

  @Test func theyGoOnOverManySegmentsAndOpenings() throws {
    let scratch = try Scratch.inMemory()
    var sequence: UInt64 = 0
    var expected: [String] = []
    for opening in 0..<3 {
      let store = try scratch.store()
      for number in 0..<40 {
        let key = "\(opening) \(number)"
        try store.put(patterned(60_000, UInt64(number)), forKey: key)
        expected.append(key)
      }
      try store.put(patterned(300_000, 1), forKey: "large")
      if opening == 1 { try store.checkpoint() }
      let changes = try told(store, since: sequence)
      #expect(changes.allSatisfy { $0.kind == .put })
      #expect(try changes.dropLast().map { try $0.key(as: String.self) } == expected.suffix(40))
      #expect(changes.last?.value == patterned(300_000, 1))
      sequence = try #require(changes.last).sequence
      try store.close()
    }
    let all = try told(scratch.store())
    #expect(all.count == 123 && !all.contains { $0.kind == .gap })
  }

  /// Large values lie outside the log. Those whose space was reused are told without their bytes.
  @Test func largeValuesThatWereReplacedMayBeGone() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    for number in 0..<20 {
      try store.put(patterned(300_000, UInt64(number)), forKey: "large")
      try store.checkpoint()
    }
    let values = try told(store).map(\.value)
    #expect(values.count == 20 && values.contains(nil))
    for (number, value) in values.enumerated() where value != nil {
      #expect(value == patterned(300_000, UInt64(number)))
    }
    #expect(values.last == patterned(300_000, 19))
  }

  @Test func whatWasReusedIsToldAsAGap() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    func overwrite() throws {
      for number in 0..<2_000 { try store.put(patterned(10_000, UInt64(number)), forKey: "\(number % 20)") }
    }
    try overwrite()
    try store.compact()
    let changes = try told(store)
    let gap = try #require(changes.first)
    #expect(gap.kind == .gap && gap.sequences.lowerBound == 1)
    #expect(changes.dropFirst().allSatisfy { $0.kind == .put })
    #expect(try gap.sequence <= store.lastSequence)
    // A reader that was in a segment which is then reused.
    var reader = store.changes(since: gap.sequence).makeReader()
    try store.put("next", forKey: "0")
    _ = try reader.next()
    try overwrite()
    try store.compact()
    try overwrite()
    let later = try told(&reader)
    #expect(later.contains { $0.kind == .gap })
    var passed = gap.sequence
    for change in later {
      #expect(change.sequences.lowerBound > passed)
      passed = change.sequence
    }
    #expect(try passed == store.lastSequence)
  }

  @Test func theLogIsKeptAsFarAsIsAsked() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store { $0.keptLog = 12 << 20 }
    for number in 0..<4_000 { try store.put(patterned(10_000, UInt64(number)), forKey: "\(number % 20)") }
    try store.compact()
    let changes = try told(store)
    #expect(changes.first?.kind == .gap)
    let bytes = changes.dropFirst().reduce(0) { $0 + ($1.value?.count ?? 0) }
    // Almost all of it is values.
    #expect(bytes >= (12 << 20) - (1 << 19) && bytes < (17 << 20), "\(bytes) bytes of values")
    #expect(!changes.dropFirst().contains { $0.kind == .gap })
    try expectSound(store)
  }

  @Test func aCommitThatIsDurableNeedsNoSync() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("durable", forKey: "a", durability: .onCommit)
    let first = try store.lastSequence
    try store.put("not yet", forKey: "b")
    #expect(store.core.needsSync)
    try store.sync(upTo: first)
    #expect(store.core.needsSync)
    #expect(try told(store, since: first).count == 1)
    var durable = store.changes(since: first, durable: true).makeReader()
    #expect(try durable.next() == nil)
    try store.sync(upTo: store.lastSequence)
    #expect(!store.core.needsSync)
    #expect(try durable.next()?.key == bytes("b"))
  }

  /// A power failure takes back what a reader was told already.
  @Test func whatAPowerFailureHasUndoneIsToldAsAGap() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    try store.put("durable", forKey: "a", durability: .onCommit)
    let durable = try store.lastSequence
    let image = try contents(scratch.path())
    for number in 0..<10 { try store.put("undone", forKey: "b \(number)") }
    var reader = store.changes(since: 0, durable: true).makeReader()
    #expect(try told(&reader).count == 1)
    let seen = try store.lastSequence
    try write(image, to: scratch.path("after"))
    let after = try scratch.store("after")
    #expect(try told(after, since: durable).isEmpty)
    let undone = try told(after, since: seen)
    #expect(undone.map(\.kind) == [.gap])
    #expect(undone[0].sequences.lowerBound == durable + 1 && undone[0].sequence >= seen)
    try after.put("new", forKey: "c")
    let changes = try told(after, since: seen)
    #expect(changes.map(\.kind) == [.gap, .put])
    #expect(changes[0].sequences.lowerBound == durable + 1)
    #expect(changes[0].sequence >= seen)
    #expect(try told(after, since: durable).map(\.kind) == [.put])
  }

  @Test func aReaderIsWokenByOtherHandles() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    let other = try scratch.store()
    let thread = Threads(1) {
      for number in 0..<50 {
        pause(microseconds: 2_000)
        try! other.put("\(number)", forKey: "key")
      }
    }
    var reader = store.changes().makeReader()
    var last = -1
    while last < 49 {
      let change = try #require(try reader.next(within: .seconds(60)))
      last = try change.value(as: String.self).flatMap { Int($0) } ?? 50
    }
    thread.join()
    #expect(try reader.next(within: .milliseconds(150)) == nil)
    let reading = try scratch.store { $0.access = .readOnly }
    var onlyReading = reading.changes(since: 0).makeReader()
    #expect(try told(&onlyReading).count == 50)
    try other.put("more", forKey: "key")
    #expect(try onlyReading.next(within: .seconds(60))?.value == bytes("more"))
  }

  @Test func tasksFollow() async throws {
    let scratch = try Scratch.inMemory()
    let store = try await Store(scratch.path())
    let readers = (0..<4).map { _ in
      Task {
        var keys: [String] = []
        for try await change in store.changes(since: 0) { keys.append(try change.key(as: String.self)) }
        return keys
      }
    }
    let cancelled = Task { for try await _ in store.changes(withPrefix: "never") {} }
    for number in 0..<100 { try await store.put("value", forKey: "\(number)") }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    // Closed only when all have read everything.
    try await Task.sleep(for: .milliseconds(300))
    try await store.close()
    for reader in readers { #expect(try await reader.value == (0..<100).map { "\($0)" }) }
  }

  /// Another handle extends the file beyond what the reader has mapped.
  @Test func largeValuesInANewPartOfTheFileAreTold() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    let other = try scratch.store()
    var reader = store.changes().makeReader()
    for number in 0..<12 {
      try other.put(patterned(2 << 20, UInt64(number)), forKey: "\(number)")
      #expect(try reader.next()?.value == patterned(2 << 20, UInt64(number)), "number \(number)")
    }
  }

  /// The search for the place to begin has to map what another handle has added to the file.
  @Test func aReaderThatBeginsLateMissesNothing() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    try store.put("first", forKey: "first")
    let other = try scratch.store()
    for number in 0..<200 { try other.put(patterned(60_000, UInt64(number)), forKey: "\(number)") }
    #expect(try told(store, values: false).map(\.kind) == Array(repeating: .put, count: 201))
  }

  /// Compaction moves large values, cuts off the space that they had, or gives it to others. What the log says
  /// of where they are is old then.
  @Test func largeValuesThatWereMovedAreTold() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store { $0.keptLog = 2 << 20 }
    // Garbage, for compaction to be worth while.
    for number in 0..<100 { try store.put(patterned(60_000, UInt64(number)), forKey: "garbage") }
    let start = try store.lastSequence
    for number in 0..<20 { try store.put(patterned(300_000, UInt64(number)), forKey: "\(number)") }
    for number in 0..<20 where number % 4 != 3 { try store.remove("\(number)") }
    let offsets = try (0..<5).map { try place(of: "\($0 * 4 + 3)", in: store) }
    try store.compact()
    #expect(try (0..<5).contains { try place(of: "\($0 * 4 + 3)", in: store) != offsets[$0] })
    func expectToldAll() throws {
      let changes = try told(store, since: start).filter { $0.kind == .put && $0.key.count <= 2 }
      for number in stride(from: 3, to: 20, by: 4) {
        let change = try #require(changes.first { $0.key == bytes("\(number)") })
        #expect(change.value == patterned(300_000, UInt64(number)))
      }
    }
    try expectToldAll()
    for number in 0..<30 { try store.put(patterned(100_000, UInt64(number)), forKey: "other \(number)") }
    try expectToldAll()
  }

  private func place(of key: String, in store: Store) throws -> UInt64 {
    let key = bytes(key)
    let hash = KeyHash(unsafe key.span.bytes, seed: store.core.source.seed)
    let memory = store.core.memory
    let match = try #require(try IndexReader(memory: memory).find(hash, unsafe key.span.bytes))
    return match.record(memory).externalStart
  }

  /// A large value that is damaged is not passed over as one that was replaced.
  @Test func aDamagedLargeValueIsAnError() throws {
    let scratch = try Scratch.inMemory()
    let store = try scratch.store()
    try store.put(patterned(70_000, 1), forKey: "large")
    let place = try #require(try contents(scratch.path()).range(of: Data(patterned(70_000, 1)))).lowerBound
    try flip(scratch.path(), at: place + 20_000)
    var reader = store.changes(since: 0).makeReader()
    #expect(code { try reader.next() } == .damaged)
  }

  /// A second store is kept equal, while the writer and the follower are killed again and again.
  /// `KVMAP_FOLLOWER_KILLS` sets how often.
  @Test func aFollowerStaysEqualOverKills() throws {
    let scratch = try Scratch.inMemory()
    var random = SeededGenerator(seed: testSeed("aFollowerStaysEqualOverKills"))
    let (source, copy) = (scratch.path("source").string, scratch.path("copy").string)
    func writer() throws -> ChildProcess {
      try ChildProcess(.operations, [source, "\(random.next())", "1", "none", "key "])
    }
    _ = try Store(path: source)
    var children = [try writer(), try ChildProcess(.follow, [source, copy])]
    for _ in 0..<(Environment.number("KVMAP_FOLLOWER_KILLS") ?? 40) {
      let number = random.below(2)
      for _ in 0..<1 + random.below(60) where children[number].hasNews(within: 2_000) {
        _ = try children[number].receive()
      }
      children[number].kill()
      children[number] = try number == 0 ? writer() : ChildProcess(.follow, [source, copy])
    }
    for child in children { child.kill() }
    var follower = try Follower(Store(path: source), Store(path: copy))
    while try follower.step() {}
    #expect(try follower.copied() == follower.source.everything())
    try expectSound(follower.copy)
  }
}
