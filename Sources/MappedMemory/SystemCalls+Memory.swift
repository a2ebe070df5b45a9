import CMappedMemory
import SystemPackage

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension SystemCalls {
  static let sharedFlag = MAP_SHARED
  static let privateFlag = MAP_PRIVATE
  static let fixedFlag = MAP_FIXED
  static let invalidateFlag = Int32(MS_INVALIDATE)
  #if canImport(Darwin)
    static let anonymousFlag = MAP_ANON
  #else
    static let anonymousFlag = MAP_ANONYMOUS
  #endif

  /// Maps memory; `descriptor` -1 for memory without a file.
  static func map(
    at address: UnsafeMutableRawPointer? = nil, length: Int, protection: Int32, flags: Int32,
    descriptor: Int32 = -1, offset: Int64 = 0
  ) throws(Errno) -> UnsafeMutableRawPointer {
    var result = unsafe MAP_FAILED
    _ = try retrying(.mmap) {
      unsafe result = mmap(address, length, protection, flags, descriptor, off_t(offset))
      return unsafe result == MAP_FAILED ? -1 : 0
    }
    guard let base = unsafe result else { throw .invalidArgument }
    return unsafe base
  }

  static func unmap(_ base: UnsafeMutableRawPointer, length: Int) throws(Errno) {
    _ = try retrying(.munmap) { unsafe munmap(base, length) }
  }

  static func protect(_ base: UnsafeMutableRawPointer, length: Int, _ protection: Int32) throws(Errno) {
    _ = try retrying(.mprotect) { unsafe mprotect(base, length, protection) }
  }

  static func sync(_ base: UnsafeMutableRawPointer, length: Int, flags: Int32) throws(Errno) {
    _ = try retrying(.msync) { unsafe msync(base, length, flags) }
  }

  static func advise(_ base: UnsafeMutableRawPointer, length: Int, _ advice: Int32) throws(Errno) {
    _ = try retrying(call(for: advice)) { unsafe madvise(base, length, advice) }
  }

  static func call(for advice: Int32) -> SystemCall {
    // The wrapper is never called with advice that the platform lacks.
    switch advice {
    case kvmap_advice_populate_read(): .populateRead
    case kvmap_advice_populate_write(): .populateWrite
    case kvmap_advice_dont_fork(): .dontFork
    default: .madvise
    }
  }

  /// One byte a page, whose lowest bit says whether it is in memory.
  static func residency(_ base: UnsafeMutableRawPointer, length: Int) throws(Errno) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: (length + PageSize.bytes - 1) / PageSize.bytes)
    _ = try retrying(.mincore) { unsafe kvmap_mincore(base, length, &result) }
    return result
  }

  static func lockMemory(_ base: UnsafeMutableRawPointer, length: Int) throws(Errno) {
    _ = try retrying(.mlock) { unsafe kvmap_mlock(base, length) }
  }

  static func unlockMemory(_ base: UnsafeMutableRawPointer, length: Int) throws(Errno) {
    _ = try retrying(.munlock) { unsafe kvmap_munlock(base, length) }
  }

  static func remap(
    _ base: UnsafeMutableRawPointer, length: Int, to newLength: Int
  ) throws(Errno) -> UnsafeMutableRawPointer {
    var result = unsafe MAP_FAILED
    _ = try retrying(.mremap) {
      unsafe result = kvmap_mremap(base, length, newLength)
      return unsafe result == MAP_FAILED ? -1 : 0
    }
    guard let moved = unsafe result else { throw .invalidArgument }
    return unsafe moved
  }
}
