/// Copies everything that can be read of a damaged store into a new one.
///
/// For each key these count, in this order: the log after the checkpoint; the index of the
/// checkpoint; and, where the index is damaged, the newest record that a search of the whole log
/// finds. Without a superblock there is only the search.
final class Salvager {
  let view: SourceView
  /// The new store's first sequence number: above all versions that are kept.
  private(set) var firstSequence = SequenceNumber(number: 1)
  var report = Store.SalvageReport()

  /// What the log after the checkpoint says.
  private(set) var recent: KeyHistory
  /// What the search found about the keys it was made for.
  private(set) var found: KeyHistory
  /// Slots whose records cannot be read.
  private(set) var damagedSlots: [DamagedSlot] = []
  /// Pages of the index that cannot be read.
  private(set) var lost: [CheckpointWalk.LostPage] = []
  private var lostHashes: [HashRange] = []
  private var kinds: [UnitKind?] = []
  /// Where the large values begin whose records the index points to.
  private var runs: Set<Int> = []
  private let progress: (Int, Double) -> Void
  private var taken = 0

  /// A slot whose record cannot be read.
  struct DamagedSlot {
    var place: CheckpointWalk.SlotPlace
    /// The record's key, if it is intact or seems to be.
    var key: [UInt8]?
    var isKeyCertain: Bool
    var reason: String
    var offset: Int { Int(clamping: place.slot.position.offset) }
  }

  var memory: StoreMemory { view.memory }

  init(_ view: SourceView, progress: @escaping (Int, Double) -> Void) {
    self.view = view
    self.progress = progress
    recent = KeyHistory(memory: view.memory)
    found = KeyHistory(memory: view.memory)
  }

  // MARK: Steps

  /// Reads what has to be known before the new store can be created.
  func prepare() throws(Store.Error) {
    var superblocks = Store.VerificationReport()
    superblocks.add(view)
    report.add(faultsOf: superblocks)
    if let block = view.block {
      let log = try RecentLog(view: view, block: block)
      recent = log.history
      for gap in log.gaps { note(gap) }
      if log.isCut {
        report.add(
          .unknownKeys, "file", at: view.size,
          "the log went on where the file ends now; what was changed after its place is lost")
      }
      setFirstSequence(max(log.end.tail.sequence.number, recent.sequenceEnd))
    } else {
      lost = [CheckpointWalk.LostPage(offset: 0, hashes: .all)]
      try search()
      setFirstSequence(found.sequenceEnd)
    }
  }

  /// Puts everything into the new store.
  func fill(_ target: StoreCore) throws(Store.Error) {
    if let block = view.block {
      try takeIndexed(block, target)
      if !lost.isEmpty || !damagedSlots.isEmpty { try search() }
    }
    try takeFound(target)
    try settleDamagedSlots(target)
    try takeRecent(target)
    try view.checkNotLost()
    report.recordCount = target.recordCount
  }

  /// Sets the new store's first sequence number. A number that would leave the store too few of its
  /// own is not used, and then the versions are not kept.
  private func setFirstSequence(_ number: UInt64) {
    if number < SequenceNumber.limit.number / 2 { firstSequence = SequenceNumber(number: max(1, number)) }
  }

  private func takeIndexed(_ block: Superblock, _ target: StoreCore) throws(Store.Error) {
    var walk = CheckpointWalk(memory: memory, block: block)
    try walk.walkIndex { (place, share) throws(Store.Error) in
      try take(place, target)
      progress(taken, share)
    }
    kinds = walk.unitKinds()
    lost = walk.lost
    report.add(faultsOf: walk.report)
  }

