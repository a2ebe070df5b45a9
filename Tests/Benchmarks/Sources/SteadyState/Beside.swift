import Foundation
import KVMap
import Synchronization

/// Three threads that run while the store is overwritten, each with a handle of its own. One reads, one takes
/// snapshots and keeps each for a tenth of a second, and one overwrites as well.
final class Beside: Sendable {
  private let path: String
  private let records: Int
  private let isStopped = Atomic<Bool>(false)
  private let threads = DispatchGroup()
  private let failure = Mutex<(any Error)?>(nil)
  private let gets = Atomic<Int>(0)
  private let snapshots = Atomic<Int>(0)
  private let puts = Atomic<Int>(0)

  init(_ path: String, records: Int, values: [[UInt8]]) {
    self.path = path
    self.records = records
    run { store, random in
      guard let value = try store.get(makeKey(random.below(records))), value.allSatisfy({ $0 == value[0] })
      else {
        throw Failure("the reader found a key missing, or a wrong value")
      }
      self.gets.add(1, ordering: .relaxed)
    }
    run { store, random in
      let snapshot = try store.snapshot()
      defer { snapshot.end() }
      let keys = (0..<100).map { _ in makeKey(random.below(records)) }
      let before = try keys.map { try snapshot.get($0) }
      Thread.sleep(forTimeInterval: 0.1)
      guard try keys.map({ try snapshot.get($0) }) == before, !before.contains(nil) else {
        throw Failure("a snapshot has changed")
      }
      self.snapshots.add(1, ordering: .relaxed)
    }
    run { store, random in
      try store.put(values[random.below(values.count)], forKey: makeKey(random.below(records)))
      self.puts.add(1, ordering: .relaxed)
      // It should want the write lock now and then, not all the time.
      usleep(100)
    }
  }

  var counts: String {
    "\(gets.load(ordering: .relaxed)) gets, \(snapshots.load(ordering: .relaxed)) snapshots, "
      + "\(puts.load(ordering: .relaxed)) puts of the second writer"
  }

  private func run(_ step: @escaping @Sendable (Store, inout Generator) throws -> Void) {
    threads.enter()
    Thread { [self] in
      defer { threads.leave() }
      do {
        let store = try Store(path: path)
        var random = Generator(state: UInt64(UInt.random(in: 0...UInt.max)))
        while !isStopped.load(ordering: .relaxed) { try step(store, &random) }
        try store.close()
      } catch {
        failure.withLock { $0 = error }
      }
    }.start()
  }

  /// Ends the threads. Throws an error that one of them has thrown.
  func stop() throws {
    isStopped.store(true, ordering: .relaxed)
    threads.wait()
    if let error = failure.withLock({ $0 }) { throw error }
  }
}
