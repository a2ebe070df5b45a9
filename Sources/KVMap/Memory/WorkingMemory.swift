/// The store as it is mapped, for the parts of a writer: all of them see it as soon as one
/// of them has had more of it mapped.
///
/// Used by one thread at a time, and owned by the `Writer`.
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

  /// Called when more may have been mapped, or it may have been mapped anew. What was had
  /// before stays valid for as long as the writer has its turn.
  func refresh() { unsafe latest.pointee = source.memory }
}
