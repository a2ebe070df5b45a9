import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Files that were cut short, and pages that are zeros or in other places.
@Suite(.timeLimit(.minutes(30)))
struct TruncationTests {
  /// Every length within the first page, and the lengths around all page boundaries.
  @Test(arguments: [false, true])
  func aStoreMayBeCutToAnyLength(isClosed: Bool) async throws {
    let directory = try Cage.prepare()
    await #expect(processExitsWith: .success) {
      [directory = directory as String, isClosed = isClosed as Bool] in
      try blocking {
        try Cage.run("aStoreMayBeCutToAnyLength", directory) { cage in
          let store = try isClosed ? HostileStore.closed(in: cage.directory) : .unclosed(in: cage.directory)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          let image = store.image
          let whole = image.length
          let block = try SuperblockPair(image.bytes).current().block
          let used = Int(block.highWater.position.offset)
          // An empty file does not count as a store that was cut short.
          var lengths = Set(1...Image.pageBytes)
          for page in 1...whole / Image.pageBytes {
            for difference in -1...1 { lengths.insert(page * Image.pageBytes + difference) }
          }
          for length in lengths.sorted() where length <= whole {
            cage.begin("\(store.name) cut to \(length) bytes")
            image.length = length
            defer { image.length = whole }
            do {
              // Past what the checkpoint uses there is later log, or nothing.
              let effect: HostileStore.Effect =
                length < used ? Examiner.cutShort : isClosed ? .none : Examiner.perhapsCutShort
              try examiner.examine(effect)
            } catch {
              Issue.record("\(store.name) cut to \(length) bytes: \(error)")
            }
          }
        }
      }
    }
    Cage.conclude(directory)
  }

  /// Each page is zeroed, copied over its neighbours, and swapped with every other page.
  @Test(arguments: [false, true])
  func pagesInWrongPlaces(isClosed: Bool) async throws {
    let directory = try Cage.prepare()
    await #expect(processExitsWith: .success) {
      [directory = directory as String, isClosed = isClosed as Bool] in
      try blocking {
        try Cage.run("pagesInWrongPlaces", directory) { cage in
          let store = try isClosed ? HostileStore.closed(in: cage.directory) : .unclosed(in: cage.directory)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          let pages = store.image.pages
          let zeros = [UInt8](repeating: 0, count: Image.pageBytes)
          func play(_ name: String, _ changes: [(page: Int, content: [UInt8])]) {
            let before = changes.map { ($0.page, store.image.page($0.page)) }
            cage.begin("\(store.name): \(name)")
            for (page, content) in changes { store.image.setPage(page, content) }
            defer { for (page, content) in before { store.image.setPage(page, content) } }
            do {
              try examiner.examine(store.effect(onPages: changes.map(\.page)))
            } catch {
              Issue.record("\(store.name): \(name): \(error)")
            }
          }
          for page in pages {
            let content = store.image.page(page)
            play("page \(page) zeroed", [(page, zeros)])
            for neighbour in [page - 1, page + 1] where neighbour >= 0 {
              guard (neighbour + 1) * Image.pageBytes <= store.image.length else { continue }
              play("page \(page) put over \(neighbour)", [(neighbour, content)])
            }
            // Pages of a large value differ only in their place, so fewer are swapped.
            for other in pages where other > page {
              if store.isInLargeValue(page * Image.pageBytes), (page + other) % 7 != 0 { continue }
              if store.isInLargeValue(other * Image.pageBytes), (page + other) % 5 != 0 { continue }
              play("pages \(page) and \(other) swapped", [(page, store.image.page(other)), (other, content)])
            }
          }
        }
      }
    }
    Cage.conclude(directory)
  }
}

extension Examiner {
  /// The effect if the file is shorter than what the checkpoint uses.
  static let cutShort = HostileStore.Effect(whenReading: .certain, whenWriting: .certain)
  static let perhapsCutShort = HostileStore.Effect(whenReading: .possible, whenWriting: .possible)
}

extension HostileStore {
  /// The effect if everything in some pages may be wrong.
  func effect(onPages pages: [Int]) -> Effect {
    var sum = Effect.none
    for page in pages {
      let bytes = page * Image.pageBytes..<(page + 1) * Image.pageBytes
      for region in regions where region.bytes.overlaps(bytes) {
        sum.lost.formUnion(region.effect.lost)
        if region.effect.whenReading != .never { sum.whenReading = .possible }
        if region.effect.whenWriting != .never { sum.whenWriting = .possible }
        // If commits end early without a trace of more, that is the log's end.
        if region.effect.losesLastCommit || region.effect.whenReading == .certain { sum.losesCommits = true }
      }
    }
    // Both superblocks.
    if pages.contains(0), pages.contains(Layout.superblockOffsets.b / Image.pageBytes) {
      sum.whenReading = .possible
      sum.whenWriting = .possible
    }
    return sum
  }
}
