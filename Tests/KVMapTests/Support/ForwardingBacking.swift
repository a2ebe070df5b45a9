@testable import KVMap

/// A backing that passes everything on to another one. Subclasses override single calls.
class ForwardingBacking: Backing, StoreLocks, @unchecked Sendable {
  // Sendable: one thread uses it.
  private let inner: any Backing

  init(_ inner: any Backing) { self.inner = inner }

  var mapping: StoreMapping { inner.mapping }
  var isShared: Bool { inner.isShared }
  var locks: any StoreLocks { self }

  func grow(to bytes: Int) throws(StoreError) { try inner.grow(to: bytes) }
  func reserveAddressSpace(by bytes: Int) throws(StoreError) { try inner.reserveAddressSpace(by: bytes) }
  func extendMapping(to bytes: Int) throws(StoreError) -> Bool { try inner.extendMapping(to: bytes) }
  func allocate(offset: Int, count: Int) throws(StoreError) {
    try inner.allocate(offset: offset, count: count)
  }
  func preallocate(offset: Int, count: Int) throws(StoreError) {
    try inner.preallocate(offset: offset, count: count)
  }
  func punch(offset: Int, count: Int) throws(StoreError) -> Bool {
    try inner.punch(offset: offset, count: count)
  }
  func truncate(to bytes: Int) throws(StoreError) { try inner.truncate(to: bytes) }
  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { inner.dataRanges(range) }

  func sync(offset: Int, count: Int) throws(StoreError) { try inner.sync(offset: offset, count: count) }
  func syncAll() throws(StoreError) { try inner.syncAll() }
  func forgetFailedSync() { inner.forgetFailedSync() }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool {
    try inner.locks.tryLock(name, kind)
  }
  func unlock(_ name: LockName) throws(StoreError) { try inner.locks.unlock(name) }
  func holder(of name: LockName, against kind: LockKind) throws(StoreError) -> Int32? {
    try inner.locks.holder(of: name, against: kind)
  }

  func pin(_ epoch: Epoch) throws(StoreError) { try inner.locks.pin(epoch) }
  func unpin(_ epoch: Epoch) throws(StoreError) { try inner.locks.unpin(epoch) }
  func lowestPin() throws(StoreError) -> Epoch? { try inner.locks.lowestPin() }
  func holderOfLowestPin() throws(StoreError) -> Int32? { try inner.locks.holderOfLowestPin() }
  func takeReaderSlot() throws(StoreError) -> Int? { try inner.locks.takeReaderSlot() }
  func isReaderSlotTaken(_ slot: Int) throws(StoreError) -> Bool { try inner.locks.isReaderSlotTaken(slot) }

  func sizes() throws(StoreError) -> (file: Int, allocated: Int) { try inner.sizes() }
  func residentPages() throws(StoreError) -> Int? { try inner.residentPages() }
}
