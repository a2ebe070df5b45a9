/// Faults that are found outside the trees of pages.
extension Store.VerificationReport {
  /// Adds what is wrong with the superblocks.
  ///
  /// A crash may leave one superblock that is not whole, or is older than the other. If the store
  /// could be opened all the same, that is no fault: opening it for writing repairs it.
  mutating func add(superblocks: SuperblockPair, isOpened: Bool) {
    let isAnyValid = superblocks.copies.contains { (try? $0.get()) != nil }
    for (result, offset) in zip(superblocks.copies, SuperblockPair.offsets) {
      guard case .failure(let problem) = result else { continue }
      if isOpened {
        addRepair(at: offset, problem.description, isOpened: isOpened)
      } else {
        add(
          "superblock", at: offset,
          "\(problem.description); "
            + (isAnyValid
              ? "the other one is used"
              : "without it the store cannot be opened, but records can be salvaged"))
      }
    }
    let valid = superblocks.copies.compactMap { try? $0.get() }
    guard valid.count == 2, valid[0] != valid[1] else { return }
    let second = SuperblockPair.offsets[1]
    if valid[0].identifier != valid[1].identifier || valid[0].seed != valid[1].seed {
      add("superblock", at: second, "it belongs to another store than the first one")
    } else if valid[0].epoch == valid[1].epoch {
      add(
        "superblock", at: second,
        "it differs from the first one, though both are of checkpoint \(valid[0].epoch.number)")
    } else {
      let older = valid[0].epoch < valid[1].epoch ? 0 : 1
      let place = SuperblockPair.offsets[older]
      let meaning =
        "it is of checkpoint \(valid[older].epoch.number), the other one of \(valid[1 - older].epoch.number)"
      // The first superblock is written first. If it is the older one, a write of it was lost.
      if isOpened || older == 1 {
        addRepair(at: place, meaning, isOpened: isOpened)
      } else {
        add("superblock", at: place, meaning + ": it is an old copy; the other one is used")
      }
    }
  }

  private mutating func addRepair(at offset: Int, _ meaning: String, isOpened: Bool) {
    let outlook = isOpened ? "; will be repaired on opening for writing" : ""
    repairs.append(
      Fault(
        place: "superblock at \(UInt64(offset).hexadecimal)",
        meaning: "\(meaning); the other one is used\(outlook)"))
  }

  /// Adds what is wrong with the superblocks, and whether the file is shorter than its checkpoint
  /// says.
  mutating func add(_ view: SourceView) {
    add(superblocks: view.superblocks, isOpened: false)
    guard let block = view.block else { return }
    let used = Int(block.highWater.number) * Layout.unitBytes
    if view.size < used {
      add(
        "file", at: view.size,
        "it ends here, but its last checkpoint uses \(used) bytes: it was cut short, and what lay beyond is lost"
      )
    }
  }

  /// Adds what is wrong with the log after the checkpoint.
  mutating func add(_ log: RecentLog, _ view: SourceView) {
    if log.end.header == nil {
      add(
        "log segment", at: Int(log.end.segment.position.offset),
        "its header is not what was written; without it the store cannot be opened")
    }
    for gap in log.gaps { add(gap) }
    if log.isCut {
      add(
        "log", at: view.size, "it went on where the file ends now; what was changed after its place is lost")
    }
  }

  /// Adds a gap in the log, and the damaged records in it.
  mutating func add(_ gap: LogGap) {
    for suspect in gap.suspects {
      add(
        "record", at: suspect.offset,
        "\(suspect.reason); it is one of the last changes, and those that follow it do not count when the store "
          + "is opened")
    }
    if gap.unexplained >= gap.range.upperBound || gap.isExplained { return }
    // Bytes that look like records may be more than there were records.
    let suspects = UInt64(gap.suspects.count)
    add(
      "log", at: gap.unexplained,
      (gap.missing.map { "\(max($0, suspects) - suspects) records" } ?? "an unknown number of records")
        + " up to \(UInt64(gap.range.upperBound).hexadecimal) cannot be read")
  }
}
