import MappedMemory

@testable import KVMap

/// One process's handle of a simulated file.
final class SimulatedBacking: Backing, StoreLocks, @unchecked Sendable {
  // Sendable: a simulation runs on one thread.
  private let file: SimulatedFile
  let mapping: StoreMapping
  /// How many losses were reported to each of its two descriptors, or came before it was opened.
  private var reported: (mapped: Int, locks: Int)

  init(_ file: SimulatedFile) throws(Store.Error) {
    self.file = file
    reported = (file.losses, file.losses)
    mapping = try StoreMapping(
      forMapping: max(file.length, StoreMapping.fixedBytes), AddressSpace(isTight: file.movesMappings))
    file.add(mapping)
    if file.length > 0 { _ = try extendMapping(to: file.length) }
  }

  /// The process dies, so that its handle does nothing more.
  func die() {
    mapping.markLost()
    file.dropPins(of: self)
    if file.checkpointer === self { file.checkpointer = nil }
    file.detach(self)
  }

  var locks: any StoreLocks { self }
  var isShared: Bool { true }
  var shared: SharedState { SharedState(bytes: fixed, start: SharedState.publicOffset) }

  func grow(to bytes: Int) throws(Store.Error) {
    try file.grow(to: bytes)
    _ = try extendMapping(to: bytes)
  }

  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool {
    try mapping.extend(to: bytes, available: { file.length }) { reservation, range throws(MappingError) in
      try file.memory.place(reservation, range)
    }
  }

  func allocate(offset: Int, count: Int) throws(Store.Error) {
    file.allocate(offset, count)
    // As with a file, space for the log is overwritten with zeros.
    var at = offset
    while at < offset + count {
      let end = min(offset + count, (at / Layout.pageBytes + 1) * Layout.pageBytes)
      if file.isWritten(page: at / Layout.pageBytes) { file.memory.bytes.zero(at, count: end - at) }
      at = end
    }
  }

  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool {
    file.trace?.during(.punching) { file.punch(offset, count) } ?? file.punch(offset, count)
    return true
  }

  func preallocate(offset: Int, count: Int) throws(Store.Error) { file.allocate(offset, count) }

  func truncate(to bytes: Int) throws(Store.Error) {
    try mapping.noteCut(at: bytes) {
      file.trace?.during(.truncating) { file.truncate(to: bytes) } ?? file.truncate(to: bytes)
    }
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var at = range.lowerBound
    while at < range.upperBound {
      let end = min(range.upperBound, (at / Layout.pageBytes + 1) * Layout.pageBytes)
      if file.isWritten(page: at / Layout.pageBytes) {
        if let last = ranges.last, last.upperBound == at {
          ranges[ranges.count - 1] = last.lowerBound..<end
        } else {
          ranges.append(at..<end)
        }
      }
      at = end
    }
    return ranges
  }

  func sync(offset: Int, count: Int) throws(Store.Error) {
    if count <= 0 { return }
    try file.sync(offset, count)
    if reported.mapped < file.losses {
      reported.mapped = file.losses
      throw Store.Error(.outcomeUnknown, "pages were not written")
    }
  }

  func syncAll() throws(Store.Error) {
    try file.sync(0, mappedBytes)
    if reported.locks < file.losses {
      reported.locks = file.losses
      throw Store.Error(.outcomeUnknown, "pages were not written")
    }
  }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool {
    switch name {
    case .attached: return kind != .exclusive || !file.isAttached(besides: self)
    case .checkpoint:
      guard file.checkpointer == nil || file.checkpointer === self else { return false }
      file.checkpointer = self
      return true
    // The simulation lets only one process at a time try the others.
    default: return true
    }
  }
  func unlock(_ name: LockName) throws(Store.Error) {
    if name == .checkpoint, file.checkpointer === self { file.checkpointer = nil }
  }
  func holder(of name: LockName, against kind: LockKind) throws(Store.Error) -> Int32? {
    name == .vouched && file.isAttached(besides: self) ? 1 : nil
  }
  func pin(_ epoch: Epoch) throws(Store.Error) { file.pin(self, epoch) }
  func unpin(_ epoch: Epoch) throws(Store.Error) { file.unpin(self, epoch) }
  func lowestPin() throws(Store.Error) -> Epoch? { file.lowestPin(besides: self) }
  func sizes() throws(Store.Error) -> (file: Int, allocated: Int) { (file.length, file.length) }
  func residentPages() throws(Store.Error) -> Int? { nil }
}
