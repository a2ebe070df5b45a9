#if CRASH_SIMULATION
  import MappedMemory
  import SystemPackage

  @testable import KVMap

  /// The contents of a store.
  typealias Contents = [[UInt8]: [UInt8]]

  /// A store over simulated memory.
  enum Simulation {
    static let clock = Clock { 1_000_000 }

    /// Runs `body` while every store into the backing's memory is noted.
    static func observing<R>(_ backing: SimulatedBacking, _ body: () throws -> R) rethrows -> R {
      let before = StoreObserver.current
      let base = unsafe backing.bytes.base
      let observer = unsafe StoreObserver { address, offset, count in
        if unsafe address == base { backing.noteStore(offset, count) }
      }
      StoreObserver.current = observer
      defer {
        StoreObserver.current = before
        withExtendedLifetime(observer) {}
      }
      return try body()
    }

    /// Creates an empty store.
    static func create(_ backing: SimulatedBacking) throws {
      let local = try LocalMemory(backing, seed: StoreSeed(low: 11, high: 22))
      defer { withExtendedLifetime(local) {} }
      try Creation(memory: local.memory, backing: backing, clock: clock, identifier: (1, 2)).build()
    }

    /// Recovers what is in the backing and opens it.
    static func open(_ backing: SimulatedBacking) throws -> StoreCore {
      let (block, bothAgree) = try Recovery.chooseSuperblock(backing.bytes)
      let local = try LocalMemory(backing, seed: block.seed)
      try Recovery(
        memory: local.memory, backing: backing, clock: clock, isTakeover: false, isPrivate: false
      ).run(block, bothAgree: bothAgree)
      local.memory.live[LivePage.holder] = 0
      local.memory.live[LivePage.syncFailed] = 0
      return try StoreCore(
        name: "simulated", path: nil, backing: backing, block: block, options: StoreOptions(),
        clock: clock, pinned: nil)
    }

    static func contents(_ core: StoreCore) throws -> Contents {
      var contents: Contents = [:]
      try core.forEach { key, value in
        contents[unsafe key.withUnsafeBytes { unsafe [UInt8]($0) }] =
          unsafe value.withUnsafeBytes { unsafe [UInt8]($0) }
      }
      return contents
    }
  }

  /// A scripted life of a store, with all that happened to its file and the
  /// contents after each commit.
  final class Life {
    let trace = Trace()
    /// Contents after commit n at index n.
    private(set) var states: [Contents]
    /// The disk as it was before the first event.
    let start: SimulatedBacking?

    private let backing: SimulatedBacking
    private var core: StoreCore?
    private var random: SeededGenerator

    /// - Parameter prelude: commits made before the trace begins, all durable.
    init(seed: UInt64, steps: Int, prelude: Int, keys: Int, in directory: FilePath) throws {
      random = SeededGenerator(seed: seed)
      var contents: Contents = [:]
      if prelude > 0 {
        let before = try SimulatedBacking(trace: nil)
        try Simulation.observing(before) {
          try Simulation.create(before)
          let store = Store(core: try Simulation.open(before))
          for number in 0..<prelude {
            let (key, value) = ([UInt8]("prelude \(number)".utf8), [UInt8]("value \(number)".utf8))
            try store.put(value, forKey: key)
            contents[key] = value
          }
          try Life.checkpoint(store)
          try store.close()
        }
        start = before
        let disk = try Disk(copying: before, in: directory)
        var generator = random
        backing = try disk.image(.versions, &generator, trace: trace)
      } else {
        start = nil
        backing = try SimulatedBacking(trace: trace)
      }
      states = [contents]
      try Simulation.observing(backing) {
        if prelude == 0 { try Simulation.create(backing) }
        trace.append(.durable(0))
        core = try Simulation.open(backing)
        for _ in 0..<steps { try step(keys) }
      }
    }

    private static func checkpoint(_ store: Store) throws {
      try store.core.takeTurn()
      defer { store.core.returnTurn(after: nil) }
      try store.core.checkpoint()
    }

    private func commit(_ contents: Contents, isDurable: Bool, _ body: () throws -> Void) throws {
      states.append(contents)
      trace.append(.begun(states.count - 1))
      try body()
      if isDurable { trace.append(.durable(states.count - 1)) }
    }

    private func key(_ keys: Int) -> [UInt8] { [UInt8]("key \(random.below(keys))".utf8) }

    private func value() -> [UInt8] {
      let size =
        switch random.below(20) {
        case 0: 0
        case 1: 66_000 + random.below(5_000)
        case 2: random.below(5_000)
        default: random.below(60)
        }
      return [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: size)
    }

    private func step(_ keys: Int) throws {
      guard let core else { return }
      let store = Store(core: core)
      var contents = states[states.count - 1]
      let isDurable = random.below(3) == 0
      let durability: Durability = isDurable ? .onCommit : .none
      switch random.below(20) {
      case 0: try Life.checkpoint(store)
      case 1:
        try store.sync()
        trace.append(.durable(states.count - 1))
      case 2:
        // Closed and opened again, by a process that dies or one that does not.
        if random.below(2) == 0 { try store.close() }
        self.core = try Simulation.open(backing)
      case 3, 4, 5, 6:
        let key = key(keys)
        guard contents.removeValue(forKey: key) != nil else { return }
        try commit(contents, isDurable: isDurable) { try store.remove(key, durability: durability) }
      case 7, 8, 9: try transaction(store, contents, keys, durability)
      default:
        let (key, value) = (key(keys), value())
        contents[key] = value
        try commit(contents, isDurable: isDurable) {
          try store.put(value, forKey: key, durability: durability)
        }
      }
    }

    private struct Abandoned: Error {}

    private func transaction(
      _ store: Store, _ before: Contents, _ keys: Int, _ durability: Durability
    ) throws {
      var contents = before
      let isAbandoned = random.below(4) == 0
      let changes = (0..<2 + random.below(5)).map { _ in
        (key: key(keys), value: random.below(4) == 0 ? nil : value())
      }
      for change in changes { contents[change.key] = change.value }
      let body: (borrowing Transaction) throws -> Void = { transaction in
        for change in changes {
          if let value = change.value {
            try transaction.put(value, forKey: change.key)
          } else {
            try transaction.remove(change.key)
          }
        }
        if isAbandoned { throw Abandoned() }
      }
      if isAbandoned {
        do { try store.transaction(durability: durability, body) } catch is Abandoned {}
        return
      }
      try commit(contents, isDurable: durability == .onCommit) {
        try store.transaction(durability: durability, body)
      }
    }
  }
#endif
