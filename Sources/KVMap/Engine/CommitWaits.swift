/// The tasks that wait for commits, of this process or another, and the thread that waits for them.
///
/// The thread starts when there is a task, and ends when there has been none for a second.
final class CommitWaits: @unchecked Sendable {
  // Sendable: what changes is touched only under `lock`.
  private let lock = Lock()
  private var waiting: [Wait] = []
  private var isStarted = false

  private struct Wait {
    let core: StoreCore
    /// The number that the next record had when the task looked.
    let next: SequenceNumber
    let continuation: CheckedContinuation<Void, Never>
  }

  private static let idleMilliseconds = 1_000

  /// Suspends the task until there may be a commit or a sync that it has not seen, for a tenth of a
  /// second at most.
  func wait(for core: StoreCore, while next: SequenceNumber) async {
    await withCheckedContinuation { continuation in
      let hasThread = lock.withLock {
        if !isStarted { isStarted = startThread { self.run() } }
        if isStarted { waiting.append(Wait(core: core, next: next, continuation: continuation)) }
        return isStarted
      }
      if hasThread { return lock.wakeAll() }
      // The system has no thread for it: this one has to block.
      core.waitForCommit(while: next, milliseconds: StoreCore.mostWait)
      continuation.resume()
    }
  }

  private func run() {
    while let wait = first() {
      wait.core.waitForCommit(while: wait.next, milliseconds: StoreCore.mostWait)
      let waits = lock.withLock {
        defer { waiting.removeAll() }
        return waiting
      }
      for wait in waits { wait.continuation.resume() }
    }
  }

  /// One that waits; nil if there has been none for so long that the thread is to end.
  private func first() -> Wait? {
    lock.withLock {
      if waiting.isEmpty { lock.wait(milliseconds: Self.idleMilliseconds) }
      if waiting.isEmpty { isStarted = false }
      return waiting.first
    }
  }
}
