import CMappedMemory
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An open store: the state that handles, cursors and transactions share.
@safe
final class StoreCore: @unchecked Sendable {
  // Sendable: every member is Sendable and constant, or atomic.
  let name: String
  let path: FilePath?
  let source: MemorySource
  let backing: any Backing
  /// The mapping of `backing`, which no commit has to ask it for.
  let mapping: StoreMapping
  /// The superblock the store was opened with.
  let superblock: Superblock
  let options: Store.Options
  let clock: Clock

  let writeLock: WriteLock
  let calls = CallQueue()
  let commitWaits = CommitWaits()
  let fullCompactions = FullCompactions()
  let isOpen = Atomic<Bool>(true)
  let processIdentifier = ProcessIdentifier.current
  let processGeneration = kvmap_process_generation()
  let pins: ProcessPins
  /// Whether others had the store open before this handle opened the file, and how many recoveries
  /// there had been then.
  let joinedOthers: Bool
  let recoveriesWhenJoined: UInt64
  /// The checkpoint that a private view pins.
  let pinned: Epoch?
  let maintenance: Maintenance
  /// Whether a thread of this handle holds lock C.
  let isCheckpointing = Atomic<Bool>(false)

  /// Expects everything to be mapped and, for a shared store, locks A and V to be held.
  init(
    name: String, path: FilePath?, backing: any Backing, block: Superblock, options: Store.Options,
    clock: Clock, pinned: Epoch?, joinedOthers: Bool = false
  ) throws(Store.Error) {
    self.name = name
    self.path = path?.absolute
    self.backing = backing
    mapping = backing.mapping
    self.options = options
    self.clock = clock
    self.pinned = pinned
    superblock = block
    source = mapping.source(seed: block.seed)
    self.joinedOthers = joinedOthers
    recoveriesWhenJoined = source.shared[.recoveries]
    pins = ProcessPins(backing, source)
    var writer = Writer(source, backing: backing, clock: clock)
    writer.keptSegments = Self.segments(keeping: options.keptLog)
    writeLock = WriteLock(
      writer,
      Compactor(fullCompactions, SpacePromise(use: options.space)), backing.locks,
      Self.keeping(options, backing))
    var interval: Int?
    if case .interval(let milliseconds) = options.durability { interval = milliseconds }
    maintenance = Maintenance(everyMilliseconds: interval)
    try maintenance.start(self)
  }

  /// How many segments hold so many bytes of log, if a compaction of the whole store has closed some of
  /// them before they were full.
  private static func segments(keeping bytes: Int) -> UInt64 {
    bytes > 0 ? UInt64((bytes - 1) / Layout.segmentBytes) + 4 : 0
  }

  private static func keeping(_ options: Store.Options, _ backing: any Backing) -> WriteLock.Keeping {
    if options.exclusive || !backing.isShared { return .always }
    // Somebody must answer those who want the lock while this handle has no turn.
    return options.checkpoints == .background ? .whileWriting : .forOneTurn
  }

  /// How much disk space this handle keeps to.
  var promise: SpacePromise { SpacePromise(use: options.space) }

  /// The store as it is mapped now.
  @inline(__always)
  var memory: StoreMemory { source.memory }

  /// The state that all processes share.
  @inline(__always)
  var shared: SharedState { source.shared }

  deinit {
    try? shutDown()
  }
}
