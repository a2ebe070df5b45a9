import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// The code that relies on a part of a record or a page verifies it. These tests change
/// mapped bytes, which all handles see at once.
struct DamageTests {
  private let scratch: Scratch
  private let store: Store
  private var memory: StoreMemory { store.core.memory }

  init() throws {
    scratch = try Scratch()
    store = try scratch.store()
    try store.put("value", forKey: "key", expires: .after(.seconds(3_600)))
    try store.put(patterned(200_000, 1), forKey: "large")
    try store.checkpoint()
  }

  private func match(_ key: String) throws -> IndexReader.Match { try #require(try store.match(bytes(key))) }

  private func change(_ offset: Int, by mask: UInt8 = 1) {
    memory.bytes.store8(memory.bytes.load8(offset) ^ mask, offset)
  }

  /// Replaces a record's key with one of the same length and tag.
  private func replaceKey(of match: IndexReader.Match, _ key: String) throws {
    func tag(_ key: [UInt8]) -> UInt16 { unsafe KeyHash(key.span.bytes, seed: memory.seed).tag }
    let key = bytes(key)
    let others = (0..<1 << 24).lazy.map { number in
      key.indices.map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    let other = try #require(others.first { $0 != key && tag($0) == tag(key) })
    unsafe memory.bytes.copy(other.span.bytes, to: Int(match.position.offset) + match.header.keyOffset)
  }

  @Test func aDamagedValueIsAnError() throws {
    let found = try match("key")
    change(Int(found.position.offset) + found.header.valueOffset)
    #expect(code { try store.get("key") } == .damaged)
    #expect(code { try store.contains("key") } == .damaged)
    #expect(code { try store.withValue(forKey: "key") { $0.byteCount } } == .damaged)
    #expect(code { try store.everything() } == .damaged)
    #expect(try store.get("large") == patterned(200_000, 1))
  }

  @Test func aDamagedLargeValueIsAnError() throws {
    let found = try match("large")
    let offset = memory.bytes.load64(Int(found.position.offset) + found.header.externalOffset)
    change(Int(offset) + 100_000)
    #expect(code { try store.get("large") } == .damaged)
    #expect(code { try store.withValue(forKey: "large") { $0.byteCount } } == .damaged)
    #expect(try store.get("key", as: String.self) == "value")
  }

  /// The checksum shows it.
  @Test func aDamagedKeyOfTheSameTagIsAnError() throws {
    let found = try match("key")
    try replaceKey(of: found, "key")
    #expect(code { try store.get("key") } == .damaged)
  }

  /// Its key does not count as absent.
  @Test func aDamagedKeyIsAnError() throws {
    let found = try match("key")
    change(Int(found.position.offset) + found.header.keyOffset)
    #expect(code { try store.get("key") } == .damaged)
    #expect(code { try store.everythingByCursor() } == .damaged)
  }

  /// It does not make the key expire.
  @Test func aDamagedExpiryIsAnError() throws {
    let found = try match("key")
    memory.bytes.store64(1, Int(found.position.offset) + found.header.expiryOffset)
    #expect(code { try store.get("key") } == .damaged)
    #expect(code { try store.contains("key") } == .damaged)
  }

  /// Nothing beyond the file is read.
  @Test func aDamagedLengthIsAnError() throws {
    let found = try match("key")
    change(Int(found.position.offset) + 16 + 6, by: 0x80)
    #expect(code { try store.get("key") } == .damaged)
  }

  /// The copy would get a checksum of its own, with which the damage would be taken for data.
  @Test func compactionMovesNoDamagedRecord() throws {
    for number in 0..<2_000 { try store.put(patterned(400, UInt64(number)), forKey: "more \(number)") }
    for number in 0..<1_900 { try store.remove("more \(number)") }
    let found = try match("key")
    change(Int(found.position.offset) + found.header.valueOffset)
    try store.compact()
    #expect(code { try store.get("key") } == .damaged)
    for number in 1_900..<2_000 { #expect(try store.get("more \(number)") == patterned(400, UInt64(number))) }
  }

  /// The same for a large value, and for its key.
  @Test(arguments: [false, true])
  func compactionMovesNoDamagedLargeValue(isInKey: Bool) throws {
    for number in 0..<8 { try store.put(patterned(900_000, UInt64(number)), forKey: "before \(number)") }
    try store.put(patterned(200_000, 9), forKey: "last")
    try store.put(patterned(200_000, 10), forKey: "sound")
    for number in 0..<8 { try store.remove("before \(number)") }
    let found = try match("last")
    let extent = memory.bytes.load64(Int(found.position.offset) + found.header.externalOffset)
    let sound = try store.extent("sound")
    if isInKey { try replaceKey(of: found, "last") } else { change(Int(extent) + 100_000) }
    try store.compact()
    #expect(code { try store.get("last") } == .damaged)
    #expect(try store.get("sound") == patterned(200_000, 10))
    #expect(try store.extent("sound") != sound, "nothing was to be moved")
  }

  /// A page with a right checksum that is not the one meant, as when a write was lost and the
  /// old page is still there.
  @Test(arguments: [false, true])
  func anotherPageInItsPlaceIsDamage(isOfAnotherEpoch: Bool) throws {
    try makeAnother(isOfAnotherEpoch)
    // A handle that has not looked at it before.
    let reader = try scratch.store { $0.access = .readOnly }
    #expect(code { try reader.get("key") } == .damaged)
  }

  /// Recovery finds it before it writes anything.
  @Test(arguments: [false, true])
  func recoveryRefusesAnotherPageInItsPlace(isOfAnotherEpoch: Bool) throws {
    let page = try makeAnother(isOfAnotherEpoch)
    let pages = try contents(scratch.path())[page.offset..<page.offset + Layout.pageBytes]
    try makeAnother(isOfAnotherEpoch)
    let fresh = try Scratch()
    try write(contents(scratch.path()), to: fresh.path())
    let other = try fresh.store()
    try other.put("after", forKey: "key")
    try write(contents(fresh.path()), to: fresh.path("copy"))
    try overwrite(fresh.path("copy"), at: page.offset, with: Array(pages))
    let before = try contents(fresh.path("copy"))
    #expect(code { try fresh.store("copy") } == .damaged)
    #expect(try contents(fresh.path("copy")) == before)
  }

  /// A forged bucket that claims to be of an epoch to come. Once that epoch works, the bucket looks
  /// writable, although the pages above it are not.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func aBucketOfALaterEpochLosesNothing(later: UInt64) throws {
    try store.close()
    let epoch = try forgeBucket(later: later, in: scratch.path())
    #expect(try !Store.verify(scratch.path()).isSound)
    let again = try scratch.store()
    #expect(again.core.memory.shared[.epoch] == Epoch(number: epoch + 2))
    var written: [String] = []
    for number in 0..<100 {
      let key = "\(number)"
      do {
        try again.put(key, forKey: key)
        written.append(key)
      } catch { #expect(error.code == .damaged) }
    }
    try again.checkpoint()
    for key in written { #expect(try again.get(key, as: String.self) == key) }
    try again.close()
    let third = try scratch.store { $0.access = .readOnly }
    for key in written { #expect(try third.get(key, as: String.self) == key) }
  }

  /// Records after the checkpoint belong into that bucket.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func recoveryRefusesABucketOfALaterEpoch(later: UInt64) throws {
    try write(contents(scratch.path()), to: scratch.path("crashed"))
    try store.put("after", forKey: "key")
    try write(contents(scratch.path()), to: scratch.path("forged"))
    try store.close()
    for name in ["crashed", "forged"] { _ = try forgeBucket(later: later, in: scratch.path(name)) }
    #expect(try scratch.store("crashed").get("other") == nil)
    let before = try contents(scratch.path("forged"))
    #expect(code { try scratch.store("forged") } == .damaged)
    #expect(try contents(scratch.path("forged")) == before)
  }

  /// Gives the bucket of the last checkpoint an epoch so much later than the checkpoint's, and seals
  /// it and the directory. Returns the checkpoint's epoch.
  private func forgeBucket(later: UInt64, in path: FilePath) throws -> UInt64 {
    var file = try [UInt8](contents(path))
    return unsafe try file.withUnsafeMutableBytes { buffer in
      let bytes = unsafe MappedBytes(base: buffer.baseAddress!, count: buffer.count)
      let block = try SuperblockPair(bytes).current().block
      let node = NodePage(bytes: bytes, page: block.root.page)
      let page = node[0].page
      #expect(block.root.depth == 1 && node[0].depth == 0)
      let epoch = Epoch(number: block.epoch.number + later)
      PageHeader(bytes: bytes, page: page).setEpoch(epoch)
      for entry in 0..<NodePage.entryCount {
        node[entry] = PagePointer(page: page, depth: 0, epoch: epoch)
      }
      for page in [page, block.root.page] { PageHeader(bytes: bytes, page: page).seal(seed: block.seed) }
      try unsafe write(Data(UnsafeRawBufferPointer(buffer)), to: path)
      return block.epoch.number
    }
  }

  /// Changes kind or epoch of the bucket and seals it. A second call undoes the first.
  @discardableResult
  private func makeAnother(_ isOfAnotherEpoch: Bool) throws -> PageNumber {
    let hash = unsafe KeyHash(bytes("key").span.bytes, seed: memory.seed)
    let page = try IndexReader(memory: memory).bucket(hash, workingTag: 0).page
    change(page.offset + (isOfAnotherEpoch ? PageHeader.epoch : PageHeader.kind), by: 3)
    PageHeader(bytes: memory.bytes, page: page).seal(seed: memory.seed)
    return page
  }
}
