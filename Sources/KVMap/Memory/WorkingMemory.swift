/// The current `StoreMemory` of a writer, which all its parts share: when one of them maps more
/// of the store, all of them see it.
///
/// The `Writer` owns it; one thread uses it at a time.
@safe
struct WorkingMemory {
  private let latest: UnsafeMutablePointer<StoreMemory>
  let source: MemorySource

  init(_ source: MemorySource) {
    self.source = source
    unsafe latest = .allocate(capacity: 1)
    unsafe latest.initialize(to: source.memory)
  }

  func deallocate() { unsafe latest.deallocate() }

  @inline(__always)
  var memory: StoreMemory { unsafe latest.pointee }

  /// Loads the present mapping. To be called when more may have been mapped, or the store mapped
  /// at another address. Addresses from before stay valid while the write lock is held.
  func refresh() { unsafe latest.pointee = source.memory }
}
