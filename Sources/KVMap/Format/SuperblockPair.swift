/// The two copies of the superblock in a file, and which of them counts.
struct SuperblockPair: Equatable {
  typealias Copy = Result<Superblock, Superblock.Problem>

  /// Where the copies lie, in the order in which they are written.
  static let offsets = [Layout.superblockOffsets.a, Layout.superblockOffsets.b]

  /// What was found, in the order of ``offsets``.
  let copies: [Copy]

  /// Reads both as they are.
  ///
  /// A checkpoint may be writing them meanwhile: it may write the first one while that is read,
  /// and then the second one. It syncs between them, so at a second look the first one is whole.
  init(_ bytes: MappedBytes) {
    let copies = Self.read(bytes)
    self.copies = copies.contains { (try? $0.get()) != nil } ? copies : Self.read(bytes)
  }

  /// Reads both until a writer that may be storing them is seen to be done.
  init(settled bytes: MappedBytes) {
    var before = Self.read(bytes)
    for _ in 0..<100 {
      let isWhole = before.allSatisfy { (try? $0.get()) != nil }
      if !isWhole { pause(microseconds: 100) }
      let after = Self.read(bytes)
      if after == before { break }
      before = after
    }
    copies = before
  }

  private static func read(_ bytes: MappedBytes) -> [Copy] {
    offsets.map { Superblock.decode(bytes, at: $0) }
  }

  /// The copy that counts, and whether the other one is the same.
  ///
  /// - Throws: `damaged`, `notAStore`, `newerFormat`.
  func current() throws(StoreError) -> (block: Superblock, bothAgree: Bool) {
    switch (copies[0], copies[1]) {
    case (.success(let first), .success(let second)):
      guard first.identifier == second.identifier, first.seed == second.seed else {
        throw StoreError(
          .damaged, "the two superblocks belong to different stores; restore the file from a backup")
      }
      return (first.epoch >= second.epoch ? first : second, first == second)
    case (.success(let block), .failure(let problem)), (.failure(let problem), .success(let block)):
      // A newer program that died between the two copies leaves one of each.
      switch problem {
      case .newer, .features: throw Self.error(problem, problem)
      case .foreign, .damaged, .perhapsNewer: return (block, false)
      }
    case (.failure(let first), .failure(let second)):
      throw Self.error(first, second)
    }
  }

  /// Why a file with these problems cannot be opened.
  static func error(_ first: Superblock.Problem, _ second: Superblock.Problem) -> StoreError {
    for problem in [first, second] {
      let version: UInt32? =
        switch problem {
        case .newer(let version), .perhapsNewer(let version): version
        case .foreign, .damaged, .features: nil
        }
      if let version {
        return StoreError(
          .newerFormat,
          "the file has format version \(version), this program knows version \(Layout.version); "
            + "use a newer program")
      }
      if case .features(let bits) = problem {
        return StoreError(
          .newerFormat,
          "the file uses features (\(UInt64(bits).hexadecimal)) that this program does not know; "
            + "use a newer program")
      }
    }
    if first == .foreign, second == .foreign {
      return StoreError(.notAStore, "the file is not a KVMap store; nothing was changed")
    }
    return StoreError(
      .damaged,
      "both superblocks are damaged; nothing was changed; keep a copy of the file")
  }
}

extension Superblock.Problem {
  /// What is wrong with the copy.
  var description: String {
    switch self {
    case .foreign: "it is not one"
    case .damaged: "its checksum does not match"
    case .newer(let version), .perhapsNewer(let version): "it is of format version \(version)"
    case .features(let bits): "it asks for unknown features (\(UInt64(bits).hexadecimal))"
    }
  }
}
