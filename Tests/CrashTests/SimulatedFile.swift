import MappedMemory

@testable import KVMap

/// A file in simulated memory, as all processes see it that have it open.
///
/// Memory and disk are apart: this is the memory, and what of it reaches the disk
/// is decided when a crash image is made (see ``Disk``). All that happens to the
/// memory is written to a trace, if there is one.
final class SimulatedFile {
  let memory: PagedMemory
  /// What the memory holds where it was not written.
  let below: PagedMemory?
  var length = 0
  var trace: Trace?
  /// Called after each store.
  var interloper: (() -> Void)?
  /// How many syncs succeed before one fails; nil if none does.
  var syncsUntilFailure: Int?
  /// Decides what a sync that failed has written.
  var failureSeed: UInt64 = 0
  /// How far ahead of need the file is grown.
  var growthStep = 0
  /// Stores so far.
  private(set) var storeCount = 0
  private var pins: [(backing: ObjectIdentifier, epoch: Epoch)] = []

  init(below: PagedMemory?) throws {
    memory = try PagedMemory()
    self.below = below
  }

  /// Makes it an empty file, or an image, without a past.
  func begin(trace: Trace?) {
    self.trace = trace
    interloper = nil
    syncsUntilFailure = nil
    pins = []
  }

  func isWritten(page: Int) -> Bool {
    memory.isWritten(page: page) || below?.isWritten(page: page) ?? false
  }

  // MARK: What happens to it

  func noteStore(_ offset: Int, _ count: Int) {
    guard count > 0 else { return }
    storeCount += 1
    memory.note(offset, count)
    if let trace {
      unsafe trace.appendStore(
        UnsafeRawBufferPointer(start: memory.bytes.base + offset, count: count), at: offset)
      interloper?()
    }
  }

  func grow(to bytes: Int) throws(StoreError) {
    if bytes <= length { return }
    guard bytes <= PagedMemory.byteCount else {
      throw StoreError(.diskFull, "the simulated disk is full")
    }
    length = min(max(bytes, length + growthStep), PagedMemory.byteCount)
    trace?.append(.grow(to: length))
  }

  func sync(_ offset: Int, _ count: Int) throws(StoreError) {
    let first = offset / Layout.pageBytes * Layout.pageBytes
    let end = (offset + count + Layout.pageBytes - 1) / Layout.pageBytes * Layout.pageBytes
    if let left = syncsUntilFailure {
      syncsUntilFailure = left > 0 ? left - 1 : nil
      if left == 0 {
        trace?.append(.failedSync(first: first, end: end, seed: failureSeed))
        throw StoreError(.outcomeUnknown, "a simulated sync failed")
      }
    }
    trace?.append(.sync(first: first, end: end))
  }

  // MARK: Pins

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
  /// Takes the memory back to what it was before event number `end`; the trace
  /// began with `start`, and a file of `startLength` bytes.
  func rewind(to end: Int, start: PagedMemory, startLength: Int) {
    guard let trace else { return }
    var pages: Set<Int> = []
    for event in trace.events[end...] {
      guard case .store(let store) = event else { continue }
      pages.formUnion(
        store.offset / Layout.pageBytes...(store.offset + store.count - 1) / Layout.pageBytes)
    }
    for page in pages { memory.write(page: page, from: start) }
    length = startLength
    for event in trace.events[..<end] {
      switch event {
      case .store(let store): restore(store, in: pages)
      case .grow(let size): length = size
      case .sync, .failedSync, .begun, .durable, .void: break
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
