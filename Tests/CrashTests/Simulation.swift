#if CRASH_SIMULATION
  import MappedMemory

  @testable import KVMap

  /// Stores in simulated memory: does what opening does with a real file.
  enum Simulation {
    static let seed = StoreSeed(low: 11, high: 22)

    /// The clock of a life.
    final class Time: @unchecked Sendable {
      // Sendable: a simulation runs on one thread.
      var now: UInt64 = 1_800_000_000_000
      var clock: Clock { Clock(now: { [self] in now }) }
    }

    /// Runs `body`, and notes every store into the file's memory.
    static func observing<R>(_ file: SimulatedFile, _ body: () throws -> R) rethrows -> R {
      let before = StoreObserver.current
      let observer = unsafe StoreObserver { address, offset, count in
        if unsafe file.isMapped(at: address) { file.noteStore(offset, count) }
      }
      StoreObserver.current = observer
      defer {
        StoreObserver.current = before
        withExtendedLifetime(observer) {}
      }
      return try body()
    }

    /// Creates an empty store.
    static func create(_ file: SimulatedFile, _ time: Time) throws(Store.Error) {
      let backing = try SimulatedBacking(file)
      try Creation(
        source: backing.mapping.source(seed: seed), backing: backing, clock: time.clock,
        identifier: (1, 2)
      ).build()
    }

    /// Recovers the store in the file, alone.
    static func recover(_ backing: SimulatedBacking, _ time: Time) throws(Store.Error) {
      guard try backing.extendMapping(to: StoreMapping.fixedBytes) else {
        throw Store.Error(.damaged, "the file has no superblocks")
      }
      let (block, bothAgree) = try SuperblockPair(backing.fixed).current()
      let source = backing.mapping.source(seed: seed)
      try Recovery(
        source: source, backing: backing, clock: time.clock, mode: .alone
      ).run(block, bothAgree: bothAgree)
      source.shared[.syncFailed] = 0
    }

    /// Recovers the store in the file and opens it.
    static func open(
      _ file: SimulatedFile, _ time: Time, _ options: Store.Options
    ) throws(Store.Error) -> (core: StoreCore, backing: SimulatedBacking) {
      try recover(SimulatedBacking(file), time)
      return try join(file, time, options, joinedOthers: false)
    }

    /// Opens the file as one more process, while others have it open.
    static func join(
      _ file: SimulatedFile, _ time: Time, _ options: Store.Options, joinedOthers: Bool = true
    ) throws(Store.Error) -> (core: StoreCore, backing: SimulatedBacking) {
      let backing = try SimulatedBacking(file)
      file.attach(backing)
      let block = try SuperblockPair(backing.fixed).current().block
      var options = options
      // A simulation runs on one thread.
      options.checkpoints = .inline
      let core = try StoreCore(
        name: "simulated", path: nil, backing: backing, block: block, options: options,
        clock: time.clock,
        pinned: nil, joinedOthers: joinedOthers)
      return (core, backing)
    }
  }

  extension StoreCore {
    /// The memory with everything by which others have grown the file.
    func allOfMemory() throws(Store.Error) -> StoreMemory {
      _ = try backing.extendMapping(to: Int(shared[.highWater].number) * Layout.unitBytes)
      return memory
    }
  }
#endif
