// The options with which a store is opened.

extension Store {
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
    /// the wait by calling `checkpoint()` earlier, at a time of its own choice. The handle has
    /// no thread then that could give others the write lock, so it takes that lock for each commit.
    case inline
  }

  /// How much disk space a store may take for the sake of speed.
  ///
  /// It is what those who write to a store keep to, while records are overwritten and no snapshot is
  /// held; `compact` returns more. The handle that writes decides, so all should ask for
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
  public struct Options: Sendable {
    /// What the handle may do.
    public var access: Store.Access
    /// Whether to create the store if it does not exist; only with `.readWrite`.
    public var create: Bool
    /// The durability of commits that do not say otherwise.
    public var durability: Store.Durability
    /// Which thread writes checkpoints.
    public var checkpoints: Store.CheckpointPolicy
    /// How much disk space writing may take.
    public var space: Store.SpaceUse
    /// How many of the last bytes of the log writing leaves in the file for those who follow
    /// ``Store/changes(since:withPrefix:values:durable:)``. The file is larger by up to as much and
    /// 4 MiB; without it, changes that were overwritten may soon be gone. All handles that write should ask for the
    /// same.
    public var keptLog: Int
    /// Whether the handle keeps the write lock until it is closed, and not only until another handle
    /// wants it: others can only read.
    public var exclusive: Bool
    /// How long a call waits for another process: for the write lock, a recovery, a checkpoint, a
    /// truncation, or the creation of the store. Then it throws `busy`.
    public var timeout: Duration
    /// Whether a file on a network file system is accepted. Mappings are not
    /// shared between hosts there: at most one host may have the store open.
    public var allowNetworkFileSystem: Bool
    /// Permissions of a new file; the process's umask applies to them.
    public var mode: UInt16
    /// Whether opening reads the file into memory (`MADV_POPULATE_READ`).
    public var warm: Bool
    /// Whether the part of the file that exists on opening is locked in memory (`mlock`).
    public var pinned: Bool

    /// Options for opening a store; what is left out has its default.
    ///
    ///     let options = Store.Options(access: .readOnly, timeout: .seconds(1))
    ///
    /// - Parameters:
    ///   - access: what the handle may do.
    ///   - create: whether to create the store if it does not exist; only with `.readWrite`.
    ///   - durability: the durability of commits that do not say otherwise.
    ///   - checkpoints: which thread writes checkpoints.
    ///   - space: how much disk space writing may take.
    ///   - keptLog: how many of the last bytes of the log are kept for those who follow the changes.
    ///   - exclusive: whether the handle keeps the write lock until it is closed.
    ///   - timeout: how long a call waits for another process.
    ///   - allowNetworkFileSystem: whether a file on a network file system is accepted.
    ///   - mode: permissions of a new file; the process's umask applies to them.
    ///   - warm: whether opening reads the file into memory.
    ///   - pinned: whether the part of the file that exists on opening is locked in memory.
    public init(
      access: Store.Access = .readWrite, create: Bool = true, durability: Store.Durability = .none,
      checkpoints: Store.CheckpointPolicy = .background, space: Store.SpaceUse = .standard,
      keptLog: Int = 0, exclusive: Bool = false, timeout: Duration = .seconds(10),
      allowNetworkFileSystem: Bool = false, mode: UInt16 = 0o644, warm: Bool = false, pinned: Bool = false
    ) {
      self.access = access
      self.create = create
      self.durability = durability
      self.checkpoints = checkpoints
      self.space = space
      self.keptLog = keptLog
      self.exclusive = exclusive
      self.timeout = timeout
      self.allowNetworkFileSystem = allowNetworkFileSystem
      self.mode = mode
      self.warm = warm
      self.pinned = pinned
    }
  }
}
