import CMappedMemory
import Synchronization

/// Reading without a lock: how a call gets a consistent view of the store.
extension StoreCore {
  /// Throws `closed` unless this handle is open and belongs to this process.
  @inline(__always)
  func checkOpen() throws(Store.Error) {
    if isOpen.load(ordering: .relaxed), kvmap_process_generation() == processGeneration { return }
    try failClosed()
  }

  @inline(never)
  private func failClosed() throws(Store.Error) -> Never {
    if kvmap_process_generation() != processGeneration {
      throw Store.Error(
        .closed, "\(name): the handle belongs to the process this one was forked from; open the store again")
    }
    throw Store.Error(.closed, "\(name): the handle was closed; open the store again")
  }

  /// Throws `lost` if part of the mapping was lost.
  @inline(__always)
  func checkNotLost() throws(Store.Error) {
    // The access that may have lost the mapping comes before the look at the flag.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if source.local.isLost { try failLost() }
  }

  /// As `checkNotLost`, after loads alone.
  @inline(__always)
  func checkNothingReadWasLost() throws(Store.Error) {
    atomicMemoryFence(ordering: .acquiring)
    if source.local.isLost { try failLost() }
  }

  @inline(never)
  private func failLost() throws(Store.Error) -> Never {
    throw Store.Error(
      .lost,
      "\(name): part of the file could not be read or written: it was cut short, or the disk failed "
        + "or is full; close the store, see to the file, and open it again")
  }

  /// The error to throw: `lost` if the mapping was lost, since the loss may look like damage; else
  /// `error`.
  func lossOr(_ error: Store.Error) -> Store.Error {
    do {
      try checkNotLost()
      return error
    } catch {
      return error
    }
  }

  /// Runs `body` on the store as it is mapped then, until what it saw is known to be sound.
  ///
  /// If the generation is the same before and after, nothing that `body` looked at was reused
  /// meanwhile: its result is right, and an error means damage. The generation changes with each
  /// checkpoint. A reader that meets three changes in a row pins the epoch.
  @inline(__always)
  func read<R>(_ body: (StoreMemory) throws(Store.Error) -> R) throws(Store.Error) -> R {
    // The mapping ends with this object, which nothing else here keeps alive to the end of the
    // call.
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    var attempts = 0
    while attempts < 3 {
      let generation = shared[.generation]
      // Loaded after the generation: a mapping that was replaced by a larger copy belongs to an
      // older generation.
      let memory = source.memory
      do {
        let result = try body(memory)
        atomicMemoryFence(ordering: .acquiring)
        if shared[.generation] == generation, !source.local.isLost,
          isOpen.load(ordering: .relaxed)
        {
          return result
        }
        try checkNotLost()
        // If this handle was closed meanwhile, another process may have opened the store alone. It
        // knows of no readers, and raises the generation last.
        try checkOpen()
      } catch {
        try throwUnlessOutdated(error, generation, memory.mappedBytes)
      }
      attempts += 1
    }
    return try readPinned(body)
  }

  /// Decides about an error: throws it if it means damage; returns if the read is to be repeated.
  @inline(never)
  private func throwUnlessOutdated(
    _ error: Store.Error, _ generation: UInt64, _ mapped: Int
  ) throws(Store.Error) {
    try checkNotLost()
    try checkOpen()
    atomicMemoryFence(ordering: .acquiring)
    if shared[.generation] != generation { return }
    if try mapGrowth(since: mapped) { return }
    throw error.naming(name)
  }

  /// Maps what others have added to the file; false if no more is mapped than `before`.
  func mapGrowth(since before: Int) throws(Store.Error) -> Bool {
    // Another thread may have mapped it meanwhile.
    if mapping.mappedBytes > before { return true }
    let end = Int(
      clamping: shared[.highWater].number.multipliedReportingOverflow(
        by: UInt64(Layout.unitBytes)
      ).partialValue)
    do {
      guard end > before, try backing.extendMapping(to: end) else { return false }
    } catch {
      throw error.naming(name)
    }
    unmapOutgrown()
    return true
  }

  /// Unmaps outgrown mappings, unless a thread of this handle has the write lock.
  func unmapOutgrown() {
    guard let turn = writeLock.tryEnter() else { return }
    mapping.unmapOutgrown()
    withExtendedLifetime(turn) {}
  }

  /// Reads with the current epoch pinned: nothing is reused meanwhile.
  @inline(never)
  private func readPinned<R>(
    _ body: (StoreMemory) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    let pin = try pins.pinCurrent()
    defer { try? pins.unpin(pin) }
    return try readFrozen(body)
  }

