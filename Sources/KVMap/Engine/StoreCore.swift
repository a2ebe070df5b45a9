import CMappedMemory
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An open store: what handles, cursors and transactions share.
@safe
final class StoreCore: @unchecked Sendable {
  // Sendable: `source` and `backing` are; `writer` and `mutex` are touched only
  // as the comments beside them say; all else never changes or is atomic.
  let name: String
  let path: FilePath?
  let source: MemorySource
  let backing: any Backing
  /// The superblock the store was opened with.
  let superblock: Superblock
  let options: StoreOptions
  let clock: Clock

  /// Touched only by the thread that holds `mutex`.
  let writer: UnsafeMutablePointer<Writer>
  /// Writers of this process take turns.
  let mutex = Lock()
  /// The thread that holds `mutex`, 0 for none: to find calls from within.
  let owner = Atomic<UInt>(0)
  let isOpen = Atomic<Bool>(true)
  /// How many threads wait for `mutex`.
  let waiting = Atomic<Int>(0)
  let processIdentifier = ProcessIdentifier.current
  let processGeneration = kvmap_process_generation()
  let pins: ProcessPins
  /// The recovery this handle's writer knows of. Under `mutex`.
  var knownRecoveries: UInt64 = 0
  /// Whether it has not had the turn yet. Under `mutex`.
  var isNew = true
  /// Whether others had the store open before this handle's descriptors were, and the last
  /// recovery that had been made then.
  let joinedOthers: Bool
  let recoveriesWhenJoined: UInt64
  /// The length of log at which a checkpoint was asked for last. Under `mutex`.
  var lengthWhenAsked: UInt64 = .max
  /// The length of log since the last checkpoint when the turn began. Under `mutex`.
  var lengthAtTurn: UInt64 = 0
  /// How often it was asked whether writing should wait for space, and the last answer. Under `mutex`.
  var looksForSpace: UInt64 = 0
  var wasShortOfSpace = false
  /// When it is looked next whether the path still leads to the file. Under `mutex`.
  var nextPlaceCheck: UInt64 = 0
  /// Whether this handle holds the turn for its life. Under `mutex`.
  var holdsTurn = false
  /// The checkpoint that a private view pins.
  let pinned: Epoch?
  let maintenance: Maintenance
  /// Whether a thread of this handle holds lock C.
  let isCheckpointing = Atomic<Bool>(false)

  /// Everything is mapped and, for a shared store, locks A and V are held.
  init(
    name: String, path: FilePath?, backing: any Backing, block: Superblock, options: StoreOptions,
    clock: Clock, pinned: Epoch?, joinedOthers: Bool = false
  ) throws(StoreError) {
    self.name = name
    self.path = path?.absolute
    self.backing = backing
    self.options = options
    self.clock = clock
    self.pinned = pinned
    superblock = block
    source = backing.mapping.source(seed: block.seed)
    self.joinedOthers = joinedOthers
    recoveriesWhenJoined = source.live[LivePage.recoveries]
    pins = ProcessPins(backing, source)
    unsafe writer = .allocate(capacity: 1)
    unsafe writer.initialize(to: Writer(source, backing: backing, clock: clock))
    var interval: Int?
    if case .interval(let milliseconds) = options.durability { interval = milliseconds }
    maintenance = Maintenance(everyMilliseconds: interval)
    try maintenance.start(self)
  }

  /// The store as it is mapped now.
  @inline(__always)
  var memory: StoreMemory { source.memory }

  /// The words that all processes share.
  @inline(__always)
  var live: LivePage { source.live }

  deinit {
    try? shutDown()
    unsafe writer.deinitialize(count: 1)
    unsafe writer.deallocate()
  }
}
