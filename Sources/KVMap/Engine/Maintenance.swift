/// The thread of an open store that does the work for which no caller should have to wait:
/// checkpoints and, with `Store.Durability.interval`, syncs.
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
  func start(_ core: StoreCore) throws(Store.Error) {
    guard milliseconds != nil, !startThread(core) else { return }
    throw Store.Error(
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

  private func startThread(_ core: StoreCore) -> Bool {
    lock.withLock {
      if isStarted { return true }
      let run = { @Sendable [self, weak core] in self.run { core } }
      isStarted = KVMap.startThread(run)
      return isStarted
    }
  }

  /// - Parameter store: gives the store while it lives.
  private func run(_ store: () -> StoreCore?) {
    while let isCheckpointWanted = wait() {
      guard let core = store() else { return }
      if milliseconds != nil, core.needsSync { try? core.sync() }
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
