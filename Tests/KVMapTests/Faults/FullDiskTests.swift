import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Full disks: file systems of a few MiB, where this process can mount them, and a limit for the
/// length of files.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct FullDiskTests {
  /// What the disk is filled with.
  enum Pattern: String, CaseIterable, Codable {
    /// As many keys as fit: the index is large, and all of its pages are full.
    case smallKeys
    /// Values of all sizes, also large ones with units of their own.
    case mixedSizes
    /// Keys overwritten at random over many checkpoints, which scatters free pages.
    case overwrites
    /// Keys removed and put back one after the other, with checkpoints between.
    case churn
  }

  /// A key. It is long, so that the log reserved for removals has room for only a few hundred of them.
  private static func key(_ number: Int) -> [UInt8] {
    bytes("key \(number) ") + [UInt8](repeating: 1, count: 80)
  }

  private static func size(_ pattern: Pattern, _ random: inout SeededGenerator) -> Int {
    switch pattern {
    case .smallKeys: return 0
    case .overwrites, .churn: return random.below(60)
    case .mixedSizes:
      let kind = random.below(100)
      return kind == 0 ? random.below(150_000) : kind < 10 ? random.below(8_000) : random.below(200)
    }
  }

  /// Puts `keys` keys, then larger values until the disk is full, then smaller and smaller
  /// ones until there is no room even for an empty one.
  private static func fill(
    _ store: Store, _ pattern: Pattern, keys: Int, _ contents: inout Operation.Contents, _ seed: UInt64
  ) throws {
    var random = SeededGenerator(seed: seed)
    var isFull = false
    func put(_ number: Int, _ size: Int) throws {
      let value = patterned(size, random.next())
      do throws(Store.Error) {
        try store.put(value, forKey: key(number))
        contents[key(number)] = value
      } catch {
        guard error.code == .diskFull else { throw error }
        isFull = true
      }
    }
    for stamp in 0..<keys * (pattern == .overwrites || pattern == .churn ? 3 : 1) {
      let number = stamp < keys ? stamp : random.below(keys)
      if pattern == .churn, stamp % 3 == 0, try store.remove(key(number)) {
        contents[key(number)] = nil
      } else {
        try put(number, size(pattern, &random))
      }
      if pattern == .overwrites || pattern == .churn, stamp % 300 == 0 {
        try checkpointTwice(store)
      }
      if isFull { break }
    }
    var number = keys
    for size in [200_000, 40_000, 4_000, 400, 0] {
      isFull = false
      while !isFull {
        try put(number, size)
        number += 1
      }
    }
  }

  /// The first checkpoint may have no room to enter all released pages in the space table. It frees others,
  /// so the second one can enter the rest.
  private static func checkpointTwice(_ store: Store) throws {
    try store.checkpoint()
    try store.checkpoint()
  }

  /// On a full Btrfs a sync may take a second: two patterns and fewer keys are enough there.
  private static let fillings: [(Pattern, SmallDisk.Kind)] = SmallDisk.Kind.all.flatMap { kind in
    (kind == .btrfs || kind == .xfs ? [.smallKeys, .overwrites] : Pattern.allCases).map { ($0, kind) }
  }

  @Test(arguments: fillings)
  func everythingCanBeRemoved(pattern: Pattern, kind: SmallDisk.Kind) async {
    let seed = testSeed("everythingCanBeRemoved")
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [pattern = pattern as Pattern, kind = kind as SmallDisk.Kind, seed = seed as UInt64] in
      var stage = ""
      do {
        try Self.removeEverything(pattern, kind, seed, &stage)
      } catch {
        Issue.record("\(pattern) on \(kind), \(stage): \(error)")
      }
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    for line in output.split(separator: "\n") where line.hasPrefix("kvmap: ") { print(line) }
  }

  private static func removeEverything(
    _ pattern: Pattern, _ kind: SmallDisk.Kind, _ seed: UInt64, _ stage: inout String
  ) throws {
    let start = ContinuousClock.now
    // On a full Btrfs the system may take 50 ms for each page that changes after a sync.
    let disk = try SmallDisk(kind, megabytes: kind == .btrfs ? 6 : 12)
    // Each removal may take three syncs, which are slow on a real file system.
    let keys = (disk.kind == .btrfs ? 350 : disk.hasRealSyncs ? 600 : 8_000) * testScale
    let path = disk.directory.appending("store")
    try disk.takeRoom(1 << 20)
    var contents: Operation.Contents = [:]
    var store = try Store(path)
    stage = "filling"
    try Self.fill(store, pattern, keys: keys, &contents, seed)
    #expect(contents.count > 300)
    stage = "full"
    // A transaction that finds no room has not happened.
    #expect(try store.everything() == contents)
    #expect(
      code {
        try store.transaction { transaction in
          for key in 0..<40 { try transaction.put(patterned(60_000, 1), forKey: "key \(key)") }
        }
      } == .diskFull)
    #expect(try store.everything() == contents)
    // The next checkpoint releases what was prepared and not used.
    try checkpointTwice(store)
    try expectWorkingStateIsSound(store)
    #expect(try store.verify().isSound)

    stage = "removing"
    // Each key can be removed, in any order. Another handle removes half of them.
    let order = contents.keys.sorted { $0.lexicographicallyPrecedes($1) }.shuffled(seed)
    let count = order.count
    var failure: Store.Error?
    for (index, key) in order.enumerated() where failure == nil {
      if index == count / 2 {
        #expect(code { try store.close() } == nil)
        stage = "opening again, to remove the rest"
        store = try Store(path)
        #expect(try store.count == count - index)
        stage = "removing the rest"
      }
      do throws(Store.Error) {
        if try store.remove(key) { contents[key] = nil }
      } catch {
        failure = error
      }
    }
    let left = contents.count
    #expect(failure == nil, "\(pattern), \(disk.kind): \(left) of \(count) left: \(failure?.message ?? "")")
    #expect(try store.everything() == contents)
    stage = "empty"
    try checkpointTwice(store)
    try expectWorkingStateIsSound(store)
    #expect(code { try store.close() } == nil)

    stage = "after room was made"
    try disk.makeRoom()
    store = try Store(path)
    #expect(try store.everything() == contents)
    for number in 0..<1_000 { try store.put(patterned(100, 1), forKey: "again \(number)") }
    try expectWorkingStateIsSound(store)
    try store.close()
    #expect(try Store.verify(path).isSound)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("kvmap: \(pattern) on \(disk.kind): \(count) keys removed from a full disk, \(seconds) s")
  }

  /// A process is killed when the disk is full. Everything that had returned is there, and the
  /// store can be read. It opens for writing, or says that the disk is full and opens when
  /// there is space.
  @Test(arguments: SmallDisk.Kind.all)
  func aKillOnAFullDiskLosesNothing(kind: SmallDisk.Kind) throws {
    let disk = try SmallDisk(kind, megabytes: 12, limiting: false)
    let path = disk.directory.appending("store")
    if disk.kind != .limit { try disk.takeRoom(2 << 20) }
    let limit = disk.kind == .limit ? "\(10 << 20)" : "0"
    let child = try ChildProcess(.fillAndDie, [path.string, limit])
    _ = child.wait()
    let count = try child.drain().count
    #expect(count > 50)
    var contents: Operation.Contents = [:]
    for number in 0..<count {
      let (key, value) = FullDisk.record(number)
      contents[key] = value
    }
    let options = Store.Options(access: .readOnly)
    #expect(try Store(path, options: options).everything() == contents)
    #expect(try Store.verify(path).isSound)
    let opens: Bool
    do {
      let store = try Store(path)
      #expect(try store.everything() == contents)
      opens = true
    } catch let error as Store.Error {
      #expect(error.code == .diskFull, "\(error)")
      #expect(try Store(path, options: options).everything() == contents)
      opens = false
    }
    print("kvmap: \(count) keys on \(disk.kind), killed when it was full; opens there: \(opens)")
    if disk.kind != .limit { try disk.makeRoom() }
    let store = try Store(path)
    #expect(try store.everything() == contents)
    try store.put("new", forKey: "new")
    for key in contents.keys { #expect(try store.remove(key)) }
    #expect(try store.count == 1)
    try expectSound(store)
  }

  /// When another program has cloned the file, Btrfs writes each change to new blocks. A full
  /// disk has none, even for a removal: that is an error, and nothing is lost.
  @Test(.enabled(if: SmallDisk.canMount))
  func aFileThatIsCopiedOnWriteLosesNothing() throws {
    let disk = try SmallDisk(.btrfs, megabytes: 12)
    let scratch = try Scratch()
    let path = disk.directory.appending("store")
    var contents: Operation.Contents = [:]
    do {
      let store = try scratch.store()
      for number in 0..<3_000 { contents[Self.key(number)] = patterned(1_000, UInt64(number)) }
      for (key, value) in contents { try store.put(value, forKey: key) }
      try store.close()
    }
    try FileManager.default.copyItem(atPath: scratch.path().string, toPath: path.string)
    var store = try Store(path)
    try disk.takeAllRoom()
    var codes: [Store.Error.Code: Int] = [:]
    var unknown: Set<[UInt8]> = []
    for number in 0..<1_000 {
      let key = Self.key(number)
      let failure = code {
        if number % 2 == 0 {
          try store.put([1], forKey: key)
        } else {
          try store.remove(key)
        }
      }
      if let failure {
        codes[failure, default: 0] += 1
        unknown.insert(key)
        if failure == .lost, codes[.lost, default: 0] < 20, let other = try? Store(path) { store = other }
      } else {
        contents[key] = number % 2 == 0 ? [1] : nil
      }
    }
    print("kvmap: copied on write, on a full disk: \(codes)")
    #expect(!codes.isEmpty)
    // The first page that cannot be written may be one that all later calls need.
    #expect(Set(codes.keys).isSubset(of: [.diskFull, .outcomeUnknown, .lost]))
    try? store.close()
    try disk.makeRoom()
    store = try Store(path)
    for number in 0..<3_000 where !unknown.contains(Self.key(number)) {
      #expect(try store.get(Self.key(number)) == contents[Self.key(number)], "key \(number)")
    }
    try store.put("value", forKey: "key")
    try expectSound(store)
  }

  /// A process is killed after it has removed keys on a full disk: the store opens there, and
  /// more can be removed.
  @Test(.enabled(if: SmallDisk.canMount), arguments: [0, 20, 200, 700, 1_500, 1_900, 2_500, 5_000])
  func aKillAfterRemovalsOnAFullDiskIsRecoveredFrom(removals: Int) throws {
    let disk = try SmallDisk(.tmpfs, megabytes: 12)
    let path = disk.directory.appending("store")
    let child = try ChildProcess(.removeAndDie, [path.string, "\(removals)"])
    #expect(try child.receive() == 1)
    try disk.takeAllRoom()
    try child.send(1)
    _ = child.wait()
    let store = try Store(path)
    #expect(try store.count == FullDisk.smallCount - removals)
    for number in removals..<removals + 50 { #expect(try store.remove("key \(number)")) }
    try store.close()
    #expect(try Store(path).count == FullDisk.smallCount - removals - 50)
    try disk.makeRoom()
    #expect(try Store.verify(path).isSound)
  }

  /// On a full disk removals need a checkpoint. If one is being written, they wait for it.
  @Test(.enabled(if: SmallDisk.canMount))
  func removingWaitsForACheckpointThatIsBeingWritten() async throws {
    await #expect(processExitsWith: .success) {
      try blocking {
        let disk = try SmallDisk(.tmpfs, megabytes: 12)
        let store = try Store(disk.directory.appending("store"))
        for number in 0..<FullDisk.smallCount { try store.put([1, 2, 3], forKey: "key \(number)") }
        try store.checkpoint()
        try disk.takeAllRoom()
        let isWriting = Signal()
        let isSlow = Atomic<Bool>(true)
        FaultInjection.install { call in
          guard call == .fdatasync, isSlow.exchange(false, ordering: .relaxed) else { return nil }
          isWriting.give()
          // As long as a slow disk takes.
          usleep(500_000)
          return nil
        }
        defer { FaultInjection.install(nil) }
        #expect(store.core.maintenance.requestCheckpoint(store.core))
        isWriting.wait()
        for number in 0..<FullDisk.smallCount where number % 4 != 3 {
          #expect(try store.remove("key \(number)"))
        }
        try store.close()
        #expect(try Store(disk.directory.appending("store")).count == FullDisk.smallCount / 4)
        try disk.makeRoom()
        #expect(try Store.verify(disk.directory.appending("store")).isSound)
      }
    }
  }

  /// A limit for the length of files has a test of its own, in `FileSizeLimitTests`.
  @Test(.enabled(if: SmallDisk.canMount), arguments: [SmallDisk.Kind.tmpfs, .ext4, .xfs, .btrfs])
  func aCreationThatFindsNoRoomLeavesNothing(kind: SmallDisk.Kind) throws {
    let disk = try SmallDisk(kind, megabytes: 8)
    try disk.takeAllRoom()
    let path = disk.directory.appending("store")
    #expect(code { try Store(path) } == .diskFull)
    #expect(try disk.names == ["other"])
    try disk.makeRoom()
    let store = try Store(path)
    try store.put("value", forKey: "key")
    #expect(try disk.names == ["store"])
  }
}

