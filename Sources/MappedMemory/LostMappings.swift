import CMappedMemory
package import Synchronization
import SystemPackage

/// Turns the SIGBUS of a page without storage into an error.
///
/// A load from or store to a page of a mapped file that lies behind the file's
/// end, or that the disk cannot provide or has no room for, raises SIGBUS,
/// which ends the process. The first mapping of this module installs a handler
/// for the whole process that knows the address ranges of the module's own
/// mappings. For a fault in one of them it sets the mapping's lost flag, puts a
/// page of zeros under the fault and returns; the access goes on, and who made
/// it checks the flag afterwards and throws. A lost mapping stays lost.
///
/// Everything else goes to the handler that was there before, or ends the
/// process as it would have: faults at other addresses, misaligned accesses,
/// signals that were sent. A handler installed later has to pass on what is not
/// its own. A thread that blocks SIGBUS cannot be saved: the kernel ends the
/// process then.
///
/// There is room for 63 ranges in static memory, and for more in pages taken
/// from the system in steps of 63; only when there are none left is the
/// creation of a mapping refused, with ENOMEM. A fault looks through all
/// ranges: O(n).
enum LostMappings {
  private static let lock = SpinLock()
  private static let isInstalled = Atomic<Bool>(false)

  /// Installs the handler unless it is in place.
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
/// that are mapped of one file.
@safe
package final class LossFlag: @unchecked Sendable {
  // Sendable: the pointer never changes, and what it leads to is atomic.

  /// Not 0: lost. Valid as long as this object.
  ///
  /// A cache line of its own, so that asking for one file is not slowed by others.
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

  /// For a loss that no access has met: a file that was found cut short, for example.
  package func raise() { unsafe word.pointee.store(1, ordering: .sequentiallyConsistent) }
}

/// A range of addresses entered with the handler; leaves it at the end of its
/// life, which has to come before the range is unmapped.
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

  /// Whether this process created the range, not one that it was forked from.
  var isOwn: Bool { generation == kvmap_process_generation() }

  /// Takes the range out, so that its address may be used by others.
  func suspend() { unsafe kvmap_guard_move(guarded, nil, 0) }

  /// Enters another range in its place.
  func resume(_ base: UnsafeMutableRawPointer, length: Int) {
    unsafe kvmap_guard_move(guarded, base, length)
  }

  func add(_ protection: Protection) { unsafe kvmap_guard_add_protection(guarded, protection.rawValue) }

  func set(_ protection: Protection) { unsafe kvmap_guard_set_protection(guarded, protection.rawValue) }

  /// Counts in children as well from now on.
  func inherit() { unsafe kvmap_guard_inherit(guarded) }
}
