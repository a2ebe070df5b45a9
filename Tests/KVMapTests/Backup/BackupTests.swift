import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

@Suite struct BackupTests {
  /// A backup has everything of one moment, and nothing that is written meanwhile.
  @Test func aBackupShowsOneMoment() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    for number in 0..<5_000 {
      try store.put(
        patterned(number % 300, UInt64(number)), forKey: "key \(number)",
        expires: number % 7 == 0 ? .at(millisecondsSince1970: 4_000_000_000_000) : .never)
    }
    try store.put(patterned(500_000, 3), forKey: "large")
    try store.put([], forKey: [UInt8]())
    for number in 0..<1_000 { try store.remove("key \(number)") }
    try store.put("gone", forKey: "gone", expires: .at(millisecondsSince1970: 1))
    var before: [[UInt8]: Store.Entry] = [:]
    var cursor = store.makeCursor()
    while let entry = try cursor.next() { before[entry.key] = entry }
    var calls = 0
    try store.backup(to: scratch.path("copy")) { _ in
      calls += 1
      _ = try? store.put("later", forKey: "later \(calls)")
      _ = try? store.remove("key \(1_000 + calls)")
    }
    #expect(calls > 2)
    #expect(try store.get("later 1", as: String.self) == "later")
    let report = try Store.verify(scratch.path("copy"))
    #expect(report.isSound && report.recordCount == before.count, "\(report.faults)")
    let copy = try scratch.store("copy")
    var met = 0
    cursor = copy.makeCursor()
    while let entry = try cursor.next() {
      met += 1
      #expect(before[entry.key] == entry)
    }
    #expect(met == before.count)
    // The copy's versions go on from the original's.
    try copy.put("new", forKey: "new")
    let version = try #require(try copy.entry(forKey: "new")).version
    #expect(before.values.allSatisfy { $0.version < version })
  }

  @Test func aBackupReplacesNothingAndIsNeverHalf() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("value", forKey: "key")
    try store.backup(to: scratch.path("copy"))
    #expect(code { try store.backup(to: scratch.path("copy")) } == .cannotCreate)
    #expect(code { try store.backup(to: scratch.path("no/such")) } == .cannotCreate)
    #expect(code { try store.backup(to: scratch.path()) } == .cannotCreate)
    // If a record cannot be read, there is an error, and no copy without that record.
    try store.put(patterned(200, 1), forKey: "damaged")
    try store.close()
    let place = try #require(try offset(of: patterned(200, 1), in: scratch.path()))
    try flip(scratch.path(), at: place + 100)
    let again = try scratch.store { $0.access = .readOnly }
    #expect(code { try again.backup(to: scratch.path("second")) } == .damaged)
    #expect(try scratch.names == ["copy", "store"])
  }

  /// Also of a store that was not closed, by a handle that only reads.
  @Test func aReadOnlyHandleMakesABackup() throws {
    let scratch = try Scratch()
    try scratch.store("closed").put("value", forKey: "key")
    let reader = try scratch.store("closed") { $0.access = .readOnly }
    try reader.backup(to: scratch.path("copy"))
    #expect(try scratch.store("copy").get("key", as: String.self) == "value")
  }

  /// Where the file system can share blocks, nothing is copied. Of what is written
  /// meanwhile, the copy has everything up to one moment.
  @Test(.enabled(if: SmallDisk.canMount), arguments: [SmallDisk.Kind.btrfs, .xfs])
  func diskSpaceIsShared(kind: SmallDisk.Kind) throws {
    let disk = try SmallDisk(kind, megabytes: 400)
    func path(_ name: String) -> FilePath { disk.directory.appending(name) }
    func room() throws -> Int {
      try Int(File(opening: path("store"), access: .readOnly).fileSystem().availableBytes)
    }
    let store = try Store(path: path("store").string)
    for number in 0..<20_000 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
    try store.put("past", forKey: "gone", expires: .at(millisecondsSince1970: 1))
    for key in ["left", "right"] { try store.put("0", forKey: key) }
    try store.checkpoint()
    let isDone = Atomic<Bool>(false)
    let writer = Threads(1) {
      var number = 0
      while !isDone.load(ordering: .relaxed) {
        number += 1
        try? store.transaction { transaction in
          try transaction.put("\(number)", forKey: "left")
          try transaction.put("\(number)", forKey: "right")
        }
        // At full speed it would write more than the copies may take.
        pause(microseconds: 100)
      }
    }
    let before = try room()
    var least = 0
    for round in 0..<5 {
      let started = try #require(Int(try store.get("left", as: String.self) ?? ""))
      try store.backup(to: path("copy \(round)"), sharesBlocks: true)
      let copy = try Store(path: path("copy \(round)").string)
      let left = Int(try #require(try copy.get("left", as: String.self)))
      #expect(try copy.get("right", as: String.self) == left.map { "\($0)" })
      #expect(try #require(left) >= max(started, least))
      least = left ?? 0
      // The copy may still hold what has expired.
      #expect(try copy.verify().isSound && [20_002, 20_003].contains(copy.count))
      for number in 0..<100 { try copy.put("changed", forKey: "key \(number)") }
      try copy.close()
    }
    isDone.store(true, ordering: .relaxed)
    writer.join()
    #expect(try before - room() < 60 << 20)
    for number in 0..<20_000 {
      #expect(try store.get("key \(number)") == patterned(1_000, UInt64(number)))
    }
    try store.backup(to: path("compact"))
    let report = try Store.verify(path("compact"))
    #expect(report.isSound && report.recordCount == 20_002)
    // A damaged record is found, though sharing blocks reads nothing.
    try store.close()
    let place = try #require(try offset(of: patterned(1_000, 7_000), in: path("store")))
    try flip(path("store"), at: place + 100)
    let again = try Store(path: path("store").string)
    #expect(code { try again.backup(to: path("damaged"), sharesBlocks: true) } == .damaged)
    #expect(try !disk.names.contains("damaged"))
  }

  /// The file system writes shared blocks elsewhere when they change. If there is no room
  /// for that, nothing that was acknowledged is lost, and no process dies.
  @Test(.enabled(if: SmallDisk.canMount), arguments: [SmallDisk.Kind.btrfs, .xfs])
  func sharedBlocksOnAFullDisk(kind: SmallDisk.Kind) throws {
    let disk = try SmallDisk(kind, megabytes: 400)
    let path = disk.directory.appending("store").string
    let store = try Store(path: path)
    var contents: [String: Int] = [:]
    for number in 0..<5_000 {
      try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)")
      contents["key \(number)"] = number
    }
    try store.backup(to: disk.directory.appending("copy"), sharesBlocks: true)
    try disk.takeAllRoom()
    var unknown: Set<String> = []
    for number in 0..<2_000 {
      let (key, value) = ("key \(number)", number + 10_000)
      do {
        try store.put(patterned(1_000, UInt64(value)), forKey: key)
        contents[key] = value
      } catch {
        #expect([.diskFull, .lost, .outcomeUnknown].contains(error.code), "\(error)")
        unknown.insert(key)
      }
    }
    #expect(!unknown.isEmpty)
    try? store.close()
    try disk.makeRoom()
    let again = try Store(path: path)
    for (key, value) in contents {
      let found = try again.get(key)
      #expect(found == patterned(1_000, UInt64(value)) || unknown.contains(key), "\(key)")
    }
    try again.put("works", forKey: "afterwards")
    #expect(try again.verify().isSound)
    let copy = try Store.verify(disk.directory.appending("copy"))
    #expect(copy.isSound && copy.recordCount == 5_000)
  }

  private func offset(of value: [UInt8], in path: FilePath) throws -> Int? {
    let all = [UInt8](try contents(path))
    return (0..<all.count - value.count).first {
      all[$0] == value[0] && Array(all[$0..<$0 + value.count]) == value
    }
  }
}
