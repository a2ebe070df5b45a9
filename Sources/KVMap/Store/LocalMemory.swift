import MappedMemory

/// Owns what a process keeps about a store it has mapped.
@safe
final class LocalMemory: Sendable {
  /// The view of the store; valid as long as this object and the backing are.
  let memory: StoreMemory
  private let table: Reservation

  /// Pages for which can be remembered that they were found intact: those of a
  /// file of 1 TiB. Further ones are checked at each touch. The table takes
  /// memory only where it is used.
  private static let pages = (1 << 40) / Layout.pageBytes

  init(_ backing: any Backing, seed: StoreSeed) throws(StoreError) {
    do {
      table = try Reservation(atLeast: 1 << 20, preferring: Self.pages)
      try table.placeAnonymous(
        at: 0, length: table.length, protection: [.read, .write],
        options: [.noReserve, .inheritedByChildren])
    } catch {
      throw StoreError(error)
    }
    let local = UnsafeMutablePointer<LocalState>.allocate(capacity: 1)
    unsafe local.initialize(to: LocalState(verified: table.base, count: table.length))
    memory = unsafe StoreMemory(bytes: backing.bytes, seed: seed, local: local)
    memory.noteMapped(backing.mappedBytes)
  }

  deinit {
    unsafe memory.local.deinitialize(count: 1)
    unsafe memory.local.deallocate()
  }
}
