/// The locks of a store, in the order in which they are taken.
enum LockName: Int64, CaseIterable {
  /// Shared by every handle, exclusive while the file is truncated.
  case attached = 0
  /// Shared by every handle that trusts the live page, exclusive while recovering.
  case valid = 1
  /// Shared by handles that know the live page to be valid: who holds `valid`
  /// but has not looked yet is told apart from who vouches for it.
  case vouched = 2
  /// Exclusive while a checkpoint is written.
  case checkpoint = 3
  /// Exclusive: the writer's turn.
  case write = 4
}

enum LockKind { case shared, exclusive }

/// What handles of a store agree by: five locks, and pins of epochs.
///
/// Locks belong to the handle: its threads are kept apart by other means. The system ends them
/// with the process.
protocol StoreLocks: AnyObject, Sendable {
  /// Takes a lock or converts it; false if another handle holds it otherwise.
  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool
  func unlock(_ name: LockName) throws(StoreError)
  /// The process of another handle that holds the lock in a way that excludes `kind`.
  func holder(of name: LockName, against kind: LockKind) throws(StoreError) -> Int32?

  /// Pins an epoch: nothing released in it or later is reused while the pin holds.
  func pin(_ epoch: Epoch) throws(StoreError)
  func unpin(_ epoch: Epoch) throws(StoreError)
  /// The lowest epoch pinned by any other handle.
  func lowestPin() throws(StoreError) -> Epoch?
  /// The process it is pinned by, as far as that can be told.
  func holderOfLowestPin() throws(StoreError) -> Int32?
}

extension StoreLocks {
  /// Whether another handle holds the lock in a way that excludes `kind`.
  func isLockedByOthers(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool {
    try holder(of: name, against: kind) != nil
  }

  func holderOfLowestPin() throws(StoreError) -> Int32? { nil }
}

/// For a store that no other process knows of.
final class NoLocks: StoreLocks {
  static let shared = NoLocks()

  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { true }
  func unlock(_ name: LockName) throws(StoreError) {}
  func holder(of name: LockName, against kind: LockKind) throws(StoreError) -> Int32? { nil }
  func pin(_ epoch: Epoch) throws(StoreError) {}
  func unpin(_ epoch: Epoch) throws(StoreError) {}
  func lowestPin() throws(StoreError) -> Epoch? { nil }
}
