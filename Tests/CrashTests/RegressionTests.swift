#if CRASH_SIMULATION
  import TestSupport
  import Testing

  @testable import KVMap

  /// What the simulation found, each as short as it can be told.
  struct RegressionTests {
    private static let time = Simulation.Time()

    private static func checkpoint(_ store: Store) throws {
      let core = store.core
      try core.conclude(try core.enterWaiting()) { turn throws(StoreError) in
        _ = try core.checkpoint(turn, .skip)
      }
    }

    /// A checkpoint that goes on without the turn.
    private static func beginCheckpoint(_ core: StoreCore) throws -> BegunCheckpoint {
      try #require(try BegunCheckpoint(core))
    }

    /// A store was opened some times by processes that died before they wrote
    /// anything. Each opening moves the sequence numbers on by 2^24; and what lay
    /// further than two of these past the end was taken for something foreign.
    /// So when a bit of an older record changed, all durable commits since were
    /// lost, and nobody was told.
    @Test func damageIsToldAcrossManyOpenings() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        let place = Int(core.memory.shared[.tail].offset)
        try Store(core: core).put([1], forKey: [1], durability: .onCommit)
        for _ in 0..<20 {
          backing.die()
          (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        }
        try Store(core: core).put([2], forKey: [2], durability: .onCommit)
        try Store(core: core).put([3], forKey: [3], durability: .onCommit)
        backing.die()
        file.memory.bytes.store8(file.memory.bytes.load8(place + 24) ^ 1, place + 24)
        let error = #expect(throws: StoreError.self) {
          try Simulation.open(file, Self.time, StoreOptions())
        }
        #expect(error?.code == .damaged)
      }
    }

    /// One process wrote a checkpoint while the sync of another one's commit failed. Pages
    /// that the failed sync left clean were not written by the checkpoint's own sync, and
    /// both superblocks vouched for records that were nowhere on the disk.
    @Test func aCheckpointGivesUpIfASyncFailedMeanwhile() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, _) = try Simulation.open(file, Self.time, StoreOptions())
        let (other, _) = try Simulation.join(file, Self.time, StoreOptions())
        try Store(core: core).put([1], forKey: [1])
        let before = try SuperblockPair(core.memory.bytes).current().block.epoch
        let block = try Self.beginCheckpoint(core)
        file.syncsUntilFailure = 0
        let failed = #expect(throws: StoreError.self) {
          try Store(core: other).put([2], forKey: [2], durability: .onCommit)
        }
        #expect(failed?.code == .outcomeUnknown)
        let error = #expect(throws: StoreError.self) { try block.finish() }
        #expect(error?.code == .outcomeUnknown)
        #expect(try SuperblockPair(core.memory.bytes).current().block.epoch == before)
        // The next writer takes over, and all is there.
        try Store(core: other).put([3], forKey: [3])
        #expect(try Store(core: core).get([1]) == [1] && Store(core: core).get([3]) == [3])
      }
    }

    /// A checkpoint ended within a turn, and the log of that turn came back to a segment that
    /// it had freed, in which the last sync had ended. From there the next sync went on: it
    /// took what lay after it for all there was, and most of the commit was never synced.
    @Test func aSegmentIsReusedInTheTurnInWhichItsCheckpointEnds() throws {
      let file = try SimulatedFile(below: nil)
      let disk = try Disk()
      let trace = Trace()
      disk.begin(trace, on: (file.memory, nil, 0, DiskSpace()))
      file.begin(trace: trace)
      let value = [UInt8](repeating: 7, count: 60_000)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var options = StoreOptions()
        options.checkpoints = .inline
        let (core, backing) = try Simulation.open(file, Self.time, options)
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

    /// The sync of superblock B failed; on the disk it was torn, in memory equal to
    /// A, and marked clean. The next opening saw two equal superblocks and left
    /// them alone. The next checkpoint wrote A first: when power failed during
    /// that, neither was whole.
    @Test func superblockThatWasNotWrittenIsWrittenBeforeTheOther() throws {
      let file = try SimulatedFile(below: nil)
      let disk = try Disk()
      let trace = Trace()
      disk.begin(trace, on: (file.memory, nil, 0, DiskSpace()))
      file.begin(trace: trace)
      var crashPoint = 0
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        try Store(core: core).put([1], forKey: [1])
        // The whole file, A, and then B.
        file.syncsUntilFailure = 2
        file.failureSeed = Self.seedThatLosesAPage
        let error = #expect(throws: StoreError.self) { try Self.checkpoint(Store(core: core)) }
        #expect(error?.code == .outcomeUnknown)
        backing.die()
        (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
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

    /// A process that writes a checkpoint does not have the turn, and may die between the two superblocks:
    /// nobody takes over then. The next one must not write over the whole superblock that
    /// leads to the last checkpoint before the other one does so as well.
    @Test(arguments: 0..<6)
    func whoDiesBetweenTheSuperblocksIsFinishedFor(syncs: Int) throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        let (other, _) = try Simulation.join(file, Self.time, StoreOptions())
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

    /// A sync failed outside of any commit, so nothing but its mark said that the
    /// store had to be taken over; and the mark was taken away while the new words
    /// were still replacing the old. A process that died then left a root of one tree and a
    /// space table of another, and nobody noticed.
    @Test func takeoverCutAnywhereIsBegunAgain() throws {
      let file = try SimulatedFile(below: nil)
      let start = try PagedMemory()
      let trace = Trace()
      file.begin(trace: trace)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        var (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        try Store(core: core).put([1], forKey: [1])
        file.syncsUntilFailure = 0
        #expect(throws: StoreError.self) { try Self.checkpoint(Store(core: core)) }
        backing.die()
        let before = trace.count
        (core, backing) = try Simulation.join(file, Self.time, StoreOptions())
        try Store(core: core).sync()
        backing.die()
        // From the last instant to the first: each is reached by going back.
        for instant in (before...trace.count).reversed() {
          file.rewind(to: instant, start: (start, 0, DiskSpace()))
          (core, backing) = try Simulation.join(file, Self.time, StoreOptions())
          try Store(core: core).put([2], forKey: [2])
          #expect(try Store(core: core).get([1]) == [1])
          let report = core.verify()
          #expect(report.isSound, "after \(instant - before) events: \(report.faults)")
          backing.die()
          file.rewind(to: instant, start: (start, 0, DiskSpace()))
        }
      }
    }

    // MARK: Errors that somebody else was told of

    /// What a test of lost writes needs: a file, the disk under it, and what happened.
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

      /// Power fails now: whatever was not written may be gone. The keys that are left.
      func keysAfterPowerFailure(_ keys: ClosedRange<UInt8>) throws -> [UInt8] {
        for event in trace.events { disk.apply(event) }
        var random = SeededGenerator(seed: 1)
        // None of the pages that are not durable.
        disk.makeImage(.subset(0), &random)
        return try Simulation.observing(disk.image) {
          let store = Store(core: try Simulation.open(disk.image, RegressionTests.time, StoreOptions()).core)
          #expect(store.core.verify().isSound)
          return try keys.filter { try store.get([$0]) == [$0] }
        }
      }
    }

    /// Loses every page that is not durable; nobody who has the store open later is told.
    private static func loseEverything(_ file: SimulatedFile) {
      // Each seed loses half of them.
      for seed in 0..<64 as Range<UInt64> { file.loseWrites(seed: seed) }
    }

    /// A process put; its pages could not be written, and a program that has nothing to do with
    /// the store was told of it. Then a second process opened the store beside the first, and
    /// was told nothing: its durable put, its sync and its checkpoint succeeded and vouched
    /// for what was nowhere on the disk.
    @Test(arguments: ["put", "sync", "checkpoint", "close"])
    func nobodyVouchesForWhatWasLostBefore(how: String) throws {
      let ground = try Ground()
      try Simulation.observing(ground.file) {
        try Simulation.create(ground.file, Self.time)
        let (first, _) = try Simulation.open(ground.file, Self.time, StoreOptions())
        try Store(core: first).put([1], forKey: [1])
        // Enough for a checkpoint at the end.
        try Store(core: first).put([UInt8](repeating: 9, count: 100), forKey: [9])
        Self.loseEverything(ground.file)
        let (core, backing) = try Simulation.join(ground.file, Self.time, StoreOptions())
        let second = Store(core: core)
        switch how {
        case "put": try second.put([2], forKey: [2], durability: .onCommit)
        case "sync": try second.sync()
        case "checkpoint": try Self.checkpoint(second)
        default:
          // The first is gone by then.
          ground.file.endOthers(than: backing)
          try second.close()
        }
        #expect(try ground.keysAfterPowerFailure(1...2) == (how == "put" ? [1, 2] : [1]))
      }
    }

    /// A checkpoint's sync failed, and its process was killed before it could say so. Where the
    /// system tells of an error only once, everybody else took the pages for written.
    @Test func aSyncThatSomebodyDiedOverIsTakenForFailed() throws {
      let ground = try Ground()
      let file = ground.file
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, backing) = try Simulation.open(file, Self.time, StoreOptions())
        let (other, _) = try Simulation.join(file, Self.time, StoreOptions())
        // From here on it vouches for what it has stored itself.
        try Self.checkpoint(Store(core: other))
        try Store(core: core).put([1], forKey: [1])
        let begun = try Self.beginCheckpoint(core)
        Self.loseEverything(file)
        #expect(throws: StoreError.self) { try begun.finish() }
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

    /// The system dropped a page of the index that it had failed to write, and brought back what
    /// the disk had: to a reader that was an empty page, and its keys were absent.
    @Test func aPageThatCameBackFromTheDiskIsNotBelieved() throws {
      let file = try SimulatedFile(below: nil)
      try Simulation.observing(file) {
        try Simulation.create(file, Self.time)
        let (core, _) = try Simulation.open(file, Self.time, StoreOptions())
        let store = Store(core: core)
        try store.put([1], forKey: [1])
        let hash = unsafe KeyHash([1].span.bytes, seed: Simulation.seed)
        let root = core.shared[.root]
        let bucket = try IndexReader(memory: core.memory).bucket(hash, workingTag: root.epochTag).page
        let before = core.memory.bytes.array(bucket.offset, count: Layout.pageBytes)
        core.memory.bytes.zero(bucket.offset, count: Layout.pageBytes)
        for key in [1, 2] as [UInt8] {
          let error = #expect(throws: StoreError.self) { try store.get([key]) }
          #expect(error?.code == .damaged)
        }
        // Nor is it put into a checkpoint: the index is made anew.
        let error = #expect(throws: StoreError.self) { try Self.checkpoint(store) }
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