/// What the child processes of `FullDiskTests` do.
enum FullDisk {
  static func record(_ number: Int) -> (key: [UInt8], value: [UInt8]) {
    var random = SeededGenerator(seed: UInt64(number))
    let size = random.below(30) == 0 ? 60_000 + random.below(60_000) : random.below(200)
    return (bytes("key \(number)"), patterned(size, UInt64(number)))
  }

  static let smallCount = 20_000

  static func removeAndDie(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0])
    for number in 0..<smallCount { try store.put([1, 2, 3], forKey: "key \(number)") }
    try store.checkpoint()
    try Parent.tell()
    try Parent.listen()
    for number in 0..<(Int(arguments[1]) ?? 0) { try store.remove("key \(number)") }
    kill(getpid(), SIGKILL)
  }

  static func fillAndDie(_ arguments: [String]) throws {
    if let limit = UInt64(arguments[1]), limit > 0 { try limitFileSize(to: limit) }
    let store = try Store(path: arguments[0])
    do {
      for number in 0... {
        let (key, value) = record(number)
        try store.put(value, forKey: key)
        try Parent.tell()
      }
    } catch let error as Store.Error {
      guard error.code == .diskFull else { throw error }
    }
    // Small changes still find room. Since the transaction is not committed, none of them may be found later.
    try store.transaction { transaction in
      for number in 0..<1_000 {
        if code({ try transaction.put("torn", forKey: "key \(number)") }) != nil { break }
      }
      kill(getpid(), SIGKILL)
    }
  }
}

extension Array {
  /// In an order that the seed decides.
  func shuffled(_ seed: UInt64) -> [Element] {
    var generator = SeededGenerator(seed: seed)
    return shuffled(using: &generator)
  }
}
