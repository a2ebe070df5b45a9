#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The accesses that a page allows: any combination, or none.
///
/// The processor may allow more than was asked for: on x86-64 what can be
/// written can also be read.
public struct Protection: OptionSet, Sendable, Hashable {
  /// The bits of the system call.
  public let rawValue: Int32

  /// A combination of the system call's bits.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// No access: reserved address space (`PROT_NONE`).
  public static let none = Protection([])
  /// The bytes can be read (`PROT_READ`).
  public static let read = Protection(rawValue: PROT_READ)
  /// The bytes can be written (`PROT_WRITE`).
  public static let write = Protection(rawValue: PROT_WRITE)
  /// The bytes can be run as instructions (`PROT_EXEC`). A file system mounted
  /// noexec refuses it with EPERM.
  public static let execute = Protection(rawValue: PROT_EXEC)
}

/// Where changes through a mapping are visible.
public enum Sharing: Sendable, Hashable {
  /// The file, and every process that maps or reads it (`MAP_SHARED`).
  case shared
  /// This mapping alone (`MAP_PRIVATE`): pages are copied when first written;
  /// the copies vanish with the mapping. Pages that were not written may or
  /// may not follow changes of the file.
  case `private`

  var flag: Int32 {
    switch self {
    case .shared: SystemCalls.sharedFlag
    case .private: SystemCalls.privateFlag
    }
  }
}

/// When `sync` returns.
public enum SyncMode: Sendable, Hashable {
  /// After the changed pages reached the disk (`MS_SYNC`). On Darwin they have
  /// reached the drive, not necessarily its platters: sync the file as well.
  case wait
  /// At once (`MS_ASYNC`). Linux does nothing then: its own writeback writes
  /// the pages later.
  case start

  var flag: Int32 {
    switch self {
    case .wait: Int32(MS_SYNC)
    case .start: Int32(MS_ASYNC)
    }
  }
}
