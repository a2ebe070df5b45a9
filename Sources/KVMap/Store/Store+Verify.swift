import MappedMemory
public import SystemPackage

extension Store {
  /// Checks the whole store as it was durably or at least committed at one moment,
  /// in a private view beside readers and writers: O(size of the store).
  ///
  /// - Throws: ``StoreError`` if the file cannot be looked at; damage is no error
  ///   but part of the report.
  public func verify() throws(StoreError) -> VerificationReport {
    try core.checkOpen()
    if core.backing.isShared, let path = core.path { return try Store.verify(path) }
    return core.verify()
  }

  /// Checks the store at `path` without changing a byte of it.
  ///
  /// Works on damaged stores, as far as there is anything left to check. A store
  /// that others have open is checked as of its last commit.
  ///
  /// - Throws: ``StoreError`` if there is no store or it cannot be read.
  public static func verify(_ path: FilePath) throws(StoreError) -> VerificationReport {
    var options = StoreOptions()
    options.access = .scratch
    let opening = Opening(path: path, options: options, clock: .system)
    var report = VerificationReport()
    do {
      let (core, blocks) = try opening.openForVerification()
      report.add(superblocks: blocks)
      return core.verify(report)
    } catch {
      guard error.code == .damaged else { throw error }
      report.add(error)
      return report
    }
  }
}

extension VerificationReport {
  mutating func add(superblocks: [Result<Superblock, Superblock.Problem>]) {
    let offsets = [Layout.superblockOffsets.a, Layout.superblockOffsets.b]
    for (block, offset) in zip(blocks(superblocks), offsets) {
      if let problem = block {
        add("superblock", at: offset, "\(problem); the other one is used")
      }
    }
  }

  private func blocks(_ results: [Result<Superblock, Superblock.Problem>]) -> [String?] {
    results.map {
      switch $0 {
      case .success: nil
      case .failure(.foreign): "it is not one"
      case .failure(.damaged): "its checksum does not match"
      case .failure(.newer(let version)), .failure(.perhapsNewer(let version)):
        "it is of format version \(version)"
      case .failure(.features(let bits)): "it asks for unknown features (\(UInt64(bits).hexadecimal))"
      }
    }
  }
}

extension StoreCore {
  /// Checks a private view, which nothing changes meanwhile.
  func verify(_ report: VerificationReport = VerificationReport()) -> VerificationReport {
    defer { withExtendedLifetime(self) {} }
    var verifier = Verifier(memory: memory, live: memory.live, report: report)
    verifier.run()
    return verifier.report
  }
}
