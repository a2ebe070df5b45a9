// What a store needs from the system besides memory, as a protocol.

import MappedMemory
import SystemPackage

/// What holds a store's bytes: a mapped file, or memory of this process.
///
/// Small on purpose: bytes are read and written through the mapping; everything else that a store
/// asks of the system goes through here.
protocol Backing: AnyObject, Sendable {
  /// The mapping that shows the store's bytes.
  var mapping: StoreMapping { get }
  /// The store's locks, and the epochs that handles pin.
  var locks: any StoreLocks { get }
  /// Whether changes to these bytes reach a file that other processes may read.
  var isShared: Bool { get }

  /// Makes the store at least `bytes` long, and maps it. Throws `diskFull`, `notEnoughMemory` or
  /// `lost`.
  func grow(to bytes: Int) throws(Store.Error)
  /// Ensures that the store can grow by `bytes` without being copied to a larger address space.
  /// If a copy is needed, it is made here, so the caller must hold no address in the store.
  func reserveAddressSpace(by bytes: Int) throws(Store.Error)
  /// Maps at least `bytes` of the store, which another handle may have grown; false if the file
  /// is shorter.
  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool
  /// Allocates disk space for a range, so that a store into it cannot fail. The range then reads
  /// as zeros, as far as the file system can do that.
  func allocate(offset: Int, count: Int) throws(Store.Error)
  /// As `allocate`, for a range that mostly has disk space: cheaper then.
  func renew(offset: Int, count: Int) throws(Store.Error)
  /// Says that a range will be written that was not allocated just before. Only saves time.
  func noteWrites(offset: Int, count: Int)
  /// Takes disk space for a range without touching its pages, so that `allocate` will find it
  /// there.
  func preallocate(offset: Int, count: Int) throws(Store.Error)
  /// Punches a range: returns its disk space to the file system. The range then reads as zeros.
  /// False if the system cannot do that.
  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool
  /// Truncates the store to `bytes`, a multiple of the unit. Only while no other handle has the
  /// store open.
  func truncate(to bytes: Int) throws(Store.Error)
  /// The parts of a range that may hold anything other than zeros.
  func dataRanges(_ range: Range<Int>) -> [Range<Int>]
  /// Blocks until the range as it is now is durable. Throws `outcomeUnknown` or `lost`.
  func sync(offset: Int, count: Int) throws(Store.Error)
  /// Blocks until everything as it is now is durable. Throws like `sync`, and may run beside it.
  func syncAll() throws(Store.Error)
  /// Allows syncs again after one has failed. Called when the data that the failed sync left in
  /// doubt is about to be written again, or has been.
  func forgetFailedSync()

  /// Whether a path names the file that holds the store.
  func isAt(_ path: FilePath) throws(Store.Error) -> Bool
  /// A private copy-on-write view of all that is mapped, with room to grow by `room` bytes; nil
  /// if there is none.
  func privateView(room: Int) throws(Store.Error) -> PrivateBacking?
  /// Makes the contents of `copy` those of this store; false if that cannot be done.
  func clone(into copy: borrowing File, _ method: CloneMethod) throws(Store.Error) -> Bool
  /// For a view of a checkpoint: releases the lock, and the pin of epoch `pinned`, that keep
  /// writers from reusing what the view shows.
  func letGo(_ pinned: Epoch?)

  /// The length of the file and the disk space it takes, in bytes.
  func sizes() throws(Store.Error) -> (file: Int, allocated: Int)
  /// How many pages of the host's size are in memory; nil if the system does not say.
  func residentPages() throws(Store.Error) -> Int?
}

/// How a file gets the contents of another.
enum CloneMethod {
  /// The files share their disk space, where the system can do that.
  case sharing
  /// What has disk space is copied.
  case copying
}

extension Backing {
  /// Bytes mapped by this process, a multiple of the unit.
  var mappedBytes: Int { mapping.mappedBytes }
  /// Whether part of the mapping was lost, for example because the file was cut short.
  var isLost: Bool { mapping.isLost }
  /// Superblocks and shared state, at an address that never changes.
  var fixed: MappedBytes { mapping.fixed }

  // Defaults: `reserveAddressSpace` for every backing that can be mapped twice, the others for
  // memory.
  func renew(offset: Int, count: Int) throws(Store.Error) { try allocate(offset: offset, count: count) }
  func preallocate(offset: Int, count: Int) throws(Store.Error) {}
  func noteWrites(offset: Int, count: Int) {}
  func reserveAddressSpace(by bytes: Int) throws(Store.Error) {}
  func syncAll() throws(Store.Error) { try sync(offset: 0, count: mappedBytes) }
  func forgetFailedSync() {}
  func isAt(_ path: FilePath) throws(Store.Error) -> Bool { true }
  func privateView(room: Int) throws(Store.Error) -> PrivateBacking? { nil }
  func clone(into copy: borrowing File, _ method: CloneMethod) throws(Store.Error) -> Bool { false }
  func letGo(_ pinned: Epoch?) {}
}

/// A backing that no other process can see.
protocol UnsharedBacking: Backing {}

extension UnsharedBacking {
  var isShared: Bool { false }
  func truncate(to bytes: Int) throws(Store.Error) {}
  func sync(offset: Int, count: Int) throws(Store.Error) {}
  var locks: any StoreLocks { NoLocks.shared }
}
