import MappedMemory

@testable import KVMap

/// A file in simulated memory, as all processes see it that have it open.
///
/// This is the memory. What of it reaches the disk is decided when a crash image is made (see
/// ``Disk``). Everything that happens to the memory is added to the trace, if there is one.
final class SimulatedFile {
  let memory: PagedMemory
  /// What the pages hold that were not written.
  let below: PagedMemory?
  var length = 0
  /// Which pages surely have disk space.
  var space = DiskSpace()
  /// Set after a store into a page that may have no disk space.
  private(set) var problem: Violation?
  var trace: Trace?
  /// Called after each store.
  var interloper: (() -> Void)?
  /// How many syncs succeed before one fails; nil if none does.
  var syncsUntilFailure: Int?
  /// Decides what a failed sync has written.
  var failureSeed: UInt64 = 0
  /// How far ahead of need the file is grown.
  var growthStep = 0
  /// How many stores there have been.
  private(set) var storeCount = 0
  private var pins: [(backing: ObjectIdentifier, epoch: Epoch)] = []
  /// The processes that have it open.
  private var attached: Set<ObjectIdentifier> = []
  /// Whether processes map the file anew, at another address, whenever it grows.
  var movesMappings = false
  private var mappings: [StoreMapping] = []
  /// The process that writes a checkpoint.
  var checkpointer: SimulatedBacking?

  init(below: PagedMemory?) throws {
    memory = try PagedMemory()
    self.below = below
  }

  /// Begins as an empty file or an image, without stores so far.
  func begin(trace: Trace?) {
    self.trace = trace
    interloper = nil
    syncsUntilFailure = nil
    pins = []
    attached = []
    checkpointer = nil
    problem = nil
    mappings = []
  }

  func add(_ mapping: StoreMapping) { mappings.append(mapping) }

  /// Whether the file's first byte is mapped at an address, in whichever process.
  func isMapped(at base: UnsafeMutableRawPointer) -> Bool {
    if unsafe base == memory.bytes.base { return true }
    return mappings.contains { unsafe $0.isMapped(at: base) }
  }

  func isWritten(page: Int) -> Bool {
    memory.isWritten(page: page) || below?.isWritten(page: page) ?? false
  }

  // MARK: What happens to it

  func noteStore(_ offset: Int, _ count: Int) {
    guard count > 0 else { return }
    storeCount += 1
    memory.note(offset, count)
    if problem == nil, let page = space.missing(offset, count) {
      problem = Violation("page \(page) was written, which may have no disk space")
    }
    if let trace {
      unsafe trace.appendStore(
        UnsafeRawBufferPointer(start: memory.bytes.base + offset, count: count), at: offset)
      interloper?()
    }
  }

  func grow(to bytes: Int) throws(Store.Error) {
    if bytes <= length { return }
    guard bytes <= PagedMemory.byteCount else {
      throw Store.Error(.diskFull, "the simulated disk is full")
    }
    length = min(max(bytes, length + growthStep), PagedMemory.byteCount)
    trace?.append(.grow(to: length))
  }

  func allocate(_ offset: Int, _ count: Int) {
    space.set(offset, offset + count, true)
    trace?.append(.allocate(first: offset, end: offset + count))
  }

  /// The zeros are seen at once, and reach the disk like other bytes. From then on the range may
  /// have no disk space.
  func punch(_ offset: Int, _ count: Int) {
    for page in stride(from: offset, to: offset + count, by: Layout.pageBytes)
    where isWritten(page: page / Layout.pageBytes) {
      // Zeroing here is no store of the process, which would need disk space.
      let was = space[page / Layout.pageBytes]
      space[page / Layout.pageBytes] = true
      memory.bytes.zero(page, count: Layout.pageBytes)
      space[page / Layout.pageBytes] = was
    }
    space.set(offset, offset + count, false)
    trace?.append(.punch(first: offset, end: offset + count))
  }

