#if CRASH_SIMULATION
  import TestSupport

  @testable import KVMap

  /// What a store holds before a life begins, so that something rare happens soon.
  struct Prelude {
    var catalogue: Catalogue
    var contents: Contents
    var style: Life.Style

    enum Kind: Int, CaseIterable {
      /// No store yet.
      case none
      case few
      /// A bucket is about to split, without or with an overflow page.
      case bucketSplit, overflowSplit
      /// The root of the directory is about to split. All keys share nine bits of their hash.
      case directorySplit
      /// Two lines of a bucket are almost full.
      case overflow
      /// The log is about to go on in its next segment.
      case segment
      /// There are large values, and more will come.
      case large
      /// So much of the log is garbage that commits compact it.
      case garbage
      /// Buckets have split, and then lost most of their keys.
      case sparse
    }

    private static let ordinaryKeys = 12

    /// Keys that are put one after the other, and how many of them fit before the index changes
    /// its shape.
    private struct Filling {
      var keys: [[UInt8]]
      var room: Int
    }

    private static func filling(_ count: Int, _ isWanted: (KeyHash) -> Bool) -> [[UInt8]] {
      var keys: [[UInt8]] = []
      var number = 0
      while keys.count < count {
        let key = [UInt8]("fill \(number)".utf8)
        number += 1
        if unsafe isWanted(KeyHash(key.span.bytes, seed: Simulation.seed)) { keys.append(key) }
      }
      return keys
    }

    private static let natural = measured(filling(520) { _ in true })
    private static let similar = measured(filling(520) { $0.bits >> 55 == 0x155 })
    private static let crowding = filling(40) { hash in
      let lines = hash.lines
      return lines == (5, 17) || lines == (17, 5)
    }
    private static let crowded = Filling(keys: crowding, room: 16)
    private static let crowdedNatural = measured(
      Array(crowding.prefix(20)) + filling(520) { _ in true })

    /// Puts keys into a store until a bucket splits.
    private static func measured(_ keys: [[UInt8]]) -> Filling {
      var room = 0
      do {
        let file = try SimulatedFile(below: nil)
        try Simulation.observing(file) {
          let store = try Prelude.store(file, Simulation.Time())
          let root = store.core.memory.shared[.root]
          for key in keys {
            try store.put([0], forKey: key)
            let index = IndexReader(memory: store.core.memory)
            let hash = unsafe KeyHash(key.span.bytes, seed: Simulation.seed)
            let tag = UInt16(truncatingIfNeeded: store.core.memory.shared[.epoch].number)
            if try index.bucket(hash, workingTag: tag).depth > 0 || index.root.depth > root.depth {
              break
            }
            room += 1
          }
          try store.close()
        }
      } catch {
        preconditionFailure("a prelude cannot be made: \(error)")
      }
      return Filling(keys: keys, room: room)
    }

    private static func store(_ file: SimulatedFile, _ time: Simulation.Time) throws -> Store {
      try Simulation.create(file, time)
      return Store(core: try Simulation.open(file, time, Store.Options()).core)
    }

    /// Makes a store of this kind in the empty `file`, and closes it.
    init(
      _ kind: Kind, in file: SimulatedFile, _ time: Simulation.Time, _ random: inout SeededGenerator
    ) throws {
      var style = Life.Style()
      style.ordinaryKeys = 3 + random.below(Self.ordinaryKeys - 2)
      let filling: Filling? =
        switch kind {
        case .none, .few, .segment, .large, .garbage: nil
        case .bucketSplit, .sparse: Self.natural
        case .overflowSplit: Self.crowdedNatural
        case .directorySplit: Self.similar
        case .overflow: Self.crowded
        }
      style.freshKey = Self.ordinaryKeys
      let ordinary = (0..<Self.ordinaryKeys).map { [UInt8]("key \($0)".utf8) }
      catalogue = Catalogue(keys: ordinary + (filling?.keys ?? []))
      contents = Contents(keys: catalogue.keys.count)
      self.style = style
      file.movesMappings = random.once(in: 2)
      file.growthStep = random.once(in: 2) ? 1 << 20 : 0
      if kind == .none { return }
      try Simulation.observing(file) {
        let store = try Self.store(file, time)
        try fill(store, kind, filling?.room ?? 0, &random)
        try store.close()
        // Opened and closed once more, so that the log begins with what closing left.
        if random.once(in: 2) {
          try Simulation.open(file, time, Store.Options()).core.shutDown()
        }
      }
    }

    /// Removes most keys, but none whose removal would merge buckets.
    private mutating func thin(_ store: Store) throws {
      for key in catalogue.keys.indices where contents[key] != nil && contents.count > 120 {
        if (catalogue.hashes[key].bits >> 16) & 15 == 0 { continue }
        try store.remove(catalogue.keys[key])
        contents[key] = nil
      }
    }

    private mutating func put(_ store: Store, _ key: Int, _ value: Int32) throws {
      try store.put(catalogue.values[Int(value)], forKey: catalogue.keys[key])
      contents[key] = Contents.Record(value: value, expiry: .max)
    }

    private mutating func fill(
      _ store: Store, _ kind: Kind, _ room: Int, _ random: inout SeededGenerator
    ) throws {
      for key in 0..<style.ordinaryKeys where random.once(in: 2) && room == 0 {
        try put(store, key, catalogue.newValue(count: random.below(50), &random))
      }
      let isSplit = kind == .sparse
      for _ in 0..<max(0, isSplit ? room + 20 : room - 1 - random.below(3)) {
        try put(store, style.freshKey, catalogue.newValue(count: random.below(30), &random))
        style.freshKey += 1
      }
      let shared = store.core.memory.shared
      switch kind {
      case .segment:
        let value = catalogue.newValue(count: 40_000, &random)
        let short = 600 + random.below(8_000)
        func left() -> Int {
          Int(shared[.segment].number + Layout.segmentUnits) * Layout.unitBytes
            - Int(shared[.tail].offset)
        }
        while left() > 40_000 + short + 1_000 { try put(store, 0, value) }
        if left() > short {
          try put(store, 1, catalogue.newValue(count: left() - short, &random))
        }
        style.mediumShare = 4
      case .large:
        style.largeShare = 4
        for key in 0..<3 {
          try put(store, key, catalogue.newValue(count: 66_000 + random.below(70_000), &random))
        }
      case .garbage:
        // Live records lie between garbage.
        let value = catalogue.newValue(count: 60_000, &random)
        for number in 0..<60 {
          try put(store, number % style.ordinaryKeys, value)
          if number % 4 == 0 {
            try put(
              store, number / 4 % style.ordinaryKeys,
              catalogue.newValue(count: random.below(300), &random))
          }
        }
        for key in 0..<style.ordinaryKeys {
          try put(store, key, catalogue.newValue(count: 40, &random))
        }
      case .sparse: try thin(store)
      case .none, .few, .bucketSplit, .overflowSplit, .directorySplit, .overflow: break
      }
    }
  }
#endif
