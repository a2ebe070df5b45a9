/// Disk space that is kept for getting out of a full disk.
///
/// Removing a key needs space before it can give any back: copies of index pages, since
/// those of the last checkpoint may not change. So does the checkpoint that frees what
/// was copied before, and so does recovery. What they need lies right above the
/// high-water mark, where each of them would extend the store anyway: units that the file
/// has disk space for, and that nobody uses. No page of the file says so; whoever needs
/// space there asks for it as always, and finds it granted.
///
/// A put leaves the whole reserve behind, or fails; so after a put there always is one.
/// Removals may use all of it but what a checkpoint may need; checkpoint and recovery all.
struct SpaceReserve: ~Copyable {
  /// Who takes space.
  enum Purpose { case adding, removing, checkpoint }
  private(set) var purpose = Purpose.checkpoint

  /// Says who takes space from now on, and returns who did before. Called only by the
  /// functions named `taking`, which set it back however they end.
  mutating func exchangePurpose(_ new: Purpose) -> Purpose {
    let old = purpose
    purpose = new
    return old
  }

  /// Units below this one have disk space if they lie above the high-water mark.
  private var known: UInt64 = 0
  /// The durable epoch at which that was learned: with the next one another process may give
  /// back what lies above its own reserve.
  private var knownAt: UInt64 = 0

  /// Called when the high-water mark has been lowered, or the file cut off.
  mutating func forget() { known = 0 }

  /// How many units above the high-water mark are left alone when the rest is given back.
  ///
  /// None for a store whose pages fit into a third of a unit: with the copies of two epochs
  /// they fill one, which all has disk space.
  static func kept(_ memory: StoreMemory) -> UInt64 {
    let pages = memory.shared[.indexPages]
    return pages <= UInt64(Layout.pagesPerUnit) / 3 ? 0 : 4 + pages / UInt64(8 * Layout.pagesPerUnit)
  }

  /// How many units above the high-water mark must have disk space afterwards.
  ///
  /// Between two checkpoints a removal copies its bucket and what leads to it, and the
  /// next checkpoint frees as many pages, scattered over all index units. To go on, some
  /// unit must have a few free pages at once, for its own entry in the table and for what
  /// leads there. With as many pages in circulation as two for each index unit this is
  /// as good as sure, however large the store: hence an eighth of the index units, and
  /// some for a small store.
  private func units(_ memory: StoreMemory) -> UInt64 {
    switch purpose {
    case .adding: Self.kept(memory)
    case .removing: 1
    case .checkpoint: 0
    }
  }

  /// Sees to it that the reserve for `purpose` is there above unit `end`.
  mutating func ensure(
    above end: UInt64, _ memory: StoreMemory, _ backing: any Backing
  ) throws(StoreError) {
    let durable = memory.shared[.durableEpoch].number
    if knownAt != durable { (known, knownAt) = (0, durable) }
    let wanted = end + units(memory)
    if wanted <= known || wanted == end { return }
    try backing.grow(to: Int(wanted) * Layout.unitBytes)
    // One by one: a call that fails half-way may take back what an earlier one got.
    for unit in max(end, known)..<wanted {
      try backing.preallocate(offset: Int(unit) * Layout.unitBytes, count: Layout.unitBytes)
      known = unit + 1
    }
  }
}

extension SpaceTable {
  /// Runs `body`, whose space is taken for that purpose.
  mutating func taking<R>(
    for purpose: SpaceReserve.Purpose, _ body: (inout SpaceTable) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let before = reserve.exchangePurpose(purpose)
    defer { _ = reserve.exchangePurpose(before) }
    return try body(&self)
  }
}