  func truncate(to bytes: Int) {
    punch(bytes, length - bytes)
    length = bytes
    trace?.append(.truncate(to: bytes))
  }

  func sync(_ offset: Int, _ count: Int) throws(Store.Error) {
    let first = offset / Layout.pageBytes * Layout.pageBytes
    let end = (offset + count + Layout.pageBytes - 1) / Layout.pageBytes * Layout.pageBytes
    if let left = syncsUntilFailure {
      syncsUntilFailure = left > 0 ? left - 1 : nil
      if left == 0 {
        trace?.append(.failedSync(first: first, end: end, seed: failureSeed))
        throw Store.Error(.outcomeUnknown, "a simulated sync failed")
      }
    }
    trace?.append(.sync(first: first, end: end))
  }

  /// How often pages were lost. The next sync of a process that had the file open reports it; a
  /// process that opens the file later gets no error.
  private(set) var losses = 0

  /// The system fails to write pages.
  func loseWrites(seed: UInt64) {
    losses += 1
    trace?.append(.lostWrites(seed: seed))
  }

  /// For a system that reports an error only once: it has been reported.
  func forgetLosses() { losses = 0 }

  // MARK: Pins

  func attach(_ backing: SimulatedBacking) { attached.insert(ObjectIdentifier(backing)) }
  func detach(_ backing: SimulatedBacking) { attached.remove(ObjectIdentifier(backing)) }
  func endOthers(than backing: SimulatedBacking) { attached = [ObjectIdentifier(backing)] }
  func isAttached(besides backing: SimulatedBacking) -> Bool {
    attached.contains { $0 != ObjectIdentifier(backing) }
  }

  func pin(_ backing: SimulatedBacking, _ epoch: Epoch) {
    pins.append((ObjectIdentifier(backing), epoch))
  }

  func unpin(_ backing: SimulatedBacking, _ epoch: Epoch) {
    pins.removeAll { $0.backing == ObjectIdentifier(backing) && $0.epoch == epoch }
  }

  func lowestPin(besides backing: SimulatedBacking) -> Epoch? {
    pins.filter { $0.backing != ObjectIdentifier(backing) }.map(\.epoch).min()
  }

  func dropPins(of backing: SimulatedBacking) {
    pins.removeAll { $0.backing == ObjectIdentifier(backing) }
  }
}

extension SimulatedFile {
  /// What the file holds when a trace begins.
  typealias Start = (memory: PagedMemory, length: Int, space: DiskSpace)

  /// Restores the memory as it was before event number `end` of the trace, which began with
  /// `start`.
  func rewind(to end: Int, start: Start) {
    guard let trace else { return }
    var pages: Set<Int> = []
    for event in trace.events[end...] {
      guard case .store(let store) = event else { continue }
      pages.formUnion(
        store.offset / Layout.pageBytes...(store.offset + store.count - 1) / Layout.pageBytes)
    }
    for page in pages { memory.write(page: page, from: start.memory) }
    (length, space) = (start.length, start.space)
    for event in trace.events[..<end] {
      switch event {
      case .store(let store): restore(store, in: pages)
      case .grow(let size), .truncate(let size): length = size
      case .allocate(let first, let end): space.set(first, end, true)
      case .punch(let first, let end): space.set(first, end, false)
      case .sync, .failedSync, .lostWrites, .begun, .durable, .void: break
      }
    }
    trace.cut(at: end)
  }

  private func restore(_ store: Trace.Store, in pages: Set<Int>) {
    var at = store.offset
    while at < store.offset + store.count {
      let stop = min(store.offset + store.count, (at / Layout.pageBytes + 1) * Layout.pageBytes)
      if pages.contains(at / Layout.pageBytes) {
        unsafe trace?.withBytes(store.start + at - store.offset, stop - at) {
          unsafe memory.write($0, at: at)
        }
      }
      at = stop
    }
  }
}
