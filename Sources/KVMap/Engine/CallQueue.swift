import Synchronization

/// The calls of tasks that change the store, in the order of their coming, and the thread that runs
/// them.
///
/// A task must not block a thread of the cooperative pool. So what may have to wait for a lock or a
/// sync runs on this thread, while the task is suspended. The calls that are there when the thread
/// looks are a batch: their durable commits join one group, and share its sync. A call that is in no
/// group, or whose group has ended, is finished at once.
///
/// A call waits for other handles up to its handle's timeout from when it was queued.
///
/// The thread starts when there is a call, and ends when there has been none for a second.
final class CallQueue: @unchecked Sendable {
  // Sendable: what changes is atomic, or touched only under `lock`, or by the thread alone.
  private let lock = Lock()
  private var waiting: [PendingCall] = []
  private var isStarted = false
  /// Starts the thread; false if the system has none. A test sets it before there is a call.
  var start: (@escaping @Sendable () -> Void) -> Bool = startThread
  /// The thread, while it runs a batch; else 0.
  private let batchThread = Atomic<UInt>(0)
  /// The call that the thread runs.
  private var current: PendingCall?
  /// The calls of the batch whose commits wait for the sync of the open group.
  private var joined: [PendingCall] = []
  /// Whether that group has ended.
  private var hasGroupEnded = false

  private static let idleMilliseconds = 1_000
  private static let largestBatch = CommitGroup.largestCount

  // MARK: For tasks

  /// Runs `body` on the thread, and returns what it returns.
  ///
  /// - Throws: what `body` throws; `CancellationError` if the task is cancelled before `body` has the
  ///   write lock: then nothing has happened.
  func run<R: Sendable>(
    for core: StoreCore, _ body: @escaping @Sendable () throws -> R
  ) async throws -> R {
    try core.checkOpen()
    let call = Call(core, body)
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        call.continuation = continuation
        add(call)
      }
    } onCancel: {
      cancel(call)
    }
  }

  private func add(_ call: PendingCall) {
    let (isCancelled, hasThread) = lock.withLock {
      // The task may have been cancelled before it came here.
      if call.state == .cancelled { return (true, true) }
      call.isResumable = true
      if !isStarted { isStarted = start { self.runThread() } }
      // A call without the thread can no longer be cancelled.
      if isStarted { waiting.append(call) } else { call.state = .begun }
      return (false, isStarted)
    }
    if isCancelled { return call.resume(isCancelled: true) }
    if hasThread { return lock.wakeAll() }
    // The system has no thread for it: this one has to block.
    call.run()
    finish(call)
  }

  private func cancel(_ call: PendingCall) {
    let isResumable = lock.withLock {
      guard call.state == .waiting else { return false }
      call.state = .cancelled
      return call.isResumable
    }
    if isResumable { call.resume(isCancelled: true) }
  }

  // MARK: For calls that the thread runs

  /// Whether the calling thread runs a batch: then a durable commit need not wait for its sync.
  @inline(__always)
  var isBatching: Bool {
    let thread = batchThread.load(ordering: .relaxed)
    return thread != 0 && thread == WriteLock.thread
  }

  /// Called when a call has the write lock, and before it changes anything. Throws if its task was
  /// cancelled; from now on, it cannot be.
  func beginCall() throws(Store.Error) {
    let isCancelled = lock.withLock {
      if current?.state == .waiting { current?.state = .begun }
      return current?.state == .cancelled
    }
    if isCancelled { throw Store.Error(.busy, "the task was cancelled") }
  }

  /// When the call that this thread makes began to wait for other handles: when its task queued it,
  /// or now.
  var waitingSince: ContinuousClock.Instant { isBatching ? current?.queuedAt ?? .now : .now }

  /// Notes that the commit of the current call will be durable with this group.
  func join(_ group: CommitGroup) { current?.group = group }

  /// Notes that the open group has ended.
  func noteGroupEnd() { if isBatching { hasGroupEnded = true } }

  // MARK: The thread

  private func runThread() {
    while let calls = takeCalls() {
      var rest = calls[...]
      while !rest.isEmpty {
        run(rest.prefix(Self.largestBatch))
        rest = rest.dropFirst(Self.largestBatch)
      }
    }
  }

  private func run(_ batch: ArraySlice<PendingCall>) {
    batchThread.store(WriteLock.thread, ordering: .relaxed)
    for call in batch {
      current = call
      call.run()
      if hasGroupEnded { finishJoined() }
      if call.group == nil { finish(call) } else { joined.append(call) }
    }
    current = nil
    batchThread.store(0, ordering: .relaxed)
    joined.first?.core.endOpenGroup()
    finishJoined()
  }

  /// Waits for calls, and takes all that are there; nil if there have been none for so long that the
  /// thread is to end.
  private func takeCalls() -> [PendingCall]? {
    lock.withLock {
      if waiting.isEmpty { lock.wait(milliseconds: Self.idleMilliseconds) }
      if waiting.isEmpty {
        isStarted = false
        return nil
      }
      defer { waiting = [] }
      return waiting
    }
  }

  private func finishJoined() {
    for call in joined { finish(call) }
    joined = []
    hasGroupEnded = false
  }

  private func finish(_ call: PendingCall) {
    let isCancelled = lock.withLock {
      if call.state == .cancelled { return true }
      call.state = .begun
      return false
    }
    if !isCancelled { call.resume(isCancelled: false) }
  }
}

/// A call of a task.
class PendingCall: @unchecked Sendable {
  // Sendable: `state` and `isResumable` are touched only under the queue's lock, all else by one
  // thread after the other.
  enum State { case waiting, begun, cancelled }
  fileprivate var state = State.waiting
  /// Whether the task is suspended.
  fileprivate var isResumable = false
  /// The group that its commit belongs to.
  fileprivate var group: CommitGroup?
  fileprivate let core: StoreCore
  fileprivate let queuedAt = ContinuousClock.now

  fileprivate init(_ core: StoreCore) { self.core = core }

  fileprivate func run() {}
  fileprivate func resume(isCancelled: Bool) {}
}

private final class Call<R: Sendable>: PendingCall, @unchecked Sendable {
  private let body: @Sendable () throws -> R
  private var result: Result<R, any Swift.Error>?
  var continuation: CheckedContinuation<R, any Swift.Error>?

  init(_ core: StoreCore, _ body: @escaping @Sendable () throws -> R) {
    self.body = body
    super.init(core)
  }

  override func run() { result = Result { try body() } }

  override func resume(isCancelled: Bool) {
    if isCancelled {
      continuation?.resume(throwing: CancellationError())
    } else if let error = group?.error, case .success? = result {
      continuation?.resume(throwing: error)
    } else if let result {
      continuation?.resume(with: result)
    }
  }
}

/// Runs `body` on a thread of its own while the task is suspended: for what takes long, and has no
/// part in groups of commits.
///
/// - Throws: what `body` throws; `CancellationError` if the task is cancelled already.
func runApart<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try Task.checkCancellation()
  return try await withCheckedThrowingContinuation { continuation in
    let run = { @Sendable in continuation.resume(with: Result { try body() }) }
    if !startThread(run) { run() }
  }
}
