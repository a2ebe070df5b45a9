import Synchronization

/// Writing by tasks, which never block their thread: a commit is made at once if nothing has to be
/// waited for; else the ``CallQueue`` makes it.
extension StoreCore {
  /// A commit that was made at once, and for how many milliseconds its task should pause.
  struct DirectCommit<R> {
    let result: R
    let pause: Int
  }

  /// Makes a commit that need not be durable, if no lock has to be waited for and nothing is to be
  /// recovered or synced first; else returns nil, and nothing has happened.
  func commitIfFree<R>(
    _ body: (inout Writer) throws(Store.Error) -> R
  ) throws(Store.Error) -> DirectCommit<R>? {
    defer { withExtendedLifetime(self) {} }
    guard options.checkpoints == .background else { return nil }
    try checkOpen()
    guard let turn = writeLock.tryEnter() else { return nil }
    guard turn.writer.group == nil, shared[.busy] | shared[.syncFailed] == 0,
      try prepare(turn, .ifFree)
    else { return nil }
    let result: R
    do {
      result = try body(&turn.writer)
      // A store into a page that was lost has no effect.
      try checkNotLost()
    } catch {
      let error = lossOr(error)
      conclude(turn, after: error)
      throw error.naming(name)
    }
    return DirectCommit(result: result, pause: finishWithoutPause(turn))
  }

  /// The result of a commit that was made at once, after the pause.
  func result<R>(of commit: DirectCommit<R>) async -> R {
    if commit.pause > 0 { await pauseTask(forMilliseconds: commit.pause) }
    return commit.result
  }

  func putByTask(
    _ key: [UInt8], _ value: [UInt8], _ condition: Store.PutCondition, _ expires: Store.Expiry,
    _ durability: Store.Durability?
  ) async throws -> Bool {
    try Task.checkCancellation()
    let request = request(condition, expires, durability)
    if !request.isDurable {
      let hash = unsafe KeyHash(key.span.bytes, seed: source.seed)
      try unsafe checkWritable(key.span.bytes, value.span.bytes)
      let commit = try commitIfFree { (writer: inout Writer) throws(Store.Error) in
        try unsafe writer.put(key.span.bytes, hash, value.span.bytes, request)
      }
      if let commit { return await result(of: commit) }
    }
    return try await calls.run(for: self) {
      try unsafe self.put(key.span.bytes, value.span.bytes, condition, expires, durability)
    }
  }

  func removeByTask(_ key: [UInt8], _ durability: Store.Durability?) async throws -> Bool {
    try Task.checkCancellation()
    if !isDurable(durability) {
      let hash = unsafe KeyHash(key.span.bytes, seed: source.seed)
      try unsafe checkWritable(key.span.bytes, RawSpan())
      do throws(Store.Error) {
        let commit = try commitIfFree { (writer: inout Writer) throws(Store.Error) in
          try unsafe writer.remove(key.span.bytes, hash, isDurable: false)
        }
        if let commit { return await result(of: commit) }
      } catch {
        // A full disk needs more.
        guard error.code == .diskFull else { throw error }
      }
    }
    return try await calls.run(for: self) { try unsafe self.remove(key.span.bytes, durability) }
  }
}
