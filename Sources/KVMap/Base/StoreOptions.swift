// The options with which a store is opened.

/// When a commit becomes durable, so that it survives a power failure.
///
/// At every level, a commit that has returned survives the death of the process, because the
/// system keeps the mapped pages; and after a power failure the store equals a prefix of its
/// commits.
public enum Durability: Sendable, Hashable {
  /// The system writes changes to the disk when it chooses, by default within 30 seconds.
  /// `sync()` and checkpoints make them durable.
  case none
  /// Changes are durable at the latest this many milliseconds after the commit;
  /// a thread of the store syncs in the background.
  case interval(milliseconds: Int)
  /// A commit returns when it is durable: one `msync`.
  case onCommit
}

/// Which thread writes checkpoints. They limit how much of the log recovery has to read.
public enum CheckpointPolicy: Sendable, Hashable {
  /// A thread of the store, which starts when the first checkpoint is due. Commits go on
  /// meanwhile; they are throttled only if the disk cannot keep up.
  case background
  /// The thread whose commit finds a checkpoint due; that commit waits for it. A program avoids
  /// the wait by calling ``Store/checkpoint()`` earlier, at a time of its own choice. The handle has
  /// no thread then that could give others the write lock, so it takes that lock for each commit.
  case inline
}

/// How much disk space a store may take for the sake of speed.
///
/// It is what those who write to a store keep to, while records are overwritten and no snapshot is
/// held; ``Store/compact(_:)`` returns more. The handle that writes decides, so all should ask for
/// the same.
public enum SpaceUse: Sendable, Hashable {
  /// At most twice what the store holds, plus 64 MiB.
  case standard
  /// At most 1.5 times what the store holds, plus 16 MiB. Overwriting takes two to three times as long.
  case compact
}

/// What a handle may do.
public enum Access: Sendable, Hashable {
  /// Read and write.
  case readWrite
  /// Read only. The handle writes nothing to the file and creates nothing.
  case readOnly
  /// Read and write privately: the handle reads the file; its changes stay in memory and vanish
  /// with the handle.
  case scratch
}

/// How a store is opened.
public struct StoreOptions: Sendable {
  /// What the handle may do.
  public var access: Access = .readWrite
  /// Whether to create the store if it does not exist; only with `.readWrite`.
  public var create = true
  /// The durability of commits that do not say otherwise.
  public var durability: Durability = .none
  /// Which thread writes checkpoints.
  public var checkpoints: CheckpointPolicy = .background
  /// How much disk space writing may take.
  public var space: SpaceUse = .standard
  /// Whether the handle keeps the write lock until it is closed, and not only until another handle
  /// wants it: others can only read.
  public var exclusive = false
  /// How long a call waits for another process: for the write lock, a recovery, a checkpoint, a
  /// truncation, or the creation of the store. Then it throws `busy`.
  public var timeout: Duration = .seconds(10)
  /// Whether a file on a network file system is accepted. Mappings are not
  /// shared between hosts there: at most one host may have the store open.
  public var allowNetworkFileSystem = false
  /// Permissions of a new file; the process's umask applies to them.
  public var mode: UInt16 = 0o644
  /// Whether opening reads the file into memory (`MADV_POPULATE_READ`).
  public var warm = false
  /// Whether the part of the file that exists on opening is locked in memory (`mlock`).
  public var pinned = false

  /// The defaults.
  public init() {}
}