  /// Searches the log for keys about which the index says nothing.
  private func search() throws(Store.Error) {
    lostHashes = lost.map(\.hashes).sorted { $0.first < $1.first }
    let slots = Dictionary(grouping: damagedSlots) { $0.place.slot.tag }
    var log = LogHistory(view, block: view.block, kinds: kinds)
    var history = found
    try log.read(into: &history) { hash in
      isLost(hash) || slots[hash.tag]?.contains { $0.place.mayHold(hash) } ?? false
    } progress: { share in
      progress(taken, share)
    }
    found = history
    if lost.isEmpty { return }
    let unexplained = log.gaps.filter { !$0.isExplained }
    for gap in unexplained { note(gap) }
    if log.isComplete, unexplained.isEmpty { return }
    for page in lost {
      report.add(
        .unknownKeys, view.block == nil ? "superblocks" : "index page", at: page.offset,
        "\(page.hashes) were searched for in the log, of which a part is missing or was freed; some may "
          + "be missing, have an older value, or be back though they were removed")
    }
  }

  /// Whether the index says nothing about keys of this hash. The ranges of two pages are apart or
  /// equal.
  func isLost(_ hash: KeyHash) -> Bool {
    var low = 0
    var high = lostHashes.count
    while low < high {
      let middle = (low + high) / 2
      if lostHashes[middle].first <= hash.bits { low = middle + 1 } else { high = middle }
    }
    return low > 0 && lostHashes[low - 1].contains(hash.bits)
  }

  /// Reports a gap in the log, and what may be lost by it.
  private func note(_ gap: LogGap) {
    var end = Store.VerificationReport()
    end.add(gap)
    report.add(faultsOf: end)
    if gap.isExplained || gap.unexplained >= gap.range.upperBound { return }
    // Bytes that look like records may be more than there were records.
    let suspects = UInt64(gap.suspects.count)
    let known = gap.missing.map { max($0, suspects) - suspects }
    report.add(
      .unknownKeys, "log", at: gap.unexplained,
      (known.map { "\($0) records" } ?? "an unknown number of records")
        + " up to \(UInt64(gap.range.upperBound).hexadecimal) cannot be read; keys that were changed there are "
        + "missing, have an older value, or are back though they were removed")
  }

  // MARK: Taking

  private func take(_ place: CheckpointWalk.SlotPlace, _ target: StoreCore) throws(Store.Error) {
    let position = place.slot.position
    func fail(_ record: Record?, isKeyCertain: Bool, _ reason: String) {
      var key = record.map(\.keyBytes)
      // The tag and the place of the slot restrict which key it can be: a wrong key passes about
      // once in 2^20.
      if let bytes = key, !isKeyCertain, !place.mayHold(unsafe KeyHash(bytes.span.bytes, seed: memory.seed)) {
        key = nil
      }
      damagedSlots.append(DamagedSlot(place: place, key: key, isKeyCertain: isKeyCertain, reason: reason))
    }
    guard position.unit.number >= Layout.firstFreeUnit, let record = try? Record(memory, at: position) else {
      return fail(nil, isKeyCertain: false, "no record can be there")
    }
    guard record.isIntact else {
      return fail(record, isKeyCertain: false, "its checksum does not match")
    }
    guard record.kind == .put || record.kind == .move, place.mayHold(record.keyHash) else {
      return fail(nil, isKeyCertain: false, "it is not the record that the index names")
    }
    let key = record.keyBytes
    if let events = recent.keys[key], events.isDecided { return }
    if record.isExternal {
      do throws(Store.Error) {
        let range = try record.valueRange()
        // Check this before reading the value: many records of one value must cost no more than
        // one.
        guard runs.insert(range.lowerBound).inserted else {
          return fail(record, isKeyCertain: true, "its large value belongs to another record too")
        }
        try record.verifyExternal(range)
      } catch {
        return fail(record, isKeyCertain: true, "its large value does not match its checksum")
      }
    }
    try take(position, target)
  }

  /// Puts an intact record into the new store, with its expiry and its version.
  func take(_ position: Position, _ target: StoreCore) throws(Store.Error) {
    let record = try Record(memory, at: position)
    let range = try record.valueRange()
    let version = record.version
    try target.importRecord(
      record.key, memory.bytes.span(range.lowerBound, count: range.count),
      expiry: record.expiry,
      version: version < firstSequence.number ? version : nil)
    // What was verified may have been lost before it was copied.
    try view.checkNotLost()
    taken += 1
    report.byteCount += record.header.keyLength + range.count
  }
}
