#if CRASH_SIMULATION
  import TestSupport
  import Testing

  @testable import KVMap

  /// Defects that the simulation has found, each with the shortest history that shows it.
  struct RegressionTests {
    private static let time = Simulation.Time()

    private static func checkpoint(_ store: Store) throws {
      let core = store.core
      try core.conclude(try core.enterWaiting()) { turn throws(Store.Error) in
        _ = try core.checkpoint(turn, .skip)
      }
    }

    /// A checkpoint that goes on without the write lock.
    private static func beginCheckpoint(_ core: StoreCore) throws -> BegunCheckpoint {
      try #require(try BegunCheckpoint(core))
    }

    /// Several processes opened a store and died before they wrote anything. Each opening raises
    /// the sequence numbers by 2^24, and records with numbers more than two such steps above the
    /// log's end were taken for foreign bytes. So when a bit of an older record changed, all
    /// later durable commits were lost without an error.
    @Test func damageIsReportedAfterManyOpenings() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        let place = Int(core.memory.shared[.tail].offset)
        try Store(core: core).put([1], forKey: [1], durability: .onCommit)
        for _ in 0..<20 {
          backing.die()
          (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        }
        try Store(core: core).put([2], forKey: [2], durability: .onCommit)
        try Store(core: core).put([3], forKey: [3], durability: .onCommit)
        backing.die()
        file.memory.bytes.store8(file.memory.bytes.load8(place + 24) ^ 1, place + 24)
        let error = #expect(throws: Store.Error.self) {
          try Simulation.open(file, Self.time, Store.Options())
        }
        #expect(error?.code == .damaged)
      }
    }

    /// One process wrote a checkpoint while the sync of another one's commit failed. The
    /// checkpoint's own sync did not write the pages that the failed sync had left clean, and
    /// both superblocks called records durable that were not on the disk.
    @Test func aCheckpointGivesUpIfASyncFailedMeanwhile() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, _) = try Simulation.open(file, Self.time, Store.Options())
        let (other, _) = try Simulation.join(file, Self.time, Store.Options())
        try Store(core: core).put([1], forKey: [1])
        let before = try SuperblockPair(core.memory.bytes).current().block.epoch
        let block = try Self.beginCheckpoint(core)
        file.syncsUntilFailure = 0
        let failed = #expect(throws: Store.Error.self) {
          try Store(core: other).put([2], forKey: [2], durability: .onCommit)
        }
        #expect(failed?.code == .outcomeUnknown)
        let error = #expect(throws: Store.Error.self) { try block.finish() }
        #expect(error?.code == .outcomeUnknown)
        #expect(try SuperblockPair(core.memory.bytes).current().block.epoch == before)
        // The next writer takes over.
        try Store(core: other).put([3], forKey: [3])
        #expect(try Store(core: core).get([1]) == [1] && Store(core: core).get([3]) == [3])
      }
    }

    /// A checkpoint ended within a transaction, whose log then came back to a segment that the
    /// checkpoint had freed, and in which the last sync had ended. The next sync went on from
    /// there and synced only what lay after it: most of the commit was never synced.
    @Test func aSegmentThatACommitFreesAndReusesIsSynced() throws {
      let file = try SimulatedFile(below: nil)
      let disk = try Disk()
      let trace = Trace()
      disk.begin(trace, on: (file.memory, nil, 0, DiskSpace()))
      file.begin(trace: trace)
      let value = [UInt8](repeating: 7, count: 60_000)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, backing) = try Simulation.open(file, Self.time, Store.Options(checkpoints: .inline))
        let store = Store(core: core)
        try store.put(value, forKey: [1], durability: .onCommit)
        let durable = core.memory.shared[.durableSegment].number
        var begun = try Self.beginCheckpoint(core)
        for _ in 0..<55 { try store.put(value, forKey: [1]) }
        try begun.finish()
        for number in 0..<3 { try store.put([UInt8(number)], forKey: [2]) }
        begun = try Self.beginCheckpoint(core)
        var segments: Set<UInt64> = []
        try store.transaction(durability: .onCommit) { transaction in
          try transaction.put(value, forKey: [3])
          try begun.finish()
          for number in 1..<32 as Range<UInt8> {
            try transaction.put(value, forKey: [3, number])
            segments.insert(core.memory.shared[.segment].number)
          }
        }
        #expect(segments.contains(durable), "the log did not come back to where it was")
        backing.die()
      }
      for event in trace.events { disk.apply(event) }
      var random = SeededGenerator(seed: 1)
      for _ in 0..<4 {
        disk.makeImage(.words, &random)
        try Simulation.observing(disk.image) {
          let backing = try SimulatedBacking(disk.image)
          try Simulation.recover(backing, Self.time)
          #expect(backing.shared[.recordCount] == 34)
        }
      }
    }

    /// The sync of superblock B failed: it was torn on the disk, but equal to A and marked clean
    /// in memory. The next opening saw two equal superblocks and left them alone. The next
    /// checkpoint wrote A first; when power failed meanwhile, neither was whole.
    @Test func aSuperblockThatWasNotWrittenIsWrittenBeforeTheOther() throws {
      let file = try SimulatedFile(below: nil)
      let disk = try Disk()
      let trace = Trace()
      disk.begin(trace, on: (file.memory, nil, 0, DiskSpace()))
      file.begin(trace: trace)
      var crashPoint = 0
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        try Store(core: core).put([1], forKey: [1])
        // The syncs of the whole file and of A succeed, that of B fails.
        file.syncsUntilFailure = 2
        file.failureSeed = Self.seedThatLosesAPage
        let error = #expect(throws: Store.Error.self) { try Self.checkpoint(Store(core: core)) }
        #expect(error?.code == .outcomeUnknown)
        backing.die()
        (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        try Store(core: core).put([2], forKey: [2])
        crashPoint = trace.count
        try Self.checkpoint(Store(core: core))
        backing.die()
      }
      var random = SeededGenerator(seed: 1)
      for (number, event) in trace.events.enumerated() {
        disk.apply(event)
        if number < crashPoint { continue }
        for _ in 0..<8 {
          disk.makeImage(.words, &random)
          try Simulation.observing(disk.image) {
            let backing = try SimulatedBacking(disk.image)
            try Simulation.recover(backing, Self.time)
            #expect(backing.shared[.recordCount] >= 1)
          }
        }
      }
    }

    /// A process writes a checkpoint without the write lock and dies between the two superblocks.
    /// Nobody takes over then. The next checkpoint must not write over the superblock that
    /// points to the last one before the other superblock points to it too.
    @Test(arguments: 0..<6)
    func aDeathBetweenTheSuperblocksLosesNoCheckpoint(syncs: Int) throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        let (other, _) = try Simulation.join(file, Self.time, Store.Options())
        try Store(core: core).put([1], forKey: [1])
        let begun = try Self.beginCheckpoint(core)
        let block = begun.block
        let checkpoint = Checkpoint(source: core.source, backing: backing, previous: block)
        try checkpoint.seal(block, after: core.memory.shared[.durableEpoch])
        try backing.syncAll()
        block.encode(core.memory.bytes, at: Layout.superblockOffsets.a)
        try backing.sync(offset: Layout.superblockOffsets.a, count: Layout.pageBytes)
        backing.die()
        begun.drop()
        try Store(core: other).put([2], forKey: [2])
        file.syncsUntilFailure = syncs
        try? Self.checkpoint(Store(core: other))
        let (a, b) = Layout.superblockOffsets
        let first = try Superblock.decode(other.memory.bytes, at: a).get().epoch
        let second = try Superblock.decode(other.memory.bytes, at: b).get().epoch
        #expect(first == block.epoch || second >= block.epoch)
      }
    }

    /// A sync failed outside of any commit, so that only its mark said that the store had to be
    /// taken over. The takeover cleared the mark while it was still replacing the words of the
    /// shared state. A process that died then left the root of one tree and the space table of
    /// another, and nobody noticed.
    @Test func aTakeoverThatDiesAnywhereIsBegunAgain() throws {
      let file = try SimulatedFile(below: nil)
      let start = try PagedMemory()
      let trace = Trace()
      file.begin(trace: trace)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        try Store(core: core).put([1], forKey: [1])
        file.syncsUntilFailure = 0
        #expect(throws: Store.Error.self) { try Self.checkpoint(Store(core: core)) }
        backing.die()
        let before = trace.count
        (core, backing) = try Simulation.join(file, Self.time, Store.Options())
        try Store(core: core).sync()
        backing.die()
        // From the last instant to the first, since a file can only be rewound.
        for instant in (before...trace.count).reversed() {
          file.rewind(to: instant, start: (start, 0, DiskSpace()))
          (core, backing) = try Simulation.join(file, Self.time, Store.Options())
          try Store(core: core).put([2], forKey: [2])
          #expect(try Store(core: core).get([1]) == [1])
          let report = core.verify()
          #expect(report.isSound, "after \(instant - before) events: \(report.faults)")
          backing.die()
          file.rewind(to: instant, start: (start, 0, DiskSpace()))
        }
      }
    }

    // MARK: Errors that were reported to another process

    /// What a test of lost writes needs: a file, its disk, and the trace.
    private struct Ground {
      let file: SimulatedFile
      let disk: Disk
      let trace = Trace()

      init() throws {
        file = try SimulatedFile(below: nil)
        disk = try Disk()
        disk.begin(trace, on: (file.memory, nil, 0, DiskSpace()))
        file.begin(trace: trace)
      }

      /// Power fails at this moment. Returns the keys that are left.
      func keysAfterPowerFailure(_ keys: ClosedRange<UInt8>) throws -> [UInt8] {
        for event in trace.events { disk.apply(event) }
        var random = SeededGenerator(seed: 1)
        // No page that is not durable has reached the disk.
        disk.makeImage(.subset(0), &random)
        return try Simulation.observing(disk.image) {
          let store = Store(core: try Simulation.open(disk.image, RegressionTests.time, Store.Options()).core)
          #expect(store.core.verify().isSound)
          return try keys.filter { try store.get([$0]) == [$0] }
        }
      }
    }

    /// Loses every page that is not durable. Processes that open the store later get no error.
    private static func loseEverything(_ file: SimulatedFile) {
      // Each seed loses half of them.
      for seed in 0..<64 as Range<UInt64> { file.loseWrites(seed: seed) }
    }

    /// A process put a value. Its pages could not be written, and the system reported that to a
    /// program that has nothing to do with the store. A second process opened the store beside
    /// the first and got no error: its durable put, its sync and its checkpoint succeeded and
    /// called durable what was not on the disk.
    @Test(arguments: ["put", "sync", "checkpoint", "close"])
    func nobodyVouchesForWhatWasLostBefore(how: String) throws {
      let ground = try Ground()
      try Simulation.observing(ground.file) {
        try Simulation.create(ground.file, Self.time)
        let (first, _) = try Simulation.open(ground.file, Self.time, Store.Options())
        try Store(core: first).put([1], forKey: [1])
        // Enough for a checkpoint at the end.
        try Store(core: first).put([UInt8](repeating: 9, count: 100), forKey: [9])
        Self.loseEverything(ground.file)
        let (core, backing) = try Simulation.join(ground.file, Self.time, Store.Options())
        let second = Store(core: core)
        switch how {
        case "put": try second.put([2], forKey: [2], durability: .onCommit)
        case "sync": try second.sync()
        case "checkpoint": try Self.checkpoint(second)
        default:
          // The first process has ended by then.
          ground.file.endOthers(than: backing)
          try second.close()
        }
        #expect(try ground.keysAfterPowerFailure(1...2) == (how == "put" ? [1, 2] : [1]))
      }
    }

    /// A checkpoint's sync failed, and its process was killed before it could note that. A
    /// system that reports an error only once let all others take the pages for written.
    @Test func aSyncThatFailedBeforeAKillIsRecoveredFrom() throws {
      let ground = try Ground()
      let file = ground.file
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, backing) = try Simulation.open(file, Self.time, Store.Options())
        let (other, _) = try Simulation.join(file, Self.time, Store.Options())
        // After this checkpoint it inherits nothing that others have stored.
        try Self.checkpoint(Store(core: other))
        try Store(core: core).put([1], forKey: [1])
        let begun = try Self.beginCheckpoint(core)
        Self.loseEverything(file)
        #expect(throws: Store.Error.self) { try begun.finish() }
        let failure = try #require(
          ground.trace.events.lastIndex { if case .sync = $0 { true } else { false } })
        file.rewind(to: failure + 1, start: ground.disk.start)
        backing.die()
        begun.drop()
        file.forgetLosses()
        try Self.checkpoint(Store(core: other))
        #expect(try ground.keysAfterPowerFailure(1...1) == [1])
      }
    }

    /// The system dropped an index page that it had failed to write, and read it again from the
    /// disk. For a reader that was an empty page, and its keys were absent.
    @Test func anOldPageFromTheDiskIsNotBelieved() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, _) = try Simulation.open(file, Self.time, Store.Options())
        let store = Store(core: core)
        try store.put([1], forKey: [1])
        let hash = unsafe KeyHash([1].span.bytes, seed: Simulation.seed)
        let root = core.shared[.root]
        let bucket = try IndexReader(memory: core.memory).bucket(hash, workingTag: root.epochTag).page
        let before = core.memory.bytes.array(bucket.offset, count: Layout.pageBytes)
        core.memory.bytes.zero(bucket.offset, count: Layout.pageBytes)
        for key in [1, 2] as [UInt8] {
          let error = #expect(throws: Store.Error.self) { try store.get([key]) }
          #expect(error?.code == .damaged)
        }
        // No checkpoint includes such a page: a recovery rebuilds the index.
        let error = #expect(throws: Store.Error.self) { try Self.checkpoint(store) }
        #expect(error?.code == .outcomeUnknown)
        unsafe core.memory.bytes.copy(before.span.bytes, to: bucket.offset)
        try store.put([2], forKey: [2])
        #expect(try store.get([1]) == [1])
        try Self.checkpoint(store)
      }
    }

    /// A sync that fails with this seed does not write its first page.
    private static let seedThatLosesAPage: UInt64 = {
      var seed: UInt64 = 0
      while true {
        var random = SeededGenerator(seed: seed)
        if !random.once(in: 2) { return seed }
        seed += 1
      }
    }()
  }
#endif
