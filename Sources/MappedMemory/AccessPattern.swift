import CMappedMemory

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Advice to the kernel about the use of a range (`madvise`).
///
/// Most cases are hints. Some change what the range contains, and say so. A case
/// that the platform lacks throws ``MappingError/Code/unsupported``.
public enum AccessPattern: Sendable, Hashable, CaseIterable {
  /// No particular order: the kernel's usual read-ahead.
  case normal
  /// Random order: no read-ahead. Page faults also bring in single pages
  /// instead of large folios, so that a sync writes less around each change.
  case random
  /// From front to back: more read-ahead.
  case sequential
  /// Needed soon: starts to read the range in, without waiting.
  case willNeed
  /// Not needed soon. **Changes contents** of private and anonymous memory on
  /// Linux: afterwards it reads as in the file, or as zeros.
  case dontNeed
  /// Not needed any more. **Contents of private anonymous memory may become zeros** at
  /// any time until the next write. EINVAL for other memory.
  case free
  /// Evict this before other memory. Linux 5.4.
  case cold
  /// Evict this now. Linux 5.4.
  case pageOut
  /// Reads the range in and waits; an error if a load would raise SIGBUS.
  /// Linux 5.14.
  case populateRead
  /// Makes each page writable and waits; an error if a store would raise
  /// SIGBUS. Contents stay as they are. Linux 5.14.
  case populateWrite
  /// A child of `fork` does not have the range. Linux.
  case dontFork
  /// A child of `fork` has the range. Linux.
  case doFork
  /// A child of `fork` finds zeros in the range; private anonymous memory
  /// only. Linux 4.14.
  case wipeOnFork
  /// Undoes ``wipeOnFork``. Linux 4.14.
  case keepOnFork

  /// The system call's number for it.
  func advice() throws(MappingError) -> Int32 {
    let value: Int32 =
      switch self {
      case .normal: Int32(MADV_NORMAL)
      case .random: Int32(MADV_RANDOM)
      case .sequential: Int32(MADV_SEQUENTIAL)
      case .willNeed: Int32(MADV_WILLNEED)
      case .dontNeed: Int32(MADV_DONTNEED)
      case .free: kvmap_advice_free()
      case .cold: kvmap_advice_cold()
      case .pageOut: kvmap_advice_page_out()
      case .populateRead: kvmap_advice_populate_read()
      case .populateWrite: kvmap_advice_populate_write()
      case .dontFork: kvmap_advice_dont_fork()
      case .doFork: kvmap_advice_do_fork()
      case .wipeOnFork: kvmap_advice_wipe_on_fork()
      case .keepOnFork: kvmap_advice_keep_on_fork()
      }
    guard value >= 0 else { throw MappingError(.unsupported, SystemCall.madvise.rawValue) }
    return value
  }
}
