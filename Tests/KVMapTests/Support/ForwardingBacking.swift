@testable import KVMap

/// A backing that passes everything on to another one. Subclasses override single calls.
class ForwardingBacking: Backing, StoreLocks, @unchecked Sendable {
  // Sendable: one thread uses it.
  private let inner: any Backing

  init(_ inner: any Backing) { self.inner = inner }

  var mapping: StoreMapping { inner.mapping }
  var isShared: Bool { inner.isShared }
  var locks: any StoreLocks { self }

  func grow(to bytes: Int) throws(Store.Error) { try inner.grow(to: bytes) }
  func reserveAddressSpace(by bytes: Int) throws(Store.Error) { try inner.reserveAddressSpace(by: bytes) }
  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool { try inner.extendMapping(to: bytes) }
  func allocate(offset: Int, count: Int) throws(Store.Error) {
    try inner.allocate(offset: offset, count: count)
  }
  func preallocate(offset: Int, count: Int) throws(Store.Error) {
    try inner.preallocate(offset: offset, count: count)
  }
  func noteWrites(offset: Int, count: Int) { inner.noteWrites(offset: offset, count: count) }
  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool {
    try inner.punch(offset: offset, count: count)
  }
  func truncate(to bytes: Int) throws(Store.Error) { try inner.truncate(to: bytes) }
  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { inner.dataRanges(range) }

  func sync(offset: Int, count: Int) throws(Store.Error) { try inner.sync(offset: offset, count: count) }
  func syncAll() throws(Store.Error) { try inner.syncAll() }
  func forgetFailedSync() { inner.forgetFailedSync() }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool {
    try inner.locks.tryLock(name, kind)
  }
  func unlock(_ name: LockName) throws(Store.Error) { try inner.locks.unlock(name) }
  func holder(of name: LockName, against kind: LockKind) throws(Store.Error) -> Int32? {
    try inner.locks.holder(of: name, against: kind)
  }

  func pin(_ epoch: Epoch) throws(Store.Error) { try inner.locks.pin(epoch) }
  func unpin(_ epoch: Epoch) throws(Store.Error) { try inner.locks.unpin(epoch) }
  func lowestPin() throws(Store.Error) -> Epoch? { try inner.locks.lowestPin() }
  func holderOfLowestPin() throws(Store.Error) -> Int32? { try inner.locks.holderOfLowestPin() }
  func takeReaderSlot() throws(Store.Error) -> Int? { try inner.locks.takeReaderSlot() }
  func isReaderSlotTaken(_ slot: Int) throws(Store.Error) -> Bool { try inner.locks.isReaderSlotTaken(slot) }

  func sizes() throws(Store.Error) -> (file: Int, allocated: Int) { try inner.sizes() }
  func residentPages() throws(Store.Error) -> Int? { try inner.residentPages() }
}
