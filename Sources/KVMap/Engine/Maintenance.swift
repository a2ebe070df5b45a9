#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The thread of an open store that does the work for which no caller should have to wait:
/// checkpoints and, with `Durability.interval`, syncs.
///
/// It starts when there is work for the first time, and does not keep the store open. A failure is
/// noted in the shared state: the next holder of the write lock deals with it.
@safe
final class Maintenance: @unchecked Sendable {
  // Sendable: what changes is touched only under `lock`.
  private let milliseconds: Int?
  private let lock = Lock()
  private var isStarted = false
  private var isStopped = false
  private var isCheckpointWanted = false

  /// - Parameter milliseconds: how often commits are made durable; nil for never.
  init(everyMilliseconds milliseconds: Int?) {
    self.milliseconds = milliseconds.map { max(1, $0) }
  }

  // MARK: For the store

  /// Starts the thread if commits are to be made durable at intervals.
  func start(_ core: StoreCore) throws(StoreError) {
    guard milliseconds != nil, !startThread(core) else { return }
    throw StoreError(
      .system,
      "no thread can be started to make changes durable; end other threads, or use another durability "
        + "than an interval")
  }

  /// Has a checkpoint written soon; false if there can be no thread for it.
  func requestCheckpoint(_ core: StoreCore) -> Bool {
    guard startThread(core) else { return false }
    lock.withLock { isCheckpointWanted = true }
    lock.wakeAll()
    return true
  }

  /// Lets the thread end after what it is doing.
  func stop() {
    lock.withLock { isStopped = true }
    lock.wakeAll()
  }

  // MARK: The thread

  /// What the thread gets: a reference to the store that does not keep it alive.
  private final class Task: @unchecked Sendable {
    // Sendable: weak references are safe to load from any thread.
    let maintenance: Maintenance
    private(set) weak var core: StoreCore?
    init(_ maintenance: Maintenance, _ core: StoreCore) {
      self.maintenance = maintenance
      self.core = core
    }
  }

  private func startThread(_ core: StoreCore) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if isStarted { return true }
    let task = unsafe Unmanaged.passRetained(Task(self, core))
    let pointer = unsafe task.toOpaque()
    #if canImport(Darwin)
      var thread: pthread_t?
      let status = unsafe pthread_create(
        &thread, nil,
        {
          Maintenance.run($0); return nil
        }, pointer)
      if let thread { unsafe pthread_detach(thread) }
    #else
      var thread = pthread_t()
      let status = unsafe pthread_create(
        &thread, nil,
        {
          if let pointer = unsafe $0 { unsafe Maintenance.run(pointer) }
          return nil
        }, pointer)
      if status == 0 { pthread_detach(thread) }
    #endif
    if status != 0 { unsafe task.release() }
    isStarted = status == 0
    return isStarted
  }

  private static func run(_ pointer: UnsafeMutableRawPointer) {
    let task = unsafe Unmanaged<Task>.fromOpaque(pointer).takeRetainedValue()
    while let isCheckpointWanted = task.maintenance.wait() {
      guard let core = task.core else { return }
      if task.maintenance.milliseconds != nil, core.needsSync { try? core.sync() }
      if isCheckpointWanted { try? core.checkpoint() }
    }
  }

  /// Waits for work. Returns whether a checkpoint is wanted; nil if the thread is to end.
  private func wait() -> Bool? {
    lock.lock()
    defer { lock.unlock() }
    if let milliseconds {
      if !isStopped, !isCheckpointWanted { lock.wait(milliseconds: milliseconds) }
    } else {
      while !isStopped, !isCheckpointWanted { lock.wait() }
    }
    if isStopped { return nil }
    defer { isCheckpointWanted = false }
    return isCheckpointWanted
  }
}
