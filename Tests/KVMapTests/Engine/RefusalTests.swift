import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Files that are not stores, or damaged ones, are refused with a clear code. Neither reading
/// nor writing handles change a byte of them.
@Suite(.timeLimit(.minutes(5)))
struct RefusalTests {
  private func expectRefused(
    _ scratch: Scratch, _ name: String, _ expected: Store.Error.Code,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = try contents(scratch.path(name))
    for access in [Store.Access.readOnly, .scratch, .readWrite] {
      do {
        _ = try scratch.store(name) { $0.access = access }
        Issue.record("the file was accepted", sourceLocation: sourceLocation)
      } catch {
        #expect(error.code == expected, "\(access): \(error)", sourceLocation: sourceLocation)
        #expect(error.description.contains(scratch.path(name).string), sourceLocation: sourceLocation)
      }
    }
    #expect(
      try contents(scratch.path(name)) == before, "the file was changed", sourceLocation: sourceLocation)
    #expect(try scratch.names == [name], "a file was left over", sourceLocation: sourceLocation)
  }

  @Test(arguments: [1, 8, 4096, 65_536, 196_607, 196_608, 5_000_000])
  func aForeignFile(size: Int) throws {
    let scratch = try Scratch()
    var generator = SeededGenerator(seed: 5)
    for isRandom in [false, true] {
      var bytes = [UInt8](repeating: 0, count: size)
      if isRandom { for index in 0..<min(size, 70_000) { bytes[index] = UInt8(generator.below(256)) } }
      try write(Data(bytes), to: scratch.path("file"))
      try expectRefused(scratch, "file", .notAStore)
    }
  }

  @Test func aTextFile() throws {
    let scratch = try Scratch()
    try write(Data(String(repeating: "key=value\n", count: 30_000).utf8), to: scratch.path("file"))
    try expectRefused(scratch, "file", .notAStore)
  }

  @Test func aPathThatIsNoFile() throws {
    let scratch = try Scratch()
    #expect(unsafe mkfifo(scratch.path("fifo").string, 0o600) == 0)
    try FileManager.default.createDirectory(
      atPath: scratch.path("directory").string, withIntermediateDirectories: false)
    for name in ["fifo", "directory"] {
      for access in [Store.Access.readOnly, .scratch, .readWrite] {
        #expect(code { try scratch.store(name) { $0.access = access } } == .notAStore, "\(name) \(access)")
      }
    }
    #expect(code { try Store("/dev/null") } == .notAStore)
    #expect(try scratch.names == ["directory", "fifo"])
  }

  @Test func aPathWithNothingThere() throws {
    let scratch = try Scratch()
    for access in [Store.Access.readOnly, .scratch] {
      #expect(code { try scratch.store { $0.access = access } } == .notFound)
    }
    #expect(code { try scratch.store { $0.create = false } } == .notFound)
    #expect(code { try Store.verify(scratch.path()) } == .notFound)
    #expect(code { try scratch.store("no such directory/store") } == .cannotCreate)
    #expect(code { try Store(path: "") } == .cannotCreate)
    #expect(try scratch.names == [])
  }

  /// Adding to such a length overflows.
  @Test func aFileOfAbsurdLength() async throws {
    // In a process of its own, since it may trap. In memory, since few file systems on disks
    // allow such files.
    await #expect(processExitsWith: .success) {
      try blocking {
        let directory = "/dev/shm/kvmap-\(UUID().uuidString)"
        guard
          (try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false))
            != nil
        else { return }
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = FilePath(directory).appending("file")
        for length in [Int64(1) << 46, 1 << 50, 1 << 61, .max - 65_535, .max] {
          let file = try FileDescriptor.open(path, .readWrite, options: .create, permissions: .ownerReadWrite)
          let isLong = (try? file.resize(to: length)) != nil
          try file.close()
          if !isLong { continue }
          for access in [Store.Access.readWrite, .readOnly, .scratch] {
            let options = Store.Options(access: access)
            #expect(code { try Store(path, options: options) } == .notAStore, "\(length) \(access)")
          }
        }
      }
    }
  }

  // MARK: Stores

  private func makeStore(_ scratch: Scratch) throws {
    let store = try scratch.store()
    for number in 0..<2_000 { try store.put("value \(number)", forKey: "key \(number)") }
    for number in 0..<5 { try store.put(patterned(100_000, UInt64(number)), forKey: "large \(number)") }
    try store.checkpoint()
    try store.close()
  }

  @Test func aStoreThatWasCutShort() throws {
    let scratch = try Scratch()
    try makeStore(scratch)
    let path = scratch.path()
    let highWater = try contents(path)[Superblock.highWater..<Superblock.highWater + 8]
    let length = highWater.reversed().reduce(0) { $0 << 8 | Int($1) } * Layout.unitBytes
    let whole = try contents(path).prefix(length)
    var lengths = [length - 1, length - 65_536, length / 2, 196_608 + 1, 196_608]
    lengths += stride(from: 196_608, to: length, by: 330_000)
    for length in lengths {
      try write(whole.prefix(length), to: path)
      try expectRefused(scratch, "store", .damaged)
    }
    // However little is left, it is known as a store that was cut short.
    for length in [256, 4096, 65_536 + 256, 196_607] {
      try write(whole.prefix(length), to: path)
      try expectRefused(scratch, "store", .damaged)
    }
    try write(whole, to: path)
    #expect(try scratch.store().count == 2_005)
  }

  @Test func aStoreOfANewerFormat() throws {
    let scratch = try Scratch()
    try makeStore(scratch)
    for offset in SuperblockPair.offsets {
      try overwrite(scratch.path(), at: offset + 8, with: [3, 0, 0, 0])
    }
    try expectRefused(scratch, "store", .newerFormat)
  }

  /// A newer program that was killed between its two superblocks leaves one of its format
  /// and one of this format.
  @Test func aStoreHalfOfANewerFormat() throws {
    let scratch = try Scratch()
    try makeStore(scratch)
    let block = ByteBuffer(count: 256)
    let start = Layout.superblockOffsets.a
    for (index, byte) in try contents(scratch.path())[start..<start + 256].enumerated() {
      block.bytes.store8(byte, index)
    }
    block.bytes.store32(3, 8)
    let zero = StoreSeed(low: 0, high: 0)
    block.bytes.store64(Checksum.compute(block.bytes, 0, count: 248, seed: zero, place: 0), 248)
    try overwrite(scratch.path(), at: start, with: block.bytes.array(0, count: 256))
    try expectRefused(scratch, "store", .newerFormat)
  }

  // MARK: Hostile files

  /// One byte is changed: every key gives its value or an error, and nothing traps.
  @Test func anyByteMayBeWrong() throws {
    let seed = testSeed("anyByteMayBeWrong")
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    do {
      let store = try scratch.store()
      for number in 0..<700 { try store.put("value \(number)", forKey: "key \(number)") }
      try store.put(patterned(70_000, 1), forKey: "large")
      try store.checkpoint()
      for number in 0..<100 { try store.put("new \(number)", forKey: "key \(number)") }
      try write(contents(scratch.path()), to: scratch.path("crashed"))
    }
    let sound = try contents(scratch.path("crashed"))
    // Zeros are left out: they are mostly holes.
    let places = sound.indices.filter { sound[$0] != 0 }
    let path = scratch.path("crashed")
    for _ in 0..<150 * testScale {
      let place = places[generator.below(places.count)]
      try write(sound, to: path)
      try flip(path, at: place, mask: UInt8(1 << generator.below(8)))
      do {
        let store = try scratch.store("crashed") { $0.access = .readOnly }
        var absent = 0
        for number in 0..<700 {
          do {
            let value = try store.get("key \(number)", as: String.self)
            if value == nil { absent += 1 }
            let old = "value \(number)"
            // The last commits may be missing: damage at the log's end looks like a torn write.
            #expect(value == nil || value == old || value == "new \(number)", "byte \(place)")
          } catch {
            #expect(error.code == .damaged || error.code == .invalidText, "byte \(place): \(error)")
          }
        }
        #expect(absent == 0, "byte \(place)")
        _ = try store.verify()
        _ = try? store.everything()
      } catch {
        #expect(error.code == .damaged || error.code == .newerFormat, "byte \(place): \(error)")
      }
      _ = try Store.verify(path)
      // Writing must not trap either.
      if let store = try? scratch.store("crashed") {
        for number in 0..<30 { _ = try? store.put("again", forKey: "key \(number * 20)") }
        _ = try? store.remove("large")
        try? store.checkpoint()
        try? store.close()
      }
    }
  }
}
