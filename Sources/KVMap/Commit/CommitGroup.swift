/// A group of commits by several threads that one sync makes durable: what they wrote, and the
/// outcome for the threads that wait.
///
/// Accessed only with the write lock.
final class CommitGroup {
  /// All commits of the group as one transaction.
  var transaction: PendingTransaction
  /// How many commits the group has. The first one waits for all of them.
  var count = 0
  static let largestCount = 256

  /// Whether the outcome is known. If it is, nil for `error` means success.
  var isDone = false
  var error: Store.Error?

  init(_ transaction: PendingTransaction) { self.transaction = transaction }
}

/// Group commit: one sync makes the commits of several threads durable.
///
/// Each commit is in the log with its own END, and in the index as pending, as in a transaction:
/// later commits of the group see it, readers do not. All are published together when they are
/// durable.
extension Writer {
  /// Adds a commit to the group, or to a new one if there is none.
  @discardableResult
  mutating func joinGroup() -> CommitGroup {
    let joined = group ?? CommitGroup(begin())
    joined.count += 1
    group = joined
    return joined
  }

  /// Makes the group durable and publishes it. Blocks for the sync.
  mutating func finishGroup() throws(Store.Error) {
    guard let transaction = group?.transaction else { return }
    group = nil
    guard transaction.last != nil else { return try log.sync(upTo: log.tail) }
    try publish(transaction, isDurable: true)
  }

  mutating func putInGroup(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest, _ group: CommitGroup
  ) throws(Store.Error) -> Bool {
    var transaction = group.transaction
    defer { group.transaction = transaction }
    return try put(key, hash, value, request, in: &transaction, isEnd: true)
  }

  mutating func removeInGroup(
    _ key: RawSpan, _ hash: KeyHash, _ group: CommitGroup
  ) throws(Store.Error) -> Bool {
    var transaction = group.transaction
    defer { group.transaction = transaction }
    return try remove(key, hash, in: &transaction, isEnd: true)
  }

  /// The present record of a key, commits of the group included; nil if the key is absent.
  func current(_ hash: KeyHash, _ key: RawSpan) throws(Store.Error) -> IndexReader.Match? {
    if let group { return try match(key, hash, group.transaction) }
    return try liveMatch(hash, key)
  }
}
