/// The two copies of the superblock in a file, and the choice between them.
struct SuperblockPair: Equatable {
  typealias Copy = Result<Superblock, Superblock.Problem>

  /// Where the copies lie, in the order in which they are written.
  static let offsets = [Layout.superblockOffsets.a, Layout.superblockOffsets.b]

  /// What was found, in the order of ``offsets``.
  let copies: [Copy]

  /// Reads both copies.
  ///
  /// A checkpoint may be writing the first copy while it is read here, and then the second. It
  /// syncs in between, so if neither copy is valid, the first is whole when both are read again.
  init(_ bytes: MappedBytes) {
    let copies = Self.read(bytes)
    self.copies = copies.contains { (try? $0.get()) != nil } ? copies : Self.read(bytes)
  }

  /// Reads both copies until they no longer change, so that a process that is storing them is
  /// seen to be done. Blocks for about 10 ms at most.
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

  /// The copy that counts: the valid one, or of two valid ones the one with the later epoch. Also
  /// whether both copies are the same.
  ///
  /// - Throws: `damaged`, `notAStore` or `newerFormat`.
  func current() throws(Store.Error) -> (block: Superblock, bothAgree: Bool) {
    switch (copies[0], copies[1]) {
    case (.success(let first), .success(let second)):
      guard first.identifier == second.identifier, first.seed == second.seed else {
        throw Store.Error(
          .damaged, "the two superblocks belong to different stores; restore the file from a backup")
      }
      return (first.epoch >= second.epoch ? first : second, first == second)
    case (.success(let block), .failure(let problem)), (.failure(let problem), .success(let block)):
      // A newer program that died between writing the two copies leaves an old one beside a new
      // one.
      switch problem {
      case .newer, .features: throw Self.error(problem, problem)
      case .foreign, .damaged, .perhapsNewer: return (block, false)
      }
    case (.failure(let first), .failure(let second)):
      throw Self.error(first, second)
    }
  }

  /// The error for a file whose two copies have these problems.
  static func error(_ first: Superblock.Problem, _ second: Superblock.Problem) -> Store.Error {
    for problem in [first, second] {
      let version: UInt32? =
        switch problem {
        case .newer(let version), .perhapsNewer(let version): version
        case .foreign, .damaged, .features: nil
        }
      if let version {
        return Store.Error(
          .newerFormat,
          "the file has format version \(version), this program knows version \(Layout.version); "
            + "use a newer program")
      }
      if case .features(let bits) = problem {
        return Store.Error(
          .newerFormat,
          "the file uses features (\(UInt64(bits).hexadecimal)) that this program does not know; "
            + "use a newer program")
      }
    }
    if first == .foreign, second == .foreign {
      return Store.Error(.notAStore, "the file is not a KVMap store; nothing was changed")
    }
    return Store.Error(
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
    case .features(let bits): "it uses unknown features (\(UInt64(bits).hexadecimal))"
    }
  }
}
