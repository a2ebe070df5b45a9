import Foundation
import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// A store that is made in place, as a power failure leaves its file at each step: opening it
/// finds the whole store, or no store yet.
struct CreationInPlaceTests {
  private static let page = Layout.pageBytes
  private static let (a, b) = (Layout.superblockOffsets.a, Layout.superblockOffsets.b)

  private let scratch: Scratch
  /// The complete file.
  private let whole: [UInt8]
  private let contents: Operation.Contents
  /// The pages that are not empty, without the superblocks'.
  private let pages: [Int]

  init() throws {
    scratch = try .inMemory()
    let path = scratch.path("whole")
    var contents: Operation.Contents = [bytes("large"): patterned(100_000, 1)]
    for number in 0..<50 { contents[bytes("key \(number)")] = patterned(number, UInt64(number)) }
    try Store.create(at: path) { store in
      for (key, value) in contents { try store.put(value, forKey: key) }
    }
    whole = [UInt8](try KVMapTests.contents(path))
    self.contents = contents
    let page = Self.page
    var pages: [Int] = []
    for start in stride(from: 0, to: whole.count, by: page) where start != Self.a && start != Self.b {
      if whole[start..<start + page].contains(where: { $0 != 0 }) { pages.append(start / page) }
    }
    self.pages = pages
  }

  /// A file of this length, with these pages.
  private func file(_ count: Int, _ pages: some Sequence<Int>) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: count)
    for number in pages where (number + 1) * Self.page <= count {
      let range = number * Self.page..<(number + 1) * Self.page
      file[range] = whole[range]
    }
    return file
  }

  private func mark(_ file: inout [UInt8]) {
    for index in 0..<FileKind.markerBytes {
      file[index] = UInt8(truncatingIfNeeded: FileKind.creationMarker >> UInt64(8 * index))
    }
  }

  /// Writes some of the words of a superblock.
  private func tear(_ file: inout [UInt8], at superblock: Int, _ isWritten: (_ word: Int) -> Bool) {
    for word in 0..<Superblock.byteCount / 8 where isWritten(word) {
      let range = superblock + 8 * word..<superblock + 8 * word + 8
      file[range] = whole[range]
    }
  }

  private func expect(_ file: [UInt8], isWhole: Bool, _ what: String) throws {
    let path = scratch.path("state")
    defer { try? File.remove(path) }
    try write(Data(file), to: path)
    let options = Store.Options(access: .readOnly)
    if isWhole {
      #expect(try Store(path, options: options).everything() == contents, "\(what), read")
    } else {
      #expect(code { try Store(path, options: options) } == .notFound, "\(what), read")
    }
    #expect(try KVMapTests.contents(path) == Data(file), "\(what)")
    let store = try Store(path)
    #expect(try store.everything() == (isWhole ? contents : [:]), "\(what), written")
    try store.put("value", forKey: "new")
    try store.checkpoint()
    try expectSound(store, "\(what)")
    try store.close()
    #expect(try Store(path).count == (isWhole ? contents.count : 0) + 1, "\(what), again")
  }

  @Test func withoutSuperblocksItIsNoStore() throws {
    var random = SeededGenerator(seed: testSeed("withoutSuperblocksItIsNoStore"))
    try expect([], isWhole: false, "empty")
    var short = [UInt8](repeating: 0, count: FileKind.markerBytes)
    mark(&short)
    try expect(short, isWhole: false, "the mark")
    for round in 0..<20 {
      // The length may be on the disk before the rest is.
      let count = round < 10 ? whole.count : Self.page * (1 + random.below(whole.count / Self.page))
      let chance = [0, 100, 50, 10, 90][round % 5]
      var file = file(count, pages.filter { _ in random.chance(chance) })
      mark(&file)
      try expect(file, isWhole: false, "\(count) bytes, pages of \(chance) in 100, round \(round)")
    }
  }

  /// Superblock B is written when all but superblock A is on the disk.
  @Test func itsSecondSuperblockMakesItAStore() throws {
    var random = SeededGenerator(seed: testSeed("itsSecondSuperblockMakesItAStore"))
    let words = Superblock.byteCount / 8
    let used = (0..<words).filter { word in
      let start = Self.b + 8 * word
      return whole[start..<start + 8].contains { $0 != 0 }
    }
    let last = try #require(used.last)
    for round in 0..<words + 10 {
      var file = file(whole.count, pages)
      mark(&file)
      if round < words {
        tear(&file, at: Self.b) { $0 <= round }
      } else {
        // At least one word that is not zero is missing.
        let missing = used[round % used.count]
        tear(&file, at: Self.b) { word in word != missing && random.chance(80) }
      }
      try expect(file, isWhole: round < words && round >= last, "B up to word \(round)")
    }
  }

  @Test func itIsAStoreWhateverItsFirstSuperblockHolds() throws {
    var random = SeededGenerator(seed: testSeed("itIsAStoreWhateverItsFirstSuperblockHolds"))
    let words = Superblock.byteCount / 8
    for round in 0..<words + 12 {
      var file = file(whole.count, pages + [Self.b / Self.page])
      // In the first round a page of zeros, else one with the mark.
      if round > 0 { mark(&file) }
      let isInOrder = round < words + 2
      if round > 1 { tear(&file, at: Self.a) { isInOrder ? $0 <= round - 2 : random.chance(50) } }
      try expect(file, isWhole: true, "A in round \(round)")
    }
  }
}
