/// The reserve: disk space that is kept for freeing space when the disk is full.
///
/// Removing a key needs space before it frees any: it copies index pages, since those of the last
/// checkpoint may not change. The checkpoint that frees the pages copied before needs space too,
/// and so does recovery. All of them extend the store anyway, so the reserve lies right above the
/// high-water mark: units that nobody uses and that have disk space. Nothing in the file records
/// it; an operation that needs space there allocates it as usual, and the allocation succeeds.
///
/// A put leaves the whole reserve intact or fails, so after a put there always is one. Removals
/// may use all of it except what a checkpoint may need; checkpoints and recovery may use all of
/// it.
struct SpaceReserve: ~Copyable {
  /// What space is taken for.
  enum Purpose { case adding, removing, checkpoint }
  private(set) var purpose = Purpose.checkpoint

  /// Sets what space is taken for from now on, and returns what it was taken for before. Called
  /// only by the functions named `taking`, which set it back however they end.
  mutating func exchangePurpose(_ new: Purpose) -> Purpose {
    let old = purpose
    purpose = new
    return old
  }

  /// Units from the high-water mark to this one have disk space.
  private var known: UInt64 = 0
  /// The durable epoch at which `known` was learned. With the next one, another handle may punch
  /// what lies above its own reserve.
  private var knownAt: UInt64 = 0
  /// The high-water mark when `known` was learned. If another handle lowers it, the reserve ends
  /// lower too.
  private var knownMark: UInt64 = 0

  /// Forgets what has disk space. Called when the high-water mark has been lowered, or the file
  /// truncated.
  mutating func forget() { (known, knownMark) = (0, 0) }

  /// How many units above the high-water mark keep their disk space when the rest is punched.
  ///
  /// None for a store whose pages fit into a third of a unit: with the copies of two epochs they
  /// fill that unit, all of which has disk space.
  static func kept(_ memory: StoreMemory) -> UInt64 {
    let pages = memory.shared[.indexPages]
    return pages <= UInt64(Layout.pagesPerUnit) / 3 ? 0 : 4 + pages / UInt64(8 * Layout.pagesPerUnit)
  }

  /// How many units above the high-water mark must have disk space after space is taken for the
  /// present purpose.
  ///
  /// Between two checkpoints a removal copies its bucket and the pages on the path to it, and the
  /// next checkpoint frees as many pages, scattered over all index units. To go on, some unit
  /// must have a few free pages at once: for its own entry in the table, and for the path to that
  /// entry. With two pages in circulation for each index unit that is practically certain,
  /// however large the store. Hence an eighth of the index units, and some more for a small
  /// store.
  private func units(_ memory: StoreMemory) -> UInt64 {
    switch purpose {
    case .adding: Self.kept(memory)
    case .removing: 1
    case .checkpoint: 0
    }
  }

  /// Ensures that the reserve for the present purpose has disk space above unit `end`. Throws
  /// `diskFull` if it cannot get that.
  mutating func ensure(
    above end: UInt64, _ memory: StoreMemory, _ backing: any Backing
  ) throws(Store.Error) {
    let durable = memory.shared[.durableEpoch].number
    if knownAt != durable || memory.shared[.highWater].number < knownMark { forget() }
    let wanted = end + units(memory)
    if wanted <= known || wanted == end { return }
    try backing.grow(to: Int(wanted) * Layout.unitBytes)
    // Unit by unit: one call for all of them that fails half-way may release what an earlier call
    // got, of this handle or of another one.
    for unit in max(end, known)..<wanted {
      try backing.preallocate(offset: Int(unit) * Layout.unitBytes, count: Layout.unitBytes)
    }
    // What lies below `end` is allocated now, and the mark is raised to there.
    (known, knownAt, knownMark) = (wanted, durable, end)
  }
}

extension SpaceTable {
  /// Runs `body`; the space it takes is for `purpose`.
  mutating func taking<R>(
    for purpose: SpaceReserve.Purpose, _ body: (inout SpaceTable) throws(Store.Error) -> R
  ) throws(Store.Error) -> R {
    let before = reserve.exchangePurpose(purpose)
    defer { _ = reserve.exchangePurpose(before) }
    return try body(&self)
  }
}
