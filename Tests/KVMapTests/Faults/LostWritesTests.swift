#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// A disk fails to write what a process has stored, and the system reports that to a program
  /// that has nothing to do with the store. From then on the system takes the pages for written, and
  /// reports nothing to processes that open the file later.
  @Suite(.enabled(if: UserFileSystem.canMount), .serialized, .timeLimit(.minutes(5)))
  struct LostWritesTests {
    enum Step: String, CaseIterable, Codable { case put, sync, checkpoint, close }

    /// What happens to the process that stored.
    enum Fate: String, CaseIterable, Codable { case stays, closes, isKilled }

    /// All steps on two kinds of disks, and a checkpoint on XFS. Ext4 has tests of its own, which some
    /// kernels have to skip.
    private static let cases: [(FailingDisk.Kind, Step)] =
      [FailingDisk.Kind.user, .ext3].flatMap { kind in Step.allCases.map { (kind, $0) } }
      + [(.xfs, .checkpoint)]

    private static let ext4LosesIt: Comment = "this kernel's ext4 loses what is stored again after an error"

    /// What a later process calls durable is on the disk.
    @Test(arguments: cases)
    func nothingThatWasLostIsCalledDurable(kind: FailingDisk.Kind, step: Step) throws {
      for fate in kind == .user ? Fate.allCases : [.stays] {
        let disk = try FailingDisk(kind)
        let first = try disk.child()
        try disk.loseWrites()
        try disk.withWhatIsWritten { path throws in
          // Without a loss this test would show nothing.
          #expect(try Store(path).everything() != LostWrites.contents)
        }
        let store = try LostWrites.open(disk.path, step)
        // The first process gets the error itself.
        if fate == .closes { #expect(try first.obey(.close) == 1) }
        if fate == .isKilled { first.kill() }
        try expectDurable(after: step, store, disk, "\(kind), \(step), \(fate)")
      }
    }

    @Test(.enabled(if: FailingDisk.ext4KeepsWhatIsStoredAgain, ext4LosesIt))
    func nothingThatExt4LostIsCalledDurable() throws {
      try nothingThatWasLostIsCalledDurable(kind: .ext4, step: .checkpoint)
    }

    /// Takes the step, and checks that the disk then has everything.
    private func expectDurable(
      after step: Step, _ store: Store, _ disk: FailingDisk, _ what: Comment
    ) throws {
      var contents = LostWrites.contents
      #expect(code { try LostWrites.take(step, store, &contents) } == nil, what)
      try disk.withWhatIsWritten { path throws in
        #expect(try Store.verify(path).isSound, what)
        let copy = try Store(path)
        #expect(try copy.everything() == contents, what)
        try expectSound(copy, what)
      }
      if step == .close { return }
      #expect(try store.everything() == contents, what)
      try expectSound(store, what)
    }

    /// A checkpoint's sync fails, and its process is killed before it has noted that in the
    /// shared state.
    @Test(arguments: cases)
    func aSyncThatFailedBeforeAKillIsRecoveredFrom(kind: FailingDisk.Kind, step: Step) throws {
      for opensBefore in kind == .user ? [true, false] : [true] {
        let disk = try FailingDisk(kind)
        let first = try disk.child()
        try disk.failWrites()
        // The process has got the error and stops before it notes it.
        #expect(try first.obey(.failCheckpoint) == 2)
        try disk.doWrites()
        var store: Store?
        if opensBefore { store = try LostWrites.open(disk.path, step) }
        first.kill()
        try expectDurable(
          after: step, store ?? LostWrites.open(disk.path, step), disk,
          "\(kind), \(step), opened before the kill: \(opensBefore)")
      }
    }

    @Test(.enabled(if: FailingDisk.ext4KeepsWhatIsStoredAgain, ext4LosesIt))
    func aSyncThatFailedOnExt4BeforeAKillIsRecoveredFrom() throws {
      try aSyncThatFailedBeforeAKillIsRecoveredFrom(kind: .ext4, step: .checkpoint)
    }

    // MARK: Pages that come back

    /// The system drops pages that were not written, and reads them again as the last checkpoint wrote
    /// them. Reads and writes are right or throw an error.
    @Test(arguments: FailingDisk.Kind.allCases)
    func noOldPageThatComesBackIsTrusted(kind: FailingDisk.Kind) throws {
      let disk = try FailingDisk(kind)
      let first = try disk.child()
      try disk.loseWrites()
      #expect(try first.obey(.letGo) == 0)
      try disk.evict()
      // The words of the shared state have not gone back to an earlier state.
      #expect(try first.obey(.compareEnds) == 0)
      // This file system may have written some of the pages by itself.
      if kind == .user { return }
      #expect(try first.obey(.read) == 1)
      var options = Store.Options()
      for access in [Store.Access.readOnly, .readWrite] {
        options.access = access
        // Opening may fail too.
        guard let store = try LostWrites.unlessDamaged({ try Store(disk.path, options: options) }) else {
          continue
        }
        #expect(LostWrites.read(store) == 1, "\(access)")
        if access == .readOnly { continue }
        var contents = LostWrites.contents
        let isDone: Void? = try LostWrites.unlessDamaged { try LostWrites.take(.put, store, &contents) }
        if isDone != nil {
          try disk.withWhatIsWritten { path throws in #expect(try Store(path).everything() == contents) }
        }
      }
      #expect(try first.obey(.read) == 1)
    }
  }

  extension ChildProcess {
    fileprivate func obey(_ order: LostWrites.Order) throws -> UInt8? {
      try send(order.rawValue)
      return try receive()
    }
  }

  /// The process that stores what is lost, and the orders that it gets.
  enum LostWrites {
    enum Order: UInt8 {
      /// Closes the store. Answers 0 if all went well.
      case close
      /// Syncs as a checkpoint does, and answers 2 if that failed.
      case failCheckpoint
      /// Releases the pages of the file that are in its memory.
      case letGo
      /// Answers 0 if the log ends where it did.
      case compareEnds
      /// Answers 0 if everything can be read, 1 if some of it is damaged, 2 if something is wrong.
      case read
    }

    private static func values(_ stamp: UInt64, _ keys: Range<Int>) -> Operation.Contents {
      var contents: Operation.Contents = [:]
      for number in keys {
        contents[bytes("key \(number)")] = patterned(11 + number % 50, UInt64(number) + stamp)
      }
      for number in 0..<3 {
        contents[bytes("large \(number)")] = patterned(70_000 + number, UInt64(number) + stamp)
      }
      return contents
    }

    static let durable = values(0, 0..<600)
    /// Half of the keys have other values; some are new.
    static let contents = durable.merging(values(1_000, 300..<900)) { $1 }

    static func open(_ path: FilePath, _ step: LostWritesTests.Step) throws -> Store {
      var options = Store.Options(checkpoints: .inline)
      if step == .close { options.durability = .onCommit }
      return try Store(path, options: options)
    }

    static func take(
      _ step: LostWritesTests.Step, _ store: Store, _ contents: inout Operation.Contents
    ) throws {
      switch step {
      case .put:
        try store.put("value", forKey: "new", durability: .onCommit)
        contents[bytes("new")] = bytes("value")
      case .sync: try store.sync()
      case .checkpoint: try store.checkpoint()
      case .close: try store.close()
      }
    }

    // MARK: In the child

    static func fill(_ arguments: [String]) throws {
      let store = try Store(FilePath(arguments[0]), options: Store.Options(checkpoints: .inline))
      for (key, value) in durable { try store.put(value, forKey: key) }
      try store.checkpoint()
      for (key, value) in contents where durable[key] != value { try store.put(value, forKey: key) }
      let end = store.core.shared[.sequence].number
      try Parent.tell()
      while let order = Order(rawValue: try Parent.listen()) {
        try Parent.tell(try obey(order, store, arguments[0], end))
      }
    }

    private static func obey(
      _ order: Order, _ store: Store, _ path: String, _ end: UInt64
    ) throws -> UInt8 {
      switch order {
      case .compareEnds: return store.core.shared[.sequence].number == end ? 0 : 1
      case .close: return code { try store.close() } == nil ? 0 : 1
      case .failCheckpoint:
        FaultInjection.install { call in
          if call != .fdatasync { return nil }
          FaultInjection.install(nil)
          try? Parent.tell(syncAsCheckpointsDo(path))
          _ = try? Parent.listen()
          return nil
        }
        try store.checkpoint()
        return 0
      case .letGo:
        try letGo(path)
        return 0
      case .read: return read(store)
      }
    }

    /// Syncs every descriptor of this process for the file, so that each gets the error.
    private static func syncAsCheckpointsDo(_ path: String) -> UInt8 {
      var isFailed = false
      guard let identity = try? File.identity(of: FilePath(path)) else { return 0 }
      for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
        guard let number = Int32(name),
          (try? File.identity(of: FilePath("/proc/self/fd/\(name)"))) == identity
        else { continue }
        if fdatasync(number) != 0 { isFailed = true }
      }
      return isFailed ? 2 : 1
    }

    private static func letGo(_ path: String) throws {
      var status = stat()
      guard unsafe stat(path, &status) == 0 else { throw Errno(rawValue: errno) }
      for line in try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words[4] == "\(status.st_ino)", words[1].hasSuffix("s") else { continue }
        let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard let start = unsafe UnsafeMutableRawPointer(bitPattern: bounds[0]) else { continue }
        let result = unsafe madvise(start, Int(bounds[1] - bounds[0]), MADV_DONTNEED)
        // Pages that are locked in memory stay there.
        guard result == 0 || errno == EINVAL else { throw Errno(rawValue: errno) }
      }
    }

    static func unlessDamaged<R>(_ body: () throws -> R) throws -> R? {
      do { return try body() } catch let error as Store.Error {
        guard error.code == .damaged else { throw error }
        return nil
      }
    }

    static func read(_ store: Store) -> UInt8 {
      var result: UInt8 = 0
      for (key, value) in contents {
        do {
          if try store.get(key) != value { return 2 }
        } catch let error as Store.Error where error.code == .damaged {
          result = 1
        } catch {
          return 2
        }
      }
      return result
    }
  }
#endif
