import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The thread behind `Durability.interval`: syncs what was committed, again and
/// again, for as long as the store is open.
final class IntervalSyncer: Sendable {
  private let milliseconds: Int
  private let isStopped = Atomic<Bool>(false)

  init(milliseconds: Int) { self.milliseconds = max(1, milliseconds) }

  /// What the thread gets: the syncer, and the store without keeping it alive.
  private final class Task: Sendable {
    let syncer: IntervalSyncer
    let store: WeakStore
    init(_ syncer: IntervalSyncer, _ store: WeakStore) {
      self.syncer = syncer
      self.store = store
    }
  }

  private final class WeakStore: @unchecked Sendable {
    // Sendable: weak references are safe to load from any thread.
    private(set) weak var core: StoreCore?
    init(_ core: StoreCore) { self.core = core }
  }

  func start(_ core: StoreCore) throws(StoreError) {
    let task = unsafe Unmanaged.passRetained(Task(self, WeakStore(core)))
    let pointer = unsafe task.toOpaque()
    #if canImport(Darwin)
      var thread: pthread_t?
      let status = unsafe pthread_create(
        &thread, nil,
        {
          IntervalSyncer.run($0); return nil
        }, pointer)
      if let thread { unsafe pthread_detach(thread) }
    #else
      var thread = pthread_t()
      let status = unsafe pthread_create(
        &thread, nil,
        {
          if let pointer = unsafe $0 { unsafe IntervalSyncer.run(pointer) }
          return nil
        }, pointer)
      if status == 0 { pthread_detach(thread) }
    #endif
    if status != 0 {
      unsafe task.release()
      throw StoreError(
        .system,
        "no thread can be started to make changes durable (error \(status)); end other threads, or use "
          + "another durability than an interval")
    }
  }

  private static func run(_ pointer: UnsafeMutableRawPointer) {
    let task = unsafe Unmanaged<Task>.fromOpaque(pointer).takeRetainedValue()
    while !task.syncer.isStopped.load(ordering: .acquiring) {
      pause(microseconds: task.syncer.milliseconds * 1_000)
      if task.syncer.isStopped.load(ordering: .acquiring) { return }
      guard let core = task.store.core else { return }
      // A failure is remembered in the store: the next commit meets it.
      if core.needsSync { try? core.sync() }
    }
  }

  func stop() { isStopped.store(true, ordering: .releasing) }
}
