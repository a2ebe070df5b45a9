import TestSupport
import Testing

@testable import KVMap

/// Keys made to collide by an attacker, who knows the code but not the store's seed; and keys
/// that do collide, which no attacker can make.
@Suite(.timeLimit(.minutes(5)))
struct FloodTests {
  /// What filling a store costs.
  private struct Work: CustomStringConvertible {
    var indexPages = 0
    var overflowPages = 0
    /// How many slots have a key's tag in its two lines and its overflow pages: so many records
    /// the lookups of all keys compare.
    var comparisons = 0
    var time = Duration.zero

    var description: String {
      "\(indexPages) index pages, \(overflowPages) of overflow, \(comparisons) comparisons, \(time)"
    }
  }

  private static let count = 100_000
  private static let guessed = StoreSeed(low: 1, high: 2)

  /// Keys of 16 bytes that would all go to four lines of their pages, if the seed were the one
  /// that the attacker guesses.
  private static func crafted(_ count: Int, _ seed: StoreSeed) -> [[UInt8]] {
    let lines: Set = [7, 11, 23, 40]
    var keys: [[UInt8]] = []
    var key = [UInt8](repeating: 0, count: 16)
    var number: UInt64 = 0
    while keys.count < count {
      for index in 0..<5 { key[index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index)) }
      number += 1
      let (first, second) = unsafe KeyHash(key.span.bytes, seed: seed).lines
      if lines.contains(first), lines.contains(second) { keys.append(key) }
    }
    return keys
  }

  /// A store in memory with a seed of the test's choice.
  private func store(_ seed: StoreSeed) throws -> Store {
    let backing = try MemoryBacking()
    let source = backing.mapping.source(seed: seed)
    try Creation(source: source, backing: backing, clock: .system, identifier: (1, 2)).build()
    let block = try SuperblockPair(backing.fixed).current().block
    try Recovery(
      source: source, backing: backing, clock: .system, mode: .privateView
    ).run(block, bothAgree: true)
    return Store(
      core: try StoreCore(
        name: "store", path: nil, backing: backing, block: block, options: Store.Options(),
        clock: .system, pinned: nil))
  }

  private func fill(_ store: Store, _ keys: [[UInt8]]) throws -> Work {
    var work = Work()
    work.time = try ContinuousClock().measure {
      for key in keys { try store.put("value", forKey: key) }
    }
    let statistics = try store.statistics()
    #expect(statistics.recordCount == keys.count)
    work.indexPages = statistics.indexPages
    work.overflowPages = statistics.overflowPages
    var memory: StoreMemory { store.core.memory }
    let index = IndexReader(memory: memory)
    let tag = memory.shared[.epoch].tag
    for key in keys {
      let hash = unsafe KeyHash(key.span.bytes, seed: memory.seed)
      let page = Bucket(bytes: memory.bytes, page: try index.bucket(hash, workingTag: tag).page)
      for line in [hash.lines.first, hash.lines.second] {
        for slot in 0..<Bucket.slotsPerLine where page.load(line: line, slot: slot).tag == hash.tag {
          work.comparisons += 1
        }
      }
    }
    return work
  }

  /// In a store with a random seed they are keys like any others.
  @Test func keysThatCollideUnderAnotherSeedCostNoMore() throws {
    let hostile = Self.crafted(Self.count, Self.guessed)
    let ordinary = (0..<UInt64(Self.count)).map { patterned(16, $0 &+ 1 << 40) }
    var ratios: [Double] = []
    for round in 0..<3 {
      // Alternately, so that other work of the machine slows both.
      let usual = try fill(Store.inMemory(), ordinary)
      let flood = try fill(Store.inMemory(), hostile)
      #expect(Double(flood.indexPages) <= 1.5 * Double(usual.indexPages), "\(flood); \(usual)")
      #expect(flood.overflowPages <= 1 + usual.overflowPages, "\(flood); \(usual)")
      // One comparison finds a key. Each further one is for a tag that is equal by chance.
      #expect(flood.comparisons <= usual.comparisons + Self.count / 100, "\(flood); \(usual)")
      ratios.append(flood.time / usual.time)
      if round == 0 { print("flood: \(flood)\nordinary keys: \(usual)") }
    }
    print("flood: \(ratios.min() ?? 0) times the time in the best of \(ratios.count) rounds")
  }

  /// So the test above can fail.
  @Test func theKeysCollideIfTheSeedIsKnown() throws {
    let keys = Self.crafted(3_000, Self.guessed)
    let flood = try fill(store(Self.guessed), keys)
    let usual = try fill(Store.inMemory(), keys)
    #expect(flood.overflowPages > 5)
    #expect(usual.overflowPages == 0)
  }

  // MARK: Equal hashes

  #if CRASH_SIMULATION
    /// Every public call is slower with such keys, but right.
    @Test func keysOfOneHashWork() throws {
      try KeyHashOverride.with(0x1234_5678_9abc_def0) {
        let scratch = try Scratch()
        var store = try scratch.store()
        let count = 1_100
        func key(_ number: Int) -> [UInt8] { bytes("key \(number)") }
        var model: [[UInt8]: [UInt8]] = [:]
        func put(_ number: Int, _ value: String) throws {
          try store.put(value, forKey: key(number))
          model[key(number)] = bytes(value)
        }
        for number in 0..<count { try put(number, "first \(number)") }
        #expect(try store.statistics().overflowPages >= 2)
        for number in stride(from: 0, to: count, by: 3) { try put(number, "second") }
        try store.checkpoint()
        for number in stride(from: 1, to: count, by: 3) {
          #expect(try store.remove(key(number)))
          #expect(try !store.remove(key(number)))
          model[key(number)] = nil
        }
        try store.transaction { transaction in
          for number in stride(from: 1, to: 40, by: 3) { try transaction.put("back", forKey: key(number)) }
          try transaction.remove(key(2))
        }
        for number in stride(from: 1, to: 40, by: 3) { model[key(number)] = bytes("back") }
        model[key(2)] = nil
        for round in 0..<3 {
          for number in 0..<count { #expect(try store.get(key(number)) == model[key(number)]) }
          #expect(try store.get("never there") == nil)
          #expect(try store.everything() == model)
          #expect(try store.everythingByCursor() == model)
          try expectSound(store)
          if round == 0 {
            // A store that was not closed: the log is replayed.
            try write(contents(scratch.path()), to: scratch.path("crashed"))
            store = try scratch.store("crashed")
          } else {
            try store.close()
            store = try scratch.store("crashed")
          }
        }
      }
    }
  #endif
}
