import Foundation
import TestSupport

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// In a child: one process of a setting, with its handles and threads.
///
/// With the trait that shows stores into the file, threads yield between two of them at times,
/// so that others see what is half done.
struct Member {
  let plan: Plan
  let process: Int
  let board: Board
  let path: String
  /// How many processes have had this place before.
  let life: Int

  private var generator: SeededGenerator { SeededGenerator(seed: plan.seed, process, life, -2) }

  /// Ends this process when everything is done, or kills it.
  func run() -> Never {
    do {
      let stores = try plan.setting.processes[process].map { handle in
        plan.setting.isInMemory ? try Store.inMemory() : try open(handle.options)
      }
      killSelfLater()
      let threads = plan.setting.lanes.enumerated().filter { $0.element.process == process }.map {
        (lane, place) in
        WorkerThread { work(lane, stores[place.handle]) }
      }
      for thread in threads { thread.join() }
      if plan.setting.isDeadly { kill(getpid(), SIGKILL) }
      for store in stores { try store.close() }
    } catch {
      board.fail("process \(process): \(error)")
    }
    _exit(0)
  }

  /// A read-only handle sees later changes only if a writing handle was open before it. So it
  /// waits for one.
  private func open(_ options: Store.Options) throws(Store.Error) -> Store {
    let store = try Store(path: path, options: options)
    if store.core.backing.isShared || board.hasFailed { return store }
    try store.close()
    sched_yield()
    return try open(options)
  }

  private func work(_ lane: Int, _ store: Store) {
    let worker = Worker(plan: plan, store: store, board: board, lane: lane, activity: Worker.Activity())
    do {
      try observe(worker)
    } catch {
      board.fail("worker \(lane), history \(board[done: lane]): \(error)")
    }
  }

  /// Whether this process is killed at one of its stores into the file, and not after some time.
  private var diesAtStore: Bool {
    #if CRASH_SIMULATION
      var generator = generator
      return generator.chance(75) && plan.setting.lanes.contains { $0.process == process && $0.mayWrite }
    #else
      return false
    #endif
  }

  /// Runs a worker, and observes its stores into the file.
  private func observe(_ worker: Worker) throws {
    #if CRASH_SIMULATION
      var generator = SeededGenerator(seed: plan.seed, process, life, worker.lane)
      let yields = generator.chance(70) ? UInt64(4 + generator.below(30)) : UInt64.max
      var left = plan.setting.isDeadly && diesAtStore ? 1 + generator.below(800) : Int.max
      let observer = unsafe StoreObserver { _, _, _ in
        if worker.activity.isInCall { left -= 1 }
        if left == 0 { kill(getpid(), SIGKILL) }
        if generator.next() % yields == 0 { sched_yield() }
      }
      StoreObserver.current = observer
      defer {
        StoreObserver.current = nil
        withExtendedLifetime(observer) {}
      }
    #endif
    try worker.run()
  }

  /// The signal may come at any instant, also in the middle of a system call.
  private func killSelfLater() {
    guard plan.setting.isDeadly, !diesAtStore else { return }
    var generator = generator
    let microseconds = generator.below(60_000)
    _ = WorkerThread {
      usleep(UInt32(microseconds))
      kill(getpid(), SIGKILL)
    }
  }
}

/// A thread made by the system's own call, since it has to work in a forked child.
final class WorkerThread {
  private final class Body {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }

  #if canImport(Darwin)
    private var thread: pthread_t?
  #else
    private var thread = pthread_t()
  #endif

  init(_ run: @escaping () -> Void) {
    let body = unsafe Unmanaged.passRetained(Body(run)).toOpaque()
    let status = unsafe pthread_create(&thread, nil, workerThreadMain, body)
    precondition(status == 0, "no thread")
  }

  func join() {
    #if canImport(Darwin)
      if let thread = unsafe thread { unsafe pthread_join(thread, nil) }
    #else
      pthread_join(thread, nil)
    #endif
  }

  #if canImport(Darwin)
    fileprivate static func main(_ body: UnsafeMutableRawPointer) {
      unsafe Unmanaged<Body>.fromOpaque(body).takeRetainedValue().run()
    }
  #else
    fileprivate static func main(_ body: UnsafeMutableRawPointer?) {
      guard let body = unsafe body else { return }
      unsafe Unmanaged<Body>.fromOpaque(body).takeRetainedValue().run()
    }
  #endif
}

#if canImport(Darwin)
  private func workerThreadMain(_ body: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    unsafe WorkerThread.main(body)
    return nil
  }
#else
  private func workerThreadMain(_ body: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    unsafe WorkerThread.main(body)
    return nil
  }
#endif
