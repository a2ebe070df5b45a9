import MappedMemory
import SystemPackage

/// Creating stores: ``Creation`` builds the contents, ``NewStoreFile`` the file.
extension Opening {
  /// Creates a store at the path, with lock V held exclusively; nil if another process was faster.
  func createFile() throws(Store.Error) -> FileBacking? {
    var new = try NewStoreFile(for: path, options)
    try checkFileSystem(new.file)
    let backing = try new.map()
    _ = try Self.create(in: backing, clock: clock)
    return try new.publish(backing)
  }

  /// The same in an empty file that has the name.
  func createStore(in empty: borrowing File) throws(Store.Error) -> FileBacking? {
    let new = try NewStoreFile(inMemoryFor: path, options)
    _ = try Self.create(in: new.map(), clock: clock)
    return try new.put(into: empty, isOwn: false)
  }

  /// Creates a store that appears at the path complete or not at all. A file at the path is never
  /// replaced, unless it is empty. Returns false, and creates nothing, if `fill` does.
  ///
  /// - Parameters:
  ///   - seed: that of the store whose values it gets, where there is one: then its index takes as many
  ///     pages as that one's. A new one otherwise.
  ///   - original: what it becomes a copy of, if it is one; then `firstSequence` is the number after it.
  /// - Throws: `cannotCreate`, `diskFull`, and what `fill` throws.
  func createComplete(
    firstSequence: SequenceNumber = SequenceNumber(number: 1), seed: StoreSeed? = nil,
    original: Superblock.State? = nil, _ fill: (StoreCore) throws(Store.Error) -> Bool
  ) throws(Store.Error) -> Bool {
    var new = try NewStoreFile(for: path, options)
    try checkFileSystem(new.file)
    let backing = try new.map()
    let block = try Self.create(in: backing, clock: clock, firstSequence: firstSequence, seed: seed)
    guard try fillAndClose(try makeCore(backing, block), fill) else { return false }
    if let original { try note(original, block.identifier, in: backing) }
    // Nobody uses the shared state any more, and opening the store allocates its page again. This
    // only saves space, so it may fail: punching may itself need space.
    _ = try? backing.punch(offset: Layout.liveOffset, count: Layout.pageBytes)
    try publish(&new, backing)
    return true
  }

  /// Creates a store that is a clone of `source` as it is now, with an identifier of its own.
  ///
  /// - Returns: what it is a clone of; nil where the system cannot do that: then nothing was created.
  func createClone(
    of source: StoreCore, _ method: CloneMethod, _ check: (StoreCore) throws(Store.Error) -> Void
  ) throws(Store.Error) -> Superblock.State? {
    var new = try NewStoreFile(for: path, options)
    try checkFileSystem(new.file)
    guard try source.clone(into: new.file, method) else { return nil }
    let backing = try new.map()
    let block = try firstLook(backing)
    let original = block.state(before: block.sequence)
    _ = try fillAndClose(try makeCore(backing, block)) { copy throws(Store.Error) in
      try check(copy)
      return true
    }
    try note(original, Self.newIdentifier(), in: backing)
    try publish(&new, backing)
    return original
  }

  /// Notes in both superblocks of a copy what it is a copy of. It is complete and closed, and nobody has
  /// seen the file yet.
  private func note(
    _ original: Superblock.State, _ identifier: (UInt64, UInt64), in backing: FileBacking
  ) throws(Store.Error) {
    var block = try SuperblockPair(backing.fixed).current().block
    block.copy = Superblock.Copy(original: original, next: block.sequence)
    block.identifier = identifier
    for offset in SuperblockPair.offsets {
      block.encode(backing.fixed, at: offset)
      try backing.sync(offset: offset, count: Layout.pageBytes)
    }
  }

  private static func newIdentifier() -> (UInt64, UInt64) {
    var generator = SystemRandomNumberGenerator()
    return (generator.next() as UInt64, generator.next() as UInt64)
  }

  /// Throws if there is a file at the path that is not empty.
  func checkIsFree() throws(Store.Error) {
    let isFree: Bool
    do throws(MappingError) {
      let isThere = try File.identity(of: path) != nil
      isFree = try isThere ? isEmptyFile() : true
    } catch {
      throw .cannotCreate(error)
    }
    if !isFree { throw Self.taken }
  }

  private func isEmptyFile() throws(MappingError) -> Bool {
    if case .empty = try FileKind(File(opening: path, access: .readOnly)) { return true }
    return false
  }

  private static var taken: Store.Error {
    Store.Error(
      .cannotCreate,
      "the store cannot be created: there is a file already, and it is not replaced; choose another name")
  }

  private func publish(_ new: inout NewStoreFile, _ backing: FileBacking) throws(Store.Error) {
    guard try new.publish(backing) != nil else { throw Self.taken }
  }

  private func makeCore(_ backing: FileBacking, _ block: Superblock) throws(Store.Error) -> StoreCore {
    // Build the shared state, as for any store that nobody has open.
    try Recovery(
      source: backing.mapping.source(seed: block.seed), backing: backing, clock: clock, mode: .alone
    ).run(block, bothAgree: true)
    // Nobody else knows the file.
    let options = Store.Options(checkpoints: .inline, exclusive: true)
    return try StoreCore(
      name: name, path: nil, backing: backing, block: block, options: options, clock: clock, pinned: nil)
  }

  private func fillAndClose(
    _ core: StoreCore, _ fill: (StoreCore) throws(Store.Error) -> Bool
  ) throws(Store.Error) -> Bool {
    let isWanted: Bool
    do throws(Store.Error) {
      isWanted = try fill(core)
      _ = try core.withWriteLock { turn throws(Store.Error) in try core.checkpoint(turn, .skip) }
    } catch {
      try? core.shutDown()
      throw error
    }
    try core.shutDown()
    return isWanted
  }

  /// Builds an empty store in `backing`.
  static func create(
    in backing: any Backing, clock: Clock, firstSequence: SequenceNumber = SequenceNumber(number: 1),
    seed: StoreSeed? = nil
  ) throws(Store.Error) -> Superblock {
    var generator = SystemRandomNumberGenerator()
    let seed = seed ?? StoreSeed(low: generator.next(), high: generator.next())
    try Creation(
      source: backing.mapping.source(seed: seed), backing: backing, clock: clock,
      identifier: newIdentifier(), firstSequence: firstSequence
    ).build()
    return try SuperblockPair(backing.fixed).current().block
  }
}

extension StoreCore {
  /// Stores a value of another store, with the version that it had there.
  func importRecord(
    _ key: RawSpan, _ value: RawSpan, expiry: UInt64?, version: UInt64?
  ) throws(Store.Error) {
    let hash = KeyHash(key, seed: source.seed)
    let request = Writer.PutRequest(
      condition: .always, expiry: expiry, isDurable: false, version: version)
    _ = try withWriteLock { turn throws(Store.Error) in
      try turn.writer.put(key, hash, value, request)
    }
  }
}
