// The locks and pins through which the handles of a store agree.

/// The locks of a store, in the order in which they are taken.
enum LockName: Int64, CaseIterable {
  /// Shared by every handle, exclusive while the file is truncated.
  case attached = 0
  /// Shared by every handle that trusts the shared state, exclusive during recovery alone.
  case valid = 1
  /// Shared by handles that know the shared state to be valid. So a handle that holds `valid` but
  /// has not looked yet is not taken for one that knows.
  case vouched = 2
  /// Exclusive while a checkpoint is written.
  case checkpoint = 3
  /// The write lock: exclusive for a turn.
  case write = 4
}

enum LockKind { case shared, exclusive }

/// How the handles of a store agree: five locks, and pins of epochs.
///
/// A lock belongs to a handle; the threads of a handle are kept apart by other means. The system
/// releases locks and pins when the process ends. No call blocks.
protocol StoreLocks: AnyObject, Sendable {
  /// Takes a lock, or converts it to `kind`; false if another handle holds it in a way that
  /// excludes that.
  func tryLock(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool
  func unlock(_ name: LockName) throws(Store.Error)
  /// The process of another handle that holds the lock in a way that excludes `kind`; nil if
  /// there is none.
  func holder(of name: LockName, against kind: LockKind) throws(Store.Error) -> Int32?

  /// Pins an epoch: nothing released in it or later is reused while the pin holds.
  func pin(_ epoch: Epoch) throws(Store.Error)
  func unpin(_ epoch: Epoch) throws(Store.Error)
  /// The lowest epoch that any other handle pins by a lock; nil if there is none.
  func lowestPin() throws(Store.Error) -> Epoch?
  /// The process that pins it, if known.
  func holderOfLowestPin() throws(Store.Error) -> Int32?

  /// Takes one of the ``ReaderSlots`` for as long as this object lives. nil if others have them
  /// all, or this handle cannot write to the file.
  func takeReaderSlot() throws(Store.Error) -> Int?
  /// Whether another handle has a reader slot.
  func isReaderSlotTaken(_ slot: Int) throws(Store.Error) -> Bool
}

extension StoreLocks {
  /// Whether another handle holds the lock in a way that excludes `kind`.
  func isLockedByOthers(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool {
    try holder(of: name, against: kind) != nil
  }

  func holderOfLowestPin() throws(Store.Error) -> Int32? { nil }
  func takeReaderSlot() throws(Store.Error) -> Int? { nil }
  func isReaderSlotTaken(_ slot: Int) throws(Store.Error) -> Bool { false }
}

/// The locks of a store that no other process can see: every call succeeds.
final class NoLocks: StoreLocks {
  static let shared = NoLocks()

  func tryLock(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool { true }
  func unlock(_ name: LockName) throws(Store.Error) {}
  func holder(of name: LockName, against kind: LockKind) throws(Store.Error) -> Int32? { nil }
  func pin(_ epoch: Epoch) throws(Store.Error) {}
  func unpin(_ epoch: Epoch) throws(Store.Error) {}
  func lowestPin() throws(Store.Error) -> Epoch? { nil }
}
