/// Finds the seed of a store. Without it nothing in the file can be told from chance.
///
/// The seed lies in the two superblocks and nowhere else. A copy whose checksum is wrong may still
/// have the whole seed. A seed from such a copy counts only if a checksum of 64 bits elsewhere in
/// the file, of a log segment's header or of an index page, matches with it.
struct SeedSearch {
  let bytes: MappedBytes
  let size: Int

  /// Returns the seed, and the superblock that counts if one is valid.
  func choose(
    _ superblocks: SuperblockPair
  ) throws(Store.Error) -> (seed: StoreSeed, block: Superblock?) {
    try refuseNewer(superblocks)
    let valid = superblocks.copies.compactMap { try? $0.get() }.sorted { $0.epoch > $1.epoch }
    if valid.count == 2, valid[0].identifier != valid[1].identifier || valid[0].seed != valid[1].seed {
      // The file was put together from two stores: take the one that the rest belongs to.
      if isProven(valid[1].seed), !isProven(valid[0].seed) { return (valid[1].seed, valid[1]) }
    }
    if let block = valid.first { return (block.seed, block) }
    for candidate in candidates where isProven(candidate) { return (candidate, nil) }
    if superblocks.copies.allSatisfy({ $0 == .failure(.foreign) }) {
      throw Store.Error(
        .notAStore, "the file is not a KVMap store, or nothing is left by which it could be recognized")
    }
    throw Store.Error(
      .damaged,
      "both superblocks are lost, and with them the seed, without which no record can be told from other "
        + "bytes; restore the file from a backup")
  }

  private func refuseNewer(_ superblocks: SuperblockPair) throws(Store.Error) {
    let isAnyValid = superblocks.copies.contains { (try? $0.get()) != nil }
    for case .failure(let problem) in superblocks.copies {
      switch problem {
      case .newer, .features: throw SuperblockPair.error(problem, problem)
      case .perhapsNewer where !isAnyValid: throw SuperblockPair.error(problem, problem)
      case .perhapsNewer, .foreign, .damaged: break
      }
    }
  }

  /// The seeds that the two copies have, and those put together from both.
  private var candidates: [StoreSeed] {
    let lows = SuperblockPair.offsets.map { bytes.load64($0 + Superblock.seed) }
    let highs = SuperblockPair.offsets.map { bytes.load64($0 + Superblock.seed + 8) }
    var seeds: [StoreSeed] = []
    for (low, high) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
      let seed = StoreSeed(low: lows[low], high: highs[high])
      if !seeds.contains(seed), seed.low != 0 || seed.high != 0 { seeds.append(seed) }
    }
    return seeds
  }

  /// Whether anything in the file was written under `seed`. O(size).
  private func isProven(_ seed: StoreSeed) -> Bool {
    let first = Int(Layout.firstFreeUnit) * Layout.unitBytes
    for offset in stride(from: first, to: size - SegmentHeader.byteCount, by: Layout.unitBytes)
    where SegmentHeader(bytes, at: offset, seed: seed) != nil {
      return true
    }
    for offset in stride(from: first, to: size - Layout.pageBytes + 1, by: Layout.pageBytes) {
      let header = PageHeader(bytes: bytes, page: PageNumber(number: UInt64(offset / Layout.pageBytes)))
      if PageKind(rawValue: header.kindByte) != nil, header.isIntact(seed: seed) { return true }
    }
    return false
  }
}
