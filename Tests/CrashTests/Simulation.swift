#if CRASH_SIMULATION
  import MappedMemory

  @testable import KVMap

  /// A store over simulated memory: what opening does to a file, without the file.
  enum Simulation {
    static let seed = StoreSeed(low: 11, high: 22)

    /// The script's clock.
    final class Time: @unchecked Sendable {
      // Sendable: a simulation runs on one thread.
      var now: UInt64 = 1_000_000
      var clock: Clock { Clock { [self] in now } }
    }

    /// Runs `body` while every store into the file's memory is noted.
    static func observing<R>(_ file: SimulatedFile, _ body: () throws -> R) rethrows -> R {
      let before = StoreObserver.current
      let base = unsafe file.memory.bytes.base
      let observer = unsafe StoreObserver { address, offset, count in
        if unsafe address == base { file.noteStore(offset, count) }
      }
      StoreObserver.current = observer
      defer {
        StoreObserver.current = before
        withExtendedLifetime(observer) {}
      }
      return try body()
    }

    /// Creates an empty store.
    static func create(_ file: SimulatedFile, _ time: Time) throws(StoreError) {
      let backing = SimulatedBacking(file)
      let local = try LocalMemory(backing, seed: seed)
      defer { withExtendedLifetime(local) {} }
      try Creation(memory: local.memory, backing: backing, clock: time.clock, identifier: (1, 2))
        .build()
    }

    /// Recovers what is in the file, alone.
    static func recover(_ file: SimulatedFile, _ memory: StoreMemory, _ time: Time)
      throws(StoreError)
    {
      let backing = SimulatedBacking(file)
      let (block, bothAgree) = try Recovery.chooseSuperblock(backing.bytes)
      try Recovery(
        memory: memory, backing: backing, clock: time.clock, isTakeover: false, isPrivate: false
      ).run(block, bothAgree: bothAgree)
      memory.live[LivePage.holder] = 0
      memory.live[LivePage.syncFailed] = 0
    }

    /// Recovers what is in the file and opens it.
    static func open(
      _ file: SimulatedFile, _ time: Time, _ options: StoreOptions
    ) throws(StoreError) -> (core: StoreCore, backing: SimulatedBacking) {
      let local = try LocalMemory(SimulatedBacking(file), seed: seed)
      defer { withExtendedLifetime(local) {} }
      try recover(file, local.memory, time)
      return try join(file, time, options)
    }

    /// Opens the file as one more process, while others have it open.
    static func join(
      _ file: SimulatedFile, _ time: Time, _ options: StoreOptions
    ) throws(StoreError) -> (core: StoreCore, backing: SimulatedBacking) {
      let backing = SimulatedBacking(file)
      file.attach(backing)
      let block = try Recovery.chooseSuperblock(backing.bytes).0
      var options = options
      // A simulation runs on one thread.
      options.checkpoints = .inline
      let core = try StoreCore(
        name: "simulated", path: nil, backing: backing, block: block, options: options,
        clock: time.clock,
        pinned: nil)
      return (core, backing)
    }
  }

  /// What a process knows of a store, for looking at one image after the other.
  @safe
  final class Looker {
    private let table: UnsafeMutableRawPointer
    private let local: UnsafeMutablePointer<LocalState>

    init() {
      unsafe table = .allocate(byteCount: PagedMemory.pageCount, alignment: 64)
      unsafe local = .allocate(capacity: 1)
    }

    deinit {
      unsafe table.deallocate()
      unsafe local.deallocate()
    }

    /// Calls `body` with a view of the file by a process that has seen none of it.
    func look<R>(at file: SimulatedFile, _ body: (StoreMemory) throws -> R) rethrows -> R {
      unsafe table.initializeMemory(as: UInt8.self, repeating: 0, count: PagedMemory.pageCount)
      unsafe local.initialize(to: LocalState(verified: table, count: PagedMemory.pageCount))
      defer { unsafe local.deinitialize(count: 1) }
      let memory = unsafe StoreMemory(bytes: file.memory.bytes, seed: Simulation.seed, local: local)
      memory.noteMapped(file.length)
      return try body(memory)
    }
  }
#endif
