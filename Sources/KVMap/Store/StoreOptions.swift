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

/// When a put takes effect.
public enum PutCondition: Sendable, Hashable {
  /// In any case.
  case always
  /// Only if the key is absent.
  case absent
  /// Only if the key is present.
  case present
  /// Only if the key has the value of this version; see ``Store/entry(forKey:)``.
  case version(UInt64)
}

/// When a value ceases to exist.
public enum Expiry: Sendable, Hashable {
  /// Not by itself.
  case never
  /// At this time of the system's clock, in milliseconds since 1970.
  case at(millisecondsSince1970: UInt64)
  /// This long after the put.
  case after(Duration)

  /// How long from now, by the system's clock; nil for never.
  public var timeLeft: Duration? {
    switch self {
    case .never: return nil
    case .at(let time):
      let now = Clock.system.now()
      return .milliseconds(Int64(clamping: time > now ? time - now : 0))
    case .after(let duration): return duration
    }
  }

  func milliseconds(_ clock: Clock) -> UInt64? {
    switch self {
    case .never: return nil
    case .at(let time): return time
    case .after(let duration):
      let (seconds, attoseconds) = duration.components
      // Beyond what 64 bits hold is for ever; before now is now.
      let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
      if seconds < 0 || attoseconds < 0 { return clock.now() }
      if overflow { return .max }
      let (sum, carry) = clock.now().addingReportingOverflow(
        UInt64(whole) + UInt64(attoseconds / 1_000_000_000_000_000))
      return carry ? .max : sum
    }
  }
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
