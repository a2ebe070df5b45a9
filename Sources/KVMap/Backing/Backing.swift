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

/// In which order a range will be written.
enum WriteOrder { case sequential, random }

/// What holds a store's bytes: a mapped file, or memory of this process.
///
/// Small on purpose: memory is memory, and all else a store asks of the system
/// goes through here.
protocol Backing: AnyObject, Sendable {
  /// Where the store's bytes are.
  var mapping: StoreMapping { get }
  /// Whether changes to these bytes reach a file others may read.
  var isShared: Bool { get }

  /// Makes the store at least `bytes` long, and maps it.
  func grow(to bytes: Int) throws(StoreError)
  /// Sees to it that the store can grow by so many bytes without being copied for that, which
  /// happens here if at all: only where the caller has no address in the store at hand.
  func reserveAddressSpace(by bytes: Int) throws(StoreError)
  /// Maps what others have grown, up to `bytes`; false if the file is not that long.
  func extendMapping(to bytes: Int) throws(StoreError) -> Bool
  /// Gives the range disk space, so that a store into it cannot fail. It reads as zeros then,
  /// as far as the file system can do that. `scattered`: the range will be written in no order.
  func allocate(offset: Int, count: Int, order: WriteOrder) throws(StoreError)
  /// Takes disk space for the range, without touching it: `makeReal` will find it there.
  func preallocate(offset: Int, count: Int) throws(StoreError)
  /// Gives the disk space of a range back; it reads as zeros then. False where the
  /// system cannot.
  func punch(offset: Int, count: Int) throws(StoreError) -> Bool
  /// Cuts off what lies behind `bytes`, a multiple of the unit. Only while nobody
  /// else has the store open.
  func truncate(to bytes: Int) throws(StoreError)
  /// The parts of a range that may hold anything but zeros.
  func dataRanges(_ range: Range<Int>) -> [Range<Int>]
  /// Blocks until the range as it is now is durable.
  func sync(offset: Int, count: Int) throws(StoreError)
  /// Blocks until everything as it is now is durable. May run beside `sync`.
  func syncAll() throws(StoreError)
  /// Called when what a failed sync left in doubt is about to be, or has been, written again.
  func forgetFailedSync()

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

  /// Bytes the file is long, and bytes of disk it takes.
  func sizes() throws(StoreError) -> (file: Int, allocated: Int)
  /// Pages of the host's size that are in memory; nil where the system does not tell.
  func residentPages() throws(StoreError) -> Int?
}

extension Backing {
  /// Bytes mapped by this process, a multiple of the unit.
  var mappedBytes: Int { mapping.mappedBytes }
  /// Whether the file was cut short under the mapping.
  var isLost: Bool { mapping.isLost }
  /// Superblocks and live page.
  var fixed: MappedBytes { mapping.fixed }

  /// Whether another handle holds the lock in a way that excludes `kind`.
  func isLockedByOthers(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool {
    try holder(of: name, against: kind) != nil
  }

  // For memory, which has no space of its own.
  func preallocate(offset: Int, count: Int) throws(StoreError) {}
  func reserveAddressSpace(by bytes: Int) throws(StoreError) {}
  func syncAll() throws(StoreError) { try sync(offset: 0, count: mappedBytes) }
  func forgetFailedSync() {}
  func holderOfLowestPin() throws(StoreError) -> Int32? { nil }
}

/// A backing that no other process knows of.
protocol UnsharedBacking: Backing {}

extension UnsharedBacking {
  var isShared: Bool { false }
  func truncate(to bytes: Int) throws(StoreError) {}
  func sync(offset: Int, count: Int) throws(StoreError) {}
  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool { true }
  func unlock(_ name: LockName) throws(StoreError) {}
  func holder(of name: LockName, against kind: LockKind) throws(StoreError) -> Int32? { nil }
  func pin(_ epoch: Epoch) throws(StoreError) {}
  func unpin(_ epoch: Epoch) throws(StoreError) {}
  func lowestPin() throws(StoreError) -> Epoch? { nil }
}
