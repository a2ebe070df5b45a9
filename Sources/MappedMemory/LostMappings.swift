import CMappedMemory
package import Synchronization
import SystemPackage

/// Turns the SIGBUS of a page without storage into an error.
///
/// An access to a page of a mapped file raises SIGBUS if the page lies beyond the
/// file's end, or if the disk cannot provide it or has no room for it. SIGBUS
/// ends the process. The first mapping of this module installs a handler for the
/// whole process that knows the address ranges of the module's own mappings. For
/// a fault in one of them it sets the mapping's lost flag, puts a page of zeros
/// under the fault and returns. The access continues; its caller checks the flag
/// afterwards and throws. A lost mapping stays lost.
///
/// All other signals go to the handler that was installed before, or end the
/// process as without this module: faults at other addresses, misaligned
/// accesses, signals that were sent. A handler installed later has to pass on
/// the signals that are not its own. If a thread blocks SIGBUS, the kernel ends
/// the process.
///
/// There is room for 63 ranges in static memory, and for more in pages taken
/// from the system in steps of 63. If the system has no such page, creating a
/// mapping throws ENOMEM. A fault searches all ranges: O(n).
enum LostMappings {
  private static let lock = SpinLock()
  private static let isInstalled = Atomic<Bool>(false)

  /// Installs the handler unless it is installed.
  static func prepare() throws(MappingError) {
    // Acquire pairs with the release below.
    if isInstalled.load(ordering: .acquiring) { return }
    try lock.withLock { () throws(MappingError) in
      if isInstalled.load(ordering: .relaxed) { return }
      try describing(.sigaction, nil) { () throws(Errno) in try SystemCalls.installFaultHandler() }
      isInstalled.store(true, ordering: .releasing)
    }
  }
}

/// The word that says whether storage was lost under a mapping, or under one of several
/// mappings of a file.
@safe
package final class LossFlag: @unchecked Sendable {
  // Sendable: the pointer never changes, and what it points to is atomic.

  /// Not 0: lost. Valid as long as this object.
  ///
  /// On a cache line of its own, so that reading it is not slowed by other files.
  package let word: UnsafeMutablePointer<Atomic<UInt32>>

  package init() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    unsafe word = memory.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
    unsafe word.initialize(to: Atomic(0))
  }

  deinit {
    unsafe word.deinitialize(count: 1)
    unsafe UnsafeMutableRawPointer(word).deallocate()
  }

  /// For a loss without an access: a file that was found truncated, for example.
  package func raise() { unsafe word.pointee.store(1, ordering: .sequentiallyConsistent) }
}

/// A range of addresses entered with the handler. The entry ends with this value,
/// which has to end before the range is unmapped.
@safe
struct LossGuard: ~Copyable {
  private let guarded: OpaquePointer
  private let generation: UInt32
  let flag: LossFlag

  /// Enters a range. A page put under a fault gets `protection`.
  init(
    _ base: UnsafeMutableRawPointer, length: Int, protection: Protection, flag: LossFlag
  ) throws(MappingError) {
    try LostMappings.prepare()
    let lost = unsafe UnsafeMutableRawPointer(flag.word).assumingMemoryBound(to: UInt32.self)
    guard let guarded = unsafe kvmap_guard_create(base, length, protection.rawValue, lost) else {
      throw MappingError(.mmap, .noMemory)
    }
    unsafe self.guarded = guarded
    self.flag = flag
    generation = kvmap_process_generation()
  }

  deinit {
    // In a child the entry is a copy that nothing reads.
    if generation == kvmap_process_generation() { unsafe kvmap_guard_destroy(guarded) }
  }

  /// Whether this process created the range, and not a process that it was forked from.
  var isOwn: Bool { generation == kvmap_process_generation() }

  /// Removes the range for a while, so that others may use its address.
  func suspend() { unsafe kvmap_guard_move(guarded, nil, 0) }

  /// Enters another range in its place.
  func resume(_ base: UnsafeMutableRawPointer, length: Int) {
    unsafe kvmap_guard_move(guarded, base, length)
  }

  func add(_ protection: Protection) { unsafe kvmap_guard_add_protection(guarded, protection.rawValue) }

  func set(_ protection: Protection) { unsafe kvmap_guard_set_protection(guarded, protection.rawValue) }

  /// Makes the range count in children as well.
  func inherit() { unsafe kvmap_guard_inherit(guarded) }
}
