import MappedMemory
import SystemPackage

extension Opening {
  /// Makes a store that appears at the path complete or not at all.
  ///
  /// Until `fill` has ended and everything is durable the file has no name (or,
  /// where the system has no such files, a hidden one that goes with the process
  /// unless that is killed). What is at the path already is never replaced.
  ///
  /// - Throws: `cannotCreate`, `diskFull`, and what `fill` throws.
  func createComplete(
    firstSequence: SequenceNumber, _ fill: (StoreCore) throws(StoreError) -> Void
  ) throws(StoreError) {
    var file = try unnamedFile()
    let backing = try backing(of: file)
    let block = try Self.create(in: backing, clock: clock, firstSequence: firstSequence)
    try fillAndClose(try makeCore(backing, block), fill)
    try putInPlace(&file)
  }

  /// The same, for a store that shares its disk space with `source` as it is now.
  ///
  /// - Returns: false where the system cannot; nothing was made then.
  func createClone(
    of source: StoreCore, _ check: (StoreCore) throws(StoreError) -> Void
  ) throws(StoreError) -> Bool {
    var file = try unnamedFile()
    guard try source.share(with: file) else { return false }
    let backing = try backing(of: file)
    let block = try firstLook(backing)
    try fillAndClose(try makeCore(backing, block), check)
    try putInPlace(&file)
    return true
  }

  private func putInPlace(_ file: inout File) throws(StoreError) {
    try cannotCreate { () throws(MappingError) in try file.sync() }
    try cannotCreate { () throws(MappingError) in try file.link(as: path) }
    do throws(StoreError) {
      try cannotCreate { () throws(MappingError) in try File.syncDirectory(directory) }
    } catch {
      // Whoever is told that it failed finds nothing.
      try? File.remove(path)
      throw error
    }
  }

  /// Throws if something is at the path already.
  func checkIsFree() throws(StoreError) {
    let identity = try cannotCreate { () throws(MappingError) in try File.identity(of: path) }
    if identity != nil {
      throw StoreError(
        .cannotCreate,
        "the store cannot be created: there is a file already, and it is not replaced; choose another name")
    }
  }

  private func makeCore(_ backing: FileBacking, _ block: Superblock) throws(StoreError) -> StoreCore {
    // The live words, as for any store that nobody has open.
    try Recovery(
      source: backing.mapping.source(seed: block.seed), backing: backing, clock: clock, isTakeover: false,
      isPrivate: false
    ).run(block, bothAgree: true)
    var options = StoreOptions()
    // Nobody else knows the file.
    options.exclusive = true
    options.checkpoints = .inline
    return try StoreCore(
      name: path.string, path: nil, backing: backing, block: block, options: options, clock: clock,
      pinned: nil)
  }

  private func fillAndClose(
    _ core: StoreCore, _ fill: (StoreCore) throws(StoreError) -> Void
  ) throws(StoreError) {
    do throws(StoreError) {
      try fill(core)
      _ = try core.withTurn { _ throws(StoreError) in try core.checkpoint() }
    } catch {
      try? core.shutDown()
      throw error
    }
    try core.shutDown()
  }
}

extension StoreCore {
  /// Stores a value that another store had, with the version it had there.
  func takeOver(
    _ key: RawSpan, _ value: RawSpan, expiry: UInt64?, version: UInt64?
  ) throws(StoreError) {
    let hash = KeyHash(key, seed: source.seed)
    let request = Writer.PutRequest(
      condition: .always, expiry: expiry, isDurable: false, version: version)
    _ = try withTurn { (writer: inout Writer) throws(StoreError) in
      try writer.put(key, hash, value, request)
    }
  }
}
