import CMappedMemory

/// How a mapping is set up, apart from its protection and sharing.
///
/// `MAP_EXECUTABLE`, `MAP_DENYWRITE` and `MAP_FILE` are missing: the Linux
/// kernel ignores them. `MAP_FIXED` is missing too: an address is only chosen
/// inside a ``Reservation``. An option that a platform lacks has no effect
/// there, except ``low32Bit`` and ``growsDown``, which throw.
public struct MappingOptions: OptionSet, Sendable, Hashable {
  /// A set of options; the bits are this module's own.
  public let rawValue: UInt32

  /// A set of options by its bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Reads the whole range in before the call returns, and enters it in the
  /// page table (`MAP_POPULATE`); blocks on the disk. Pages that cannot be read
  /// are left out without an error. Linux only.
  public static let prefault = MappingOptions(rawValue: 1 << 0)

  /// Enters only what is in memory already (`MAP_POPULATE | MAP_NONBLOCK`).
  /// Linux since 2.6.23 does nothing for the combination.
  public static let prefaultNonblocking = MappingOptions(rawValue: 1 << 1)

  /// Brings the range into memory and keeps it there (`MAP_LOCKED`). Failures
  /// to bring it in are not reported; `lock` reports them. Needs a sufficient
  /// RLIMIT_MEMLOCK, or CAP_IPC_LOCK. Linux only.
  public static let locked = MappingOptions(rawValue: 1 << 2)

  /// Counts no swap space for the range (`MAP_NORESERVE`).
  public static let noReserve = MappingOptions(rawValue: 1 << 3)

  /// Takes an address in the first 2 GiB (`MAP_32BIT`). Linux on x86-64 only;
  /// no effect inside a reservation, where the address is given.
  public static let low32Bit = MappingOptions(rawValue: 1 << 4)

  /// A touch of the page below the mapping makes it grow downwards by that
  /// page (`MAP_GROWSDOWN`), until it comes within the stack gap (1 MiB) of
  /// another mapping. Linux only, anonymous private memory only. The mapping's
  /// own length does not include the pages it has grown by: it neither hands
  /// them out nor unmaps them.
  public static let growsDown = MappingOptions(rawValue: 1 << 5)

  /// Gives a `fork`ed child the mapping too. Without this option the range is
  /// missing in a child (`MADV_DONTFORK`). The child's copy of the owner never unmaps.
  public static let inheritedByChildren = MappingOptions(rawValue: 1 << 6)

  /// The flags of the system call.
  func flags(operation: String) throws(MappingError) -> Int32 {
    var flags: Int32 = 0
    if contains(.prefault) { flags |= kvmap_map_populate() }
    if contains(.prefaultNonblocking) { flags |= kvmap_map_populate() | kvmap_map_nonblock() }
    if contains(.locked) { flags |= kvmap_map_locked() }
    if contains(.noReserve) { flags |= kvmap_map_no_reserve() }
    if contains(.low32Bit) { flags |= try Self.required(kvmap_map_32bit(), operation) }
    if contains(.growsDown) { flags |= try Self.required(kvmap_map_grows_down(), operation) }
    return flags
  }

  private static func required(_ flag: Int32, _ operation: String) throws(MappingError) -> Int32 {
    guard flag != 0 else { throw MappingError(.unsupported, operation) }
    return flag
  }
}