  /// Reads what is pinned. Repeats the read only if the store has grown. The caller is counted as a
  /// reader, or holds the mapping.
  @inline(__always)
  func readFrozen<R>(_ body: (StoreMemory) throws(Store.Error) -> R) throws(Store.Error) -> R {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    while true {
      let memory = source.memory
      do {
        let result = try body(memory)
        try checkNothingReadWasLost()
        // As in `read`: pins do not keep another process from recovering the store alone.
        if !isOpen.load(ordering: .relaxed) { try failClosed() }
        // The memory was replaced by a larger copy, and this one may lack what is current.
        if unsafe source.memory.bytes.base != memory.bytes.base { continue }
        return result
      } catch {
        try throwUnlessGrown(error, memory.mappedBytes)
      }
    }
  }

  /// Decides about an error: throws it if it means damage; returns if the read is to be repeated.
  @inline(never)
  private func throwUnlessGrown(_ error: Store.Error, _ mapped: Int) throws(Store.Error) {
    try checkNotLost()
    try checkOpen()
    if try mapGrowth(since: mapped) { return }
    throw error.naming(name)
  }

  // MARK: Lookups

  /// The record of `key`; nil if it is absent or expired. To be called within `read`.
  @inline(__always)
  func find(
    _ key: RawSpan, _ hash: KeyHash, in memory: StoreMemory
  ) throws(Store.Error) -> IndexReader.Match? {
    try find(key, hash, IndexReader(memory: memory), clock)
  }

  @inline(__always)
  func find(
    _ key: RawSpan, _ hash: KeyHash, _ index: IndexReader, _ clock: Clock
  ) throws(Store.Error) -> IndexReader.Match? {
    guard let match = try index.find(hash, key) else { return nil }
    return try match.record(index.memory).isExpired(clock) ? nil : match
  }

  @inline(__always)
  func get(_ key: RawSpan) throws(Store.Error) -> [UInt8]? {
    try get(key, KeyHash(key, seed: source.seed))
  }

  @inline(__always)
  func get(_ key: RawSpan, _ hash: KeyHash) throws(Store.Error) -> [UInt8]? {
    try read { memory throws(Store.Error) -> [UInt8]? in try found(key, hash, in: memory)?.array }
  }

  /// The value of `key`, verified; nil if there is none. To be called within `read` or `readFrozen`.
  @inline(__always)
  func found(_ key: RawSpan, _ hash: KeyHash, in memory: StoreMemory) throws(Store.Error) -> FoundBytes? {
    guard let match = try find(key, hash, in: memory) else { return nil }
    return FoundBytes(bytes: memory.bytes, range: try match.record(memory).value())
  }

  func contains(_ key: RawSpan) throws(Store.Error) -> Bool {
    let hash = KeyHash(key, seed: source.seed)
    return try read { memory throws(Store.Error) -> Bool in
      guard let match = try find(key, hash, in: memory) else { return false }
      try match.record(memory).verify()
      return true
    }
  }

  /// Passes the value to `body` where it lies. Its bytes are neither reused nor unmapped before
  /// `body` returns.
  func withValue<R>(_ key: RawSpan, _ body: (RawSpan) throws -> R) throws -> R? {
    try pinned {
      let hash = KeyHash(key, seed: source.seed)
      let value = try readFrozen { memory throws(Store.Error) in try found(key, hash, in: memory) }
      guard let value else { return nil }
      let result = try body(value.span)
      try checkNothingReadWasLost()
      return result
    }
  }

  /// Runs `body`, and keeps meanwhile where it is what the store holds now.
  @inline(__always)
  func pinned<R>(_ body: () throws -> R) throws -> R {
    defer { withExtendedLifetime(self) {} }
    try checkOpen()
    let ticket = source.local.readers.enter()
    defer { source.local.readers.leave(ticket) }
    // Pin even if this handle keeps the write lock for its life: that ends if the handle is closed
    // meanwhile.
    let pin = backing.isShared ? try pins.pinCurrent() : nil
    defer { if let pin { try? pins.unpin(pin) } }
    return try body()
  }
}

/// Bytes that were found in the store, at the place where they were mapped then.
struct FoundBytes {
  let bytes: MappedBytes
  let range: Range<Int>

  /// Valid for as long as that mapping is kept.
  var span: RawSpan {
    @_lifetime(immortal)
    get { bytes.span(range.lowerBound, count: range.count) }
  }

  var array: [UInt8] { bytes.array(range.lowerBound, count: range.count) }
}
