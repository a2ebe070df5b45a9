import MappedMemory
import SystemPackage

/// In which order a range will be written.
enum WriteOrder { case sequential, random }

/// What holds a store's bytes: a mapped file, or memory of this process.
///
/// Small on purpose: memory is memory, and all else a store asks of the system
/// goes through here.
protocol Backing: AnyObject, Sendable {
  /// Where the store's bytes are.
  var mapping: StoreMapping { get }
  /// The store's locks, and the epochs that handles pin.
  var locks: any StoreLocks { get }
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

  /// Whether a path names the file that holds the store.
  func isAt(_ path: FilePath) throws(StoreError) -> Bool
  /// A copy-on-write view of all that is mapped, with room to grow by so many bytes; nil where there
  /// is none.
  func privateView(room: Int) throws(StoreError) -> PrivateBacking?
  /// Makes `copy` share the disk space of this store; false where the system cannot.
  func share(with copy: borrowing File) throws(StoreError) -> Bool
  /// Gives back what keeps writers from reusing what is viewed, as of a checkpoint.
  func letGo(_ pinned: Epoch?)

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

  // For memory, which has no space of its own.
  func preallocate(offset: Int, count: Int) throws(StoreError) {}
  func reserveAddressSpace(by bytes: Int) throws(StoreError) {}
  func syncAll() throws(StoreError) { try sync(offset: 0, count: mappedBytes) }
  func forgetFailedSync() {}
  func isAt(_ path: FilePath) throws(StoreError) -> Bool { true }
  func privateView(room: Int) throws(StoreError) -> PrivateBacking? { nil }
  func share(with copy: borrowing File) throws(StoreError) -> Bool { false }
  func letGo(_ pinned: Epoch?) {}
}

/// A backing that no other process knows of.
protocol UnsharedBacking: Backing {}

extension UnsharedBacking {
  var isShared: Bool { false }
  func truncate(to bytes: Int) throws(StoreError) {}
  func sync(offset: Int, count: Int) throws(StoreError) {}
  var locks: any StoreLocks { NoLocks.shared }
}
