/// How much disk space a store may take in the long run, and how often a checkpoint makes released
/// space free again. Space saves work: the more garbage may stay, the fewer records are moved, and
/// the more log comes between two checkpoints, the fewer index pages are copied.
struct SpacePromise {
  let use: Store.SpaceUse

  /// Bytes of disk that a store takes at most which holds `held` bytes of records and index. The
  /// documented promise is 4 MiB more.
  func bytes(forHolding held: Int) -> Int {
    switch use {
    case .standard: 2 * held + (60 << 20)
    case .compact: held + held / 2 + (12 << 20)
    }
  }

  /// How many bytes of log make a checkpoint due. In proportion to the store, so that each byte is
  /// checkpointed a bounded number of times; and bounded itself, because recovery has to read that
  /// log.
  func checkpointLog(_ shared: SharedState) -> UInt64 {
    let live = shared[.liveBytes]
    let index = Self.indexPages(shared) * UInt64(Layout.pageBytes)
    switch use {
    case .standard: return min(max(live / 6, 16 << 20), max(64 << 20, index))
    case .compact: return min(max(live / 32, Self.leastLog), max(32 << 20, index))
    }
  }

  /// How many released index pages make a checkpoint due. Between two checkpoints each page is
  /// copied once, and once more for each snapshot that is taken.
  static func releasedPages(_ shared: SharedState) -> UInt64 {
    let pages = indexPages(shared)
    return pages + pages / 4 + 1024
  }

  /// Wrong values in the shared state must not overflow.
  private static func indexPages(_ shared: SharedState) -> UInt64 {
    min(shared[.indexPages], Layout.largestFile / UInt64(Layout.pageBytes))
  }

  /// Recovery replays this much in about 60 ms. Checkpoints of less log would cost more syncs than
  /// they save.
  static let leastLog: UInt64 = 4 << 20
}
