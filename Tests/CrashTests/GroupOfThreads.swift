#if CRASH_SIMULATION
  import Foundation
  import Synchronization

  @testable import KVMap

  /// Threads that commit durably at once, in a fixed order: each begins when the one before it has
  /// joined the group and waits for its end.
  struct GroupOfThreads {
    private let core: StoreCore
    private let file: SimulatedFile

    init(_ core: StoreCore, _ file: SimulatedFile) {
      self.core = core
      self.file = file
    }

    /// What one thread calls, and how it ended.
    private final class Member: @unchecked Sendable {
      // Sendable: `error` is read only after `isDone`.
      let call: () throws -> Void
      let isDone = Atomic<Bool>(false)
      var error: (any Error)?

      init(_ call: @escaping () throws -> Void) { self.call = call }

      func run(_ file: SimulatedFile) {
        do { try Simulation.observing(file, call) } catch { self.error = error }
        isDone.store(true, ordering: .releasing)
      }
    }

    /// Throws what one of the calls threw, after all have ended.
    func run(_ calls: [() throws -> Void]) throws {
      let members = calls.map(Member.init)
      // As if after each of them but the last another thread waited for the write lock.
      core.writeLock.waiting.add(1, ordering: .relaxed)
      for member in members.dropLast() {
        let before = count
        nonisolated(unsafe) let file = file
        Thread { unsafe member.run(file) }.start()
        while !member.isDone.load(ordering: .acquiring), count <= before { usleep(20) }
      }
      core.writeLock.waiting.subtract(1, ordering: .relaxed)
      members.last?.run(file)
      for member in members {
        while !member.isDone.load(ordering: .acquiring) { usleep(20) }
      }
      for member in members { if let error = member.error { throw error } }
    }

    /// How many threads have joined the open group and released the write lock.
    private var count: Int {
      let turn = core.writeLock.enter()
      return turn.writer.group?.count ?? 0
    }
  }
#endif
