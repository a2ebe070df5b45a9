#if CRASH_SIMULATION
  import Foundation
  import MappedMemory
  import SystemPackage
  import Testing

  @testable import KVMap

  /// Power fails at any instant, with any part of what was not synced written.
  ///
  /// Whatever image is left, the store must open by itself and equal the state
  /// after some commit that is not older than the last one acknowledged as
  /// durable, and `verify` must find nothing. Recovery is crashed in turn, three
  /// deep.
  ///
  /// `KVMAP_CRASH_IMAGES` sets how many images are made, `KVMAP_CRASH_SEED` from
  /// which life on: to replay a failure, set the seed it printed.
  @Suite(.serialized) struct CrashTests {
    static let environment = ProcessInfo.processInfo.environment
    static let images = Int(environment["KVMAP_CRASH_IMAGES"] ?? "") ?? 200_000
    static let firstSeed = UInt64(environment["KVMAP_CRASH_SEED"] ?? "") ?? 1

    @Test func everyCrashImageIsAPrefixOfTheCommits() throws {
      var crasher = Crasher(images: Self.images)
      var seed = Self.firstSeed
      while crasher.left > 0, crasher.violations.isEmpty {
        try crasher.run(seed: seed)
        seed += 1
      }
      print(
        "crash images: \(crasher.made), of them in recovery: \(crasher.nested); "
          + "lives: \(seed - Self.firstSeed)")
      #expect(crasher.violations.isEmpty)
      #expect(crasher.nested > 0)
    }
  }

  /// Makes crash images of lives and checks them.
  struct Crasher {
    private(set) var left: Int
    private(set) var made = 0
    private(set) var nested = 0
    private(set) var violations: [String] = []

    private var seed: UInt64 = 0
    private let directory: FilePath

    init(images: Int) {
      left = images
      directory = FilePath(FileManager.default.temporaryDirectory.path)
    }

    mutating func run(seed: UInt64) throws {
      self.seed = seed
      var random = SeededGenerator(seed: seed &* 7919)
      // Small stores mostly; every fourth life begins with a bucket about to split.
      let prelude = seed % 4 == 0 ? 400 + random.below(60) : 0
      let life = try Life(
        seed: seed, steps: 12 + random.below(30), prelude: prelude,
        keys: prelude > 0 ? 500 : 4 + random.below(12), in: directory)
      var history = History(states: life.states)
      try crash(life.trace, from: life.start, &history, depth: 1, &random)
    }

    /// What may be found at some moment.
    struct History {
      var states: [Contents]
      /// Commits begun, and commits known to be durable.
      var begun = 0
      var durable = -1

      mutating func apply(_ event: Trace.Event) {
        switch event {
        case .begun(let number): begun = number
        case .durable(let number): durable = number
        default: break
        }
      }
    }

    private mutating func crash(
      _ trace: Trace, from start: SimulatedBacking?, _ history: inout History, depth: Int,
      _ random: inout SeededGenerator
    ) throws {
      let disk = try Disk(copying: start, in: directory)
      // Some instants, each with some images; of a recovery a few dozen images in all.
      let share = depth == 1 ? 8 : max(1, trace.events.count / 8)
      for event in trace.events {
        disk.apply(event)
        history.apply(event)
        guard random.below(share) == 0 else { continue }
        for choice in choices(disk, depth, &random) {
          if left <= 0 || !violations.isEmpty { return }
          try check(disk, choice, history, depth: depth, &random)
        }
      }
    }

    private func choices(
      _ disk: Disk, _ depth: Int, _ random: inout SeededGenerator
    ) -> [Disk.Choice] {
      let pages = disk.dirtyPages.count
      // Now and then all subsets, while there are few pages.
      if depth == 1, pages <= 12, random.below(64) == 0 {
        return (0..<UInt64(1) << UInt64(pages)).map { .subset($0) }
      }
      return [.subset(random.next()), .versions, .sectors, .words]
    }

    private mutating func check(
      _ disk: Disk, _ choice: Disk.Choice, _ history: History, depth: Int,
      _ random: inout SeededGenerator
    ) throws {
      made += 1
      left -= 1
      if depth > 1 { nested += 1 }
      let deeper = depth < 3 && random.below(depth == 1 ? 150 : 20) == 0
      let trace = deeper ? Trace() : nil
      let image = try disk.image(choice, &random, trace: trace)
      let before = deeper ? try disk.snapshot(of: image) : nil
      // Before creation is complete the file has no name: there is nothing to find.
      if history.durable < 0 { return }
      do {
        let found = try Simulation.observing(image) {
          let core = try Simulation.open(image)
          let report = core.verify()
          guard report.isSound else {
            throw StoreError(.damaged, report.faults.map(\.description).joined(separator: "; "))
          }
          return try Simulation.contents(core)
        }
        judge(found, history, choice, depth)
      } catch {
        violate("\(error)", history, choice, depth)
      }
      if let trace, let before {
        // A crashed recovery must lead to the same choice of states.
        var same = history
        try crash(trace, from: before, &same, depth: depth + 1, &random)
      }
    }

    private mutating func judge(
      _ found: Contents, _ history: History, _ choice: Disk.Choice, _ depth: Int
    ) {
      let allowed = max(0, history.durable)...max(0, history.begun)
      if allowed.contains(where: { history.states[$0] == found }) { return }
      let other = history.states.firstIndex(of: found).map(String.init) ?? "no commit at all"
      violate("found the state after \(other), allowed are \(allowed)", history, choice, depth)
    }

    private mutating func violate(
      _ what: String, _ history: History, _ choice: Disk.Choice, _ depth: Int
    ) {
      violations.append(what)
      print(
        "violation: \(what); image \(made), \(choice), depth \(depth), commits durable \(history.durable), "
          + "begun \(history.begun); replay: KVMAP_CRASH_SEED=\(seed) swift test --filter CrashTests")
    }
  }
#endif
