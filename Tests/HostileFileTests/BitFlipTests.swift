import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// One byte of a small store is wrong: calls give the right data, or an error for just what was
/// damaged.
@Suite(.timeLimit(.minutes(30)))
struct BitFlipTests {
  @Test func eachByteOfAClosedStore() async throws {
    let directory = try Cage.prepare()
    let seed = testSeed("eachByteOfAClosedStore")
    await #expect(processExitsWith: .success) { [directory = directory as String, seed = seed as UInt64] in
      try blocking {
        try Cage.run("eachByteOfAClosedStore", directory) { cage in
          try Self.flipAll(HostileStore.closed(in: cage.directory), cage, seed)
        }
      }
    }
    Cage.conclude(directory)
  }

  /// A store with damage to what was durable is refused, with the place of the damage. Only the
  /// last commit may be taken for one that a crash has torn.
  @Test func eachByteOfAStoreThatWasNotClosed() async throws {
    let directory = try Cage.prepare()
    let seed = testSeed("eachByteOfAStoreThatWasNotClosed")
    await #expect(processExitsWith: .success) { [directory = directory as String, seed = seed as UInt64] in
      try blocking {
        try Cage.run("eachByteOfAStoreThatWasNotClosed", directory) { cage in
          try Self.flipAll(HostileStore.unclosed(in: cage.directory), cage, seed)
        }
      }
    }
    Cage.conclude(directory)
  }

  /// Every second bit that means something is flipped, and the store opened in one of three ways.
  /// Of bytes that mean nothing every 7th is tried; so are those of the index if the store was not
  /// closed, since the closed store has the same pages. With a scale of 8 or more, all bits are
  /// flipped.
  @Test(arguments: [false, true])
  func everySecondBitOfATinyStore(isClosed: Bool) async throws {
    let directory = try Cage.prepare()
    let seed = testSeed("everySecondBitOfATinyStore")
    await #expect(processExitsWith: .success) {
      [directory = directory as String, seed = seed as UInt64, isClosed = isClosed as Bool] in
      try blocking {
        try Cage.run("everySecondBitOfATinyStore", directory) { cage in
          let store = try HostileStore.tiny(in: cage.directory, isClosed: isClosed)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          let ways = [Store.Access.readOnly, .scratch, .readWrite]
          let step = Cage.scale >= 8 ? 1 : 2
          for page in store.image.pages where page * Image.pageBytes < store.image.length {
            for offset in page * Image.pageBytes..<(page + 1) * Image.pageBytes {
              let isTried = !store.meansNothing(offset) && (isClosed || !store.isInIndex(offset))
              guard isTried || offset % 7 == 0 else { continue }
              for bit in stride(from: (offset + Int(seed % 2)) % step, to: 8, by: step) {
                try Self.flip(
                  offset, bit, examiner, cage, ways: Cage.scale >= 8 ? ways : [ways[(offset + bit) % 3]])
              }
            }
          }
        }
      }
    }
    Cage.conclude(directory)
  }

  /// The buckets beside the damaged one are readable.
  @Test func bytesOfAStoreWithSeveralBuckets() async throws {
    let directory = try Cage.prepare()
    let seed = testSeed("bytesOfAStoreWithSeveralBuckets")
    await #expect(processExitsWith: .success) { [directory = directory as String, seed = seed as UInt64] in
      try blocking {
        try Cage.run("bytesOfAStoreWithSeveralBuckets", directory) { cage in
          let store = try HostileStore.split(in: cage.directory)
          var random = SeededGenerator(seed: seed)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          for _ in 0..<400 * Cage.scale {
            let page = store.image.pages[random.below(store.image.pages.count)]
            try Self.flip(
              page * Image.pageBytes + random.below(Image.pageBytes), random.below(8), examiner, cage)
          }
        }
      }
    }
    Cage.conclude(directory)
  }

  /// Flips one bit of each byte of the used pages, and opens the store in one way. Of large
  /// values only every 61st byte is tried, of bytes that mean nothing every 7th. With a scale of
  /// 8 or more, all bits are tried in all ways.
  private static func flipAll(_ store: HostileStore, _ cage: Cage, _ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let examiner = Examiner(original: store, path: cage.directory.appending("case"))
    for page in store.image.pages where page * Image.pageBytes < store.image.length {
      for offset in page * Image.pageBytes..<(page + 1) * Image.pageBytes {
        if Cage.scale >= 8 {
          for bit in 0..<8 { try flip(offset, bit, examiner, cage) }
        } else if offset % (store.isInLargeValue(offset) ? 61 : store.meansNothing(offset) ? 7 : 1) == 0 {
          let way = [Store.Access.readOnly, .scratch, .readWrite][random.below(3)]
          try flip(offset, random.below(8), examiner, cage, ways: [way])
        }
      }
    }
  }

  private static func flip(
    _ offset: Int, _ bit: Int, _ examiner: Examiner, _ cage: Cage,
    ways: [Store.Access] = [.readOnly, .scratch, .readWrite]
  ) throws {
    let store = examiner.original
    cage.begin("\(store.name): bit \(bit) of byte \(offset)")
    store.image.flip(bit, of: offset)
    defer { store.image.flip(bit, of: offset) }
    do {
      try examiner.examine(store.effect(at: offset), ways: ways)
    } catch {
      Issue.record("\(store.name): bit \(bit) of byte \(offset), \(ways): \(error)")
    }
  }
}
