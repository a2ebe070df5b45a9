#if CRASH_SIMULATION
  import Foundation
  import Synchronization
  import TestSupport
  import Testing

  @testable import KVMap

  /// Power fails at any instant, and any part of what was not synced may be on the disk.
  ///
  /// From every such image the store must open by itself and equal the state after some commit
  /// that is not older than the last one acknowledged as durable, and a verification must find
  /// no fault. From some images the life goes on, and power fails again: in recovery and in
  /// what follows, up to four times.
  ///
  /// Within a life, writing processes die between any two stores, syncs fail, others take over
  /// or recover, and a process reads all the time.
  ///
  /// `KVMAP_CRASH_IMAGES` sets how many images are made (200,000), and `KVMAP_CRASH_WORKERS` on
  /// how many threads (2). `KVMAP_CRASH_SEED` is the first life and `KVMAP_CRASH_LIVES` the
  /// greatest number of lives. To replay a failure, set them to the seed that it printed and to 1.
  @Suite(.serialized) struct CrashTests {
    @Test func everyCrashImageIsAPrefixOfTheCommits() throws {
      let lives = Environment.number("KVMAP_CRASH_LIVES")
      let images = lives == nil ? Environment.number("KVMAP_CRASH_IMAGES") ?? 200_000 : Int.max / 2
      let firstSeed = UInt64(Environment.number("KVMAP_CRASH_SEED") ?? 1)
      let workers = lives.map { min($0, 2) } ?? max(1, Environment.number("KVMAP_CRASH_WORKERS") ?? 2)
      let nextSeed = Atomic<UInt64>(firstSeed)
      let total = Mutex((counts: Crasher.Counts(), violations: [String]()))
      DispatchQueue.concurrentPerform(iterations: workers) { _ in
        do {
          var crasher = try Crasher(images: images / workers)
          while crasher.left > 0, crasher.violations.isEmpty {
            let seed = nextSeed.wrappingAdd(1, ordering: .relaxed).oldValue
            if let lives, seed >= firstSeed + UInt64(lives) { break }
            crasher.run(seed: seed)
          }
          total.withLock {
            $0.counts.add(crasher.counts)
            $0.violations += crasher.violations
          }
        } catch {
          total.withLock { $0.violations.append("\(error)") }
        }
      }
      let (counts, violations) = total.withLock { $0 }
      Self.report(counts)
      #expect(violations.isEmpty)
      if lives != nil { return }
      for activity in Activity.allCases {
        #expect(counts.images[activity, default: 0] > 0, "no crash in \(activity)")
      }
      #expect(counts.ofRecovery.allSatisfy { $0 > 0 })
      #expect(counts.tally.deaths > 0 && counts.tally.failedSyncs > 0 && counts.tally.takeovers > 0)
      #expect(counts.tally.handovers > 0 && counts.tally.losses > 0)
      #expect(counts.tally.looks > 0 && counts.exhausted > 0 && counts.refused > 0)
    }

    private static func report(_ counts: Crasher.Counts) {
      let activities = Activity.allCases.map { "\($0.rawValue) \(counts.images[$0, default: 0])" }
      print(
        "crash images: \(counts.made) of \(counts.lives) lives; \(counts.tally.deaths) deaths, "
          + "\(counts.tally.failedSyncs) failed syncs, \(counts.tally.losses) losses reported to others, "
          + "\(counts.tally.takeovers) takeovers, "
          + "\(counts.tally.handovers) handovers to another writer, "
          + "\(counts.tally.looks) reads beside them; \(counts.exhausted) instants with all subsets; "
          + "\(counts.damaged) damaged logs, \(counts.refused) of them refused")
      print("by activity: \(activities.joined(separator: ", "))")
      print(
        "in recovery, by the number of crashes before: "
          + counts.ofRecovery.map(String.init).joined(separator: ", "))
    }
  }
#endif
