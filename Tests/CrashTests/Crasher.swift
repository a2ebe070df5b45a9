#if CRASH_SIMULATION
  import TestSupport

  @testable import KVMap

  /// Makes crash images of lives and checks them. From some images the life goes on, with
  /// recovery, the same operations and others, and crashes again.
  struct Crasher {
    /// How many images were made, by what the store was doing and how often it had crashed.
    struct Counts {
      var images: [Activity: Int] = [:]
      var ofRecovery = [Int](repeating: 0, count: Crasher.depth)
      var made = 0
      var lives = 0
      var exhausted = 0
      var damaged = 0
      var refused = 0
      var tally = Life.Tally()

      mutating func add(_ other: Counts) {
        images.merge(other.images, uniquingKeysWith: +)
        for level in ofRecovery.indices { ofRecovery[level] += other.ofRecovery[level] }
        made += other.made
        lives += other.lives
        exhausted += other.exhausted
        damaged += other.damaged
        refused += other.refused
        add(other.tally)
      }

      mutating func add(_ other: Life.Tally) {
        tally.deaths += other.deaths
        tally.failedSyncs += other.failedSyncs
        tally.takeovers += other.takeovers
        tally.handovers += other.handovers
        tally.losses += other.losses
        tally.looks += other.looks
      }
    }

    /// The greatest number of crashes in a row.
    static let depth = 4

    private(set) var left: Int
    private(set) var counts = Counts()
    private(set) var violations: [String] = []

    private var seed: UInt64 = 0
    private let file: SimulatedFile
    private let disks: [Disk]

    init(images: Int) throws {
      left = images
      file = try SimulatedFile(below: nil)
      disks = try (0..<Self.depth).map { _ in try Disk() }
    }

    /// What all crashes of one life share.
    private struct Case {
      var trace: Trace
      var history: History
      var operations: [Int: Operation]
      var style: Life.Style
      var time: Simulation.Time
    }

    mutating func run(seed: UInt64) {
      self.seed = seed
      counts.lives += 1
      var random = SeededGenerator(seed: seed &* 7919)
      let time = Simulation.Time()
      // A clock that is not believed.
      if random.once(in: 4) { time.now = 1_000_000 }
      let kind = Prelude.Kind(rawValue: Int(seed % UInt64(Prelude.Kind.allCases.count))) ?? .few
      do {
        file.begin(trace: nil)
        file.memory.clear()
        file.length = 0
        file.space = DiskSpace()
        let prelude = try Prelude(kind, in: file, time, &random)
        for disk in disks { disk.image.movesMappings = random.once(in: 2) }
        let trace = Trace()
        disks[0].begin(trace, on: (file.memory, nil, file.length, file.space))
        let life = Life(
          file, trace, start: disks[0].start, catalogue: prelude.catalogue,
          contents: prelude.contents,
          style: prelude.style, time: time, seed: random.next())
        try live(
          life, isCreated: kind == .none, script: [], steps: 14 + random.below(30), level: 0,
          &random)
      } catch {
        violate("\(error)", "in the life itself")
      }
    }

    private mutating func live(
      _ life: Life, isCreated: Bool, script: [Operation], steps: Int, level: Int,
      _ random: inout SeededGenerator
    ) throws {
      try life.run(isCreated: isCreated, script: script, steps: steps)
      counts.add(life.tally)
      let history = History(
        catalogue: life.catalogue, time: life.time.now, states: life.states,
        durable: isCreated ? -1 : 0)
      var crashed = Case(
        trace: life.trace, history: history, operations: life.operations, style: life.style,
        time: life.time)
      crash(&crashed, level, &random)
    }

    // MARK: Instants

    /// Crashes at some instants of everything the store did.
    private mutating func crash(
      _ crashed: inout Case, _ level: Int, _ random: inout SeededGenerator
    ) {
      var totals: [Activity: Int] = [:]
      for activity in crashed.trace.activities { totals[activity, default: 0] += 1 }
      let wanted = level == 0 ? 12 : 3
      for (number, event) in crashed.trace.events.enumerated() {
        disks[level].apply(event)
        crashed.history.apply(event)
        let activity = crashed.trace.activities[number]
        guard random.below(totals[activity] ?? 1) < wanted else { continue }
        for choice in choices(level, &random) {
          if left <= 0 || !violations.isEmpty { return }
          counts.images[activity, default: 0] += 1
          if activity == .recovery { counts.ofRecovery[level] += 1 }
          check(choice, crashed, level, &random)
        }
        if random.once(in: 8), violations.isEmpty { checkDamage(crashed, level, &random) }
      }
    }

    private mutating func choices(_ level: Int, _ random: inout SeededGenerator) -> [Disk.Choice] {
      let pages = disks[level].dirtyCount
      // At times all subsets, if there are few pages.
      if level == 0, pages <= 12, random.once(in: 512) {
        counts.exhausted += 1
        return (0..<UInt64(1) << UInt64(pages)).map { .subset($0) }
      }
      let all: [Disk.Choice] = [.subset(random.next()), .versions, .sectors, .words]
      let first = random.below(all.count)
      return [all[first], all[(first + 1 + random.below(all.count - 1)) % all.count]]
    }

    // MARK: Images

    private mutating func check(
      _ choice: Disk.Choice, _ crashed: Case, _ level: Int, _ random: inout SeededGenerator
    ) {
      counts.made += 1
      left -= 1
      disks[level].makeImage(choice, &random)
      let image = disks[level].image
      let history = crashed.history
      // The first crash has the most images, so fewer of them go on.
      let goesOn =
        level + 1 < Self.depth && history.durable >= 0 && random.once(in: level == 0 ? 60 : 50)
      let trace = Trace()
      if goesOn { disks[level + 1].begin(trace, on: disks[level].content) }
      var found: Int?
      do {
        found = try Simulation.observing(image) {
          do {
            let backing = try SimulatedBacking(image)
            try Simulation.recover(backing, crashed.time)
            if let problem = image.problem { throw problem }
            let memory = backing.mapping.source(seed: Simulation.seed).memory
            var verifier = Verifier(memory: memory, shared: memory.shared, report: Store.VerificationReport())
            verifier.run()
            if !verifier.report.isSound {
              throw Violation(verifier.report.faults.map(\.description).joined(separator: "; "))
            }
            if let found = try history.find(history.allowed, in: memory) { return found }
            return try history.find(Array(history.states.indices), in: memory)
          }
        }
      } catch {
        // Before its creation is complete the file has no name, and need not be a store: one sync writes both
        // superblocks and what they point to, in any order.
        if history.durable < 0 { return }
        return violate("\(error)", describe(choice, crashed, level))
      }
      guard let found, history.allowed.contains(found) else {
        return violate(
          "found the state after \(found.map { "commit \($0)" } ?? "no commit at all"), allowed are "
            + "\(history.allowed)", describe(choice, crashed, level))
      }
      if goesOn { goOn(from: found, trace, crashed, level, &random) }
    }

    /// Lets the life go on from an image and crash again.
    private mutating func goOn(
      from found: Int, _ trace: Trace, _ crashed: Case, _ level: Int,
      _ random: inout SeededGenerator
    ) {
      let history = crashed.history
      disks[level].restoreImage(from: disks[level + 1])
      let life = Life(
        disks[level].image, trace, start: disks[level + 1].start, catalogue: history.catalogue,
        contents: history.states[found], style: crashed.style, time: crashed.time,
        seed: random.next())
      // What was lost is done again, as a program would do that is started again.
      let lost =
        found < history.begun
        ? (found + 1...history.begun).compactMap { crashed.operations[$0] } : []
      do {
        try live(
          life, isCreated: false, script: Array(lost.prefix(random.below(5))),
          steps: random.below(8),
          level: level + 1, &random)
      } catch {
        violate("\(error)", "in a life after \(level + 1) crashes")
      }
    }

    // MARK: Damage

    /// Changes a bit of the log before a record that says that everything before it was durable.
    /// Opening must refuse and change nothing, or find what it should.
    private mutating func checkDamage(
      _ crashed: Case, _ level: Int, _ random: inout SeededGenerator
    ) {
      guard crashed.history.durable >= 0 else { return }
      disks[level].makeImage(.versions, &random)
      let image = disks[level].image
      let allowed = crashed.history.allowed
      do {
        try Simulation.observing(image) {
          do {
            let backing = try SimulatedBacking(image)
            let memory = backing.mapping.source(seed: Simulation.seed).memory
            guard let place = try Self.placeForDamage(memory, &random) else { return }
            counts.damaged += 1
            memory.bytes.store8(memory.bytes.load8(place) ^ 1 << UInt8(random.below(8)), place)
            let stores = image.storeCount
            do throws(Store.Error) {
              try Simulation.recover(backing, crashed.time)
            } catch {
              guard error.code == .damaged else { throw error }
              counts.refused += 1
              guard image.storeCount == stores else {
                throw Violation("a damaged store was refused, but written to")
              }
              return
            }
            let after = backing.mapping.source(seed: Simulation.seed).memory
            guard let found = try crashed.history.find(allowed, in: after), allowed.contains(found)
            else {
              throw Violation(
                "the log was damaged at \(place), and durable commits are lost silently")
            }
          }
        }
      } catch {
        violate("\(error)", "damage, after \(level) crashes")
      }
    }

    /// A byte of a record that must be there, since a later one has the flag SYNCED.
    private static func placeForDamage(
      _ memory: StoreMemory, _ random: inout SeededGenerator
    ) throws -> Int? {
      let block = try SuperblockPair(memory.fixed).current().block
      let start = LogWriter.Tail(
        position: block.logPosition, sequence: block.sequence, chain: block.chain)
      var scanner = LogScanner(memory: memory, tail: start, segment: block.segment)
      scanner.scan()
      var walk = LogWalk(memory: memory, from: start.position, upTo: scanner.end.tail.position)
      var records: [Range<Int>] = []
      var vouched = 0
      while let record = try walk.next() {
        if record.flags.contains(.synced) { vouched = records.count }
        records.append(record.offset..<record.offset + record.header.contentBytes)
      }
      if vouched == 0 { return nil }
      let record = records[random.below(vouched)]
      return record.lowerBound + random.below(record.count)
    }

    // MARK: Reports

    private func describe(_ choice: Disk.Choice, _ crashed: Case, _ level: Int) -> String {
      "image \(counts.made), \(choice), after \(level) crashes, commits durable "
        + "\(crashed.history.durable), begun \(crashed.history.begun)"
    }

    private mutating func violate(_ what: String, _ place: String) {
      violations.append(what)
      print(
        "violation: \(what); \(place); replay: KVMAP_CRASH_SEED=\(seed) KVMAP_CRASH_LIVES=1 "
          + "swift test --traits CrashSimulation --filter CrashTests")
    }
  }
#endif
