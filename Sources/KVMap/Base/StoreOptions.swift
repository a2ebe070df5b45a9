/// When a commit survives what.
///
/// Whatever the level, a commit that returned survives the death of the process
/// (the system keeps the mapped pages), and after power failure the store equals
/// a prefix of its commits.
public enum Durability: Sendable, Hashable {
  /// The system writes changes out when it likes, by default within 30 seconds;
  /// `sync()` and checkpoints make them durable.
  case none
  /// Changes are durable at the latest this many milliseconds after the commit;
  /// a thread of the store syncs in the background.
  case interval(milliseconds: Int)
  /// A commit returns when it is durable: one `msync`.
  case onCommit
}

/// Who writes the checkpoints that bound what recovery has to read.
public enum CheckpointPolicy: Sendable, Hashable {
  /// A thread of the store, which is started when the first one is due. Writing goes on
  /// meanwhile; only if the disk cannot keep up is it slowed down.
  case background
  /// The commit that finds one due, which waits for it. Who calls
  /// ``Store/checkpoint()`` in time, when nobody has to wait, is spared that.
  case inline
}

/// What a handle may do.
public enum Access: Sendable, Hashable {
  /// Read and write.
  case readWrite
  /// Read only. Writes nothing to the file and creates nothing.
  case readOnly
  /// Read and write privately: the file is read, changes stay in memory and
  /// vanish with the handle.
  case scratch
}

/// How a store is opened.
public struct StoreOptions: Sendable {
  /// What the handle may do.
  public var access: Access = .readWrite
  /// Whether a store that is not there is created; only with `.readWrite`.
  public var create = true
  /// The durability of commits that do not say otherwise.
  public var durability: Durability = .none
  /// Who writes checkpoints.
  public var checkpoints: CheckpointPolicy = .background
  /// Whether the handle keeps the writer's turn for its life. Writing is faster;
  /// other handles can read only.
  public var exclusive = false
  /// How long a call waits for another process's turn to end.
  public var timeout: Duration = .seconds(10)
  /// Whether a file on a network file system is accepted. Mappings are not
  /// shared between hosts there: at most one host may have the store open.
  public var allowNetworkFileSystem = false
  /// Permissions of a new file, before the process's umask.
  public var mode: UInt16 = 0o644
  /// Whether the file is read into memory on opening (`MADV_POPULATE_READ`).
  public var warm = false
  /// Whether the file as it is on opening is kept in memory (`mlock`).
  public var pinned = false

  /// The defaults.
  public init() {}
}
