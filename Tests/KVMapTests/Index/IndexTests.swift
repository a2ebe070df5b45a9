import TestSupport
import Testing

@testable import KVMap

/// Buckets that split and overflow, directory pages that split, roots that rise.
@Suite(.timeLimit(.minutes(5)))
struct IndexTests {
  @Test func manyKeysAreFoundWhileBucketsSplit() throws {
    let store = try Store.inMemory()
    let count = 20_000 * testScale
    for number in 0..<count { try store.put("\(number)", forKey: "key \(number)") }
    for number in 0..<count {
      #expect(try store.get("key \(number)", as: String.self) == "\(number)")
      #expect(try !store.contains("other \(number)"))
    }
    try expectWorkingStateIsSound(store)
    let statistics = try store.statistics()
    #expect(statistics.recordCount == count)
    #expect(statistics.bucketPages > count / Bucket.slotCount)
    #expect(statistics.overflowPages == 0)
    #expect(statistics.fillHistogram.reduce(0, +) == statistics.bucketPages)
    // Since a key has two lines to choose from, a page is some 85 % full before it splits.
    #expect(count / statistics.bucketPages > Bucket.slotCount / 3)
  }

  /// Keys whose hashes begin with the same bits make the directory deep there, so that its
  /// pages split and the root rises with few keys.
  @Test func directoryPagesSplitAndTheRootRises() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    let keys = store.keys(1_300) { $0.bits >> 56 == 0xa5 }
    for (number, key) in keys.enumerated() {
      try store.put(patterned(5, UInt64(number)), forKey: key)
      // Some pages have to be copied, others are of the present epoch.
      if number % 400 == 399 { try store.checkpoint() }
    }
    #expect(try store.statistics().directoryHeight == 2)
    for number in 0..<2_000 { try store.put("elsewhere", forKey: "key \(number)") }
    for (number, key) in keys.enumerated() { #expect(try store.get(key) == patterned(5, UInt64(number))) }
    try expectSound(store)
    #expect(try store.everything().count == 3_300)
    #expect(try store.everythingByCursor().count == 3_300)
    for key in keys { #expect(try store.remove(key)) }
    #expect(try store.count == 2_000)
    try expectSound(store)
  }

  // MARK: Overflow

  #if CRASH_SIMULATION
    /// Nobody can make many keys of one hash, so the test sets the hash.
    @Test func keysOfOneHashGoToAChainOfPages() throws {
      let scratch = try Scratch()
      let store = try scratch.store { $0.exclusive = true }
      let count = 1_050
      func key(_ number: Int) -> [UInt8] { bytes("key \(number)") }
      try KeyHashOverride.with(0x1234_5678_9abc_def0) {
        for round in 0..<2 {
          for number in 0..<count { try store.put("\(round) \(number)", forKey: key(number)) }
          // After it, the chain must be copied like the bucket.
          try store.checkpoint()
        }
        #expect(try store.statistics().overflowPages == 3)
        for number in 0..<count { #expect(try store.get(key(number)) == bytes("1 \(number)")) }
        for number in stride(from: 0, to: count, by: 2) { #expect(try store.remove(key(number))) }
        for number in 0..<count {
          #expect(try store.get(key(number)) == (number % 2 == 0 ? nil : bytes("1 \(number)")))
        }
        #expect(try store.count == count / 2)
        // The slots of removed keys are used again.
        let pages = try store.statistics().overflowPages
        for number in stride(from: 0, to: count, by: 2) { try store.put("again", forKey: key(number)) }
        #expect(try store.statistics().overflowPages == pages)
      }
    }
  #endif

  @Test func aPageThatOverflowsSplitsLaterOn() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    // Keys that all have the same two lines, in a page that is far from full.
    let crowd = store.keys(90) { Set([$0.lines.first, $0.lines.second]) == [7, 40] }
    for key in crowd { try store.put(key, forKey: key) }
    #expect(try store.statistics().overflowPages == 1)
    try expectSound(store)
    try store.transaction { transaction in
      for key in crowd.prefix(20) { try transaction.put("changed", forKey: key) }
      for key in crowd.suffix(20) { try transaction.remove(key) }
    }
    try store.checkpoint()
    for number in 0..<3_000 { try store.put("other", forKey: "other \(number)") }
    for key in crowd.prefix(20) { #expect(try store.get(key, as: String.self) == "changed") }
    for key in crowd.dropFirst(20).dropLast(20) { #expect(try store.get(key) == key) }
    for key in crowd.suffix(20) { #expect(try store.get(key) == nil) }
    try expectSound(store)
    try store.close()
    let again = try scratch.store()
    #expect(try again.count == 3_070)
    try expectSound(again)
  }

  /// A merged bucket has no room for the slots of overflow pages.
  @Test func aBucketWithOverflowPagesIsNotMerged() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    let crowd = store.keys(60) { Set([$0.lines.first, $0.lines.second]) == [7, 40] && $0.bits >> 58 == 5 }
    for key in crowd { try store.put(key, forKey: key) }
    for number in 0..<5_000 { try store.put("other", forKey: "other \(number)") }
    let overflowPages = try store.statistics().overflowPages
    #expect(overflowPages > 0)
    for number in 0..<5_000 { try store.remove("other \(number)") }
    try store.compact()
    for key in crowd { #expect(try store.get(key) == key) }
    try expectSound(store)
  }

  /// All keys of one directory page are removed, while its other half has many.
  @Test func aFullDirectoryPageIsNotMerged() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    let (emptied, full) = (
      store.keys(1_300) { $0.bits >> 56 == 0xa4 }, store.keys(1_300) { $0.bits >> 56 == 0xa5 }
    )
    for key in emptied + full { try store.put(key, forKey: key) }
    #expect(try store.statistics().directoryHeight == 2)
    for key in emptied { try store.remove(key) }
    try store.compact()
    for key in full { #expect(try store.get(key) == key) }
    try expectSound(store)
  }

  // MARK: Damage

  /// A split reads each record's key. If the key is damaged, the slot goes to both halves, so
  /// that the key is an error and not absent.
  @Test(arguments: [0, 1, 2])
  func aDamagedRecordIsNotLostInASplit(what: Int) throws {
    let store = try Store.inMemory()
    var memory: StoreMemory { store.core.memory }
    let damaged = (0..<30).map { bytes("damaged \($0)") }
    for key in damaged { try store.put("value to be damaged", forKey: key) }
    for key in damaged {
      let match = try #require(try store.match(key))
      let offset = Int(match.position.offset)
      let damaged = [
        offset + match.header.keyOffset + 2, offset + 16, offset + match.header.valueOffset,
      ][what]
      memory.bytes.store8(memory.bytes.load8(damaged) ^ 0x40, damaged)
    }
    let before = try store.statistics().bucketPages
    for number in 0..<4_000 {
      // A put fails if a damaged record has the key's tag.
      do { try store.put("fine", forKey: "key \(number)") } catch { #expect(error.code == .damaged) }
    }
    #expect(try store.statistics().bucketPages > before + 4)
    for key in damaged { #expect(code { try store.get(key) } == .damaged) }
    var fine = 0
    for number in 0..<4_000 {
      do { if try store.get("key \(number)", as: String.self) == "fine" { fine += 1 } } catch {}
    }
    #expect(fine >= 3_990)
  }

  @Test func aCursorGoesOnAfterADamagedRecord() throws {
    let store = try Store.inMemory()
    for number in 0..<200 { try store.put("value", forKey: "key \(number)") }
    var memory: StoreMemory { store.core.memory }
    for number in [3, 77, 150] {
      let match = try #require(try store.match(bytes("key \(number)")))
      let offset = Int(match.position.offset) + match.header.valueOffset
      memory.bytes.store8(memory.bytes.load8(offset) ^ 1, offset)
    }
    var cursor = store.makeCursor()
    var (found, errors) = (0, 0)
    // Bounded, so that a cursor that stands still ends the test.
    for _ in 0..<300 {
      do {
        guard try cursor.next() != nil else { break }
        found += 1
      } catch {
        #expect(error.code == .damaged)
        errors += 1
      }
    }
    #expect(found == 197)
    #expect(errors == 3)
    #expect(code { try store.everything() } == .damaged)
  }

  @Test func aDamagedPageIsAnErrorAndItsNeighboursAreReadable() throws {
    let scratch = try Scratch()
    var pages: [[UInt8]: Int] = [:]
    do {
      let store = try scratch.store()
      for number in 0..<3_000 { try store.put("value", forKey: "key \(number)") }
      try store.checkpoint()
      for number in 0..<3_000 {
        let key = bytes("key \(number)")
        pages[key] = try #require(try store.match(key)).slotOffset / Layout.pageBytes
      }
      try store.close()
    }
    let damaged = pages[bytes("key 0")]!
    try flip(scratch.path(), at: damaged * Layout.pageBytes + 100)
    let store = try scratch.store { $0.access = .readOnly }
    for (key, page) in pages {
      if page == damaged {
        #expect(code { try store.get(key) } == .damaged)
        #expect(code { try store.contains(key) } == .damaged)
      } else {
        #expect(try store.get(key, as: String.self) == "value")
      }
    }
    #expect(code { try store.everything() } == .damaged)
    #expect(try !store.verify().isSound)
    // A cursor throws once and goes on with the next buckets.
    var cursor = store.makeCursor()
    var (met, errors): (Set<[UInt8]>, Int) = ([], 0)
    for _ in 0..<4_000 {
      do {
        guard let entry = try cursor.next() else { break }
        met.insert(entry.key)
      } catch {
        #expect(error.code == .damaged)
        errors += 1
      }
    }
    #expect(errors == 1)
    #expect(met == Set(pages.keys.filter { pages[$0] != damaged }))
  }
}

func expectWorkingStateIsSound(
  _ store: Store, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let report = try store.core.withWriteLock { _ throws(Store.Error) in store.core.verify() }
  #expect(report.isSound, "\(report.faults)", sourceLocation: sourceLocation)
}

extension Store {
  /// Where a key's record lies.
  func match(_ key: [UInt8]) throws(Store.Error) -> IndexReader.Match? {
    var memory: StoreMemory { core.memory }
    return try unsafe IndexReader(memory: memory).find(
      KeyHash(key.span.bytes, seed: memory.seed), key.span.bytes)
  }

  /// Keys whose hashes satisfy a condition.
  func keys(_ count: Int, where isWanted: (KeyHash) -> Bool) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var number: UInt64 = 0
    let seed = core.memory.seed
    while keys.count < count {
      let key = patterned(8, number)
      if isWanted(unsafe KeyHash(key.span.bytes, seed: seed)) { keys.append(key) }
      number += 1
    }
    return keys
  }
}
