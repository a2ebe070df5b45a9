import MappedMemory
import SystemPackage

/// Opens and creates stores: which file, which locks, which state.
struct Opening {
  let path: FilePath
  let options: StoreOptions
  let clock: Clock

  private var name: String { path.string }

  func open() throws(StoreError) -> StoreCore {
    do {
      switch options.access {
      case .readWrite: return try openWritable()
      case .readOnly: return try openReadable()
      case .scratch: return try openPrivate(openForReading())
      }
    } catch {
      throw error.naming(name)
    }
  }

  /// A store in anonymous memory.
  static func inMemory(_ options: StoreOptions, clock: Clock) throws(StoreError) -> StoreCore {
    let backing = try MemoryBacking()
    let block = try create(in: backing, clock: clock)
    return try privateCore(
      backing, block, name: "store in memory", path: nil, options: options, clock: clock, pinned: nil)
  }

  /// A private view for checking, and what the two superblocks hold.
  func openForVerification() throws(StoreError) -> (StoreCore, [Result<Superblock, Superblock.Problem>]) {
    do {
      let core = try openPrivate(openForReading())
      return (core, Superblock.readBoth(core.source.fixed))
    } catch {
      throw error.naming(name)
    }
  }

  // MARK: Files

  private func openWritable() throws(StoreError) -> StoreCore {
    // Somebody else may create or remove the file between two looks at it.
    for _ in 0..<16 {
      let file: File
      do {
        file = try File(opening: path, access: .readWrite)
      } catch {
        guard error.code == .system(.noSuchFileOrDirectory) else { throw StoreError(error) }
        guard options.create else {
          throw StoreError(.notFound, "there is no store; create it by writing to it", cause: error)
        }
        try createFile()
        continue
      }
      let locks: File
      do { locks = try File(opening: path, access: .readWrite) } catch { throw StoreError(error) }
      return try attach(file, locks, isWritable: true)
    }
    throw StoreError(.cannotCreate, "the file appears and disappears; something else uses the name")
  }

  private func openReadable() throws(StoreError) -> StoreCore {
    try attach(openForReading(), openForReading(), isWritable: false)
  }

  func openForReading() throws(StoreError) -> File {
    do {
      return try File(opening: path, access: .readOnly)
    } catch {
      if error.code == .system(.noSuchFileOrDirectory) {
        throw StoreError(.notFound, "there is no store", cause: error)
      }
      throw StoreError(error)
    }
  }

  func checkFileSystem(_ file: borrowing File) throws(StoreError) {
    if options.allowNetworkFileSystem { return }
    let kind: FileSystemKind
    do { kind = try file.fileSystemKind() } catch { throw StoreError(error) }
    if case .network(let name) = kind {
      throw StoreError(
        .networkFileSystem,
        "the file lies on a network file system (\(name)), where processes on several hosts do not see "
          + "each other's changes; put it on a local disk, or allow it if only one host opens it")
    }
  }

  /// Looks at the first bytes before anything is mapped or reserved for the file.
  private func checkIsStore(_ file: borrowing File) throws(StoreError) {
    let size: Int64
    let start: [UInt8]
    do {
      size = try file.status().size
      start = try file.read(count: 8, at: 0)
    } catch {
      throw StoreError(error)
    }
    let magic = start.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard start.count == 8, magic == Superblock.magic || isDamagedStore(file, size) else {
      throw StoreError(
        .notAStore,
        size == 0
          ? "the file is empty and no KVMap store; remove it to have a store created here"
          : "the file is not a KVMap store; nothing was changed")
    }
    guard size <= Int64(Layout.largestFile) else {
      throw StoreError(
        .damaged, "the file is \(size) bytes long, more than any store; nothing was changed")
    }
  }

  /// Whether the second superblock tells of a store whose first is lost.
  private func isDamagedStore(_ file: borrowing File, _ size: Int64) -> Bool {
    guard size >= Int64(Layout.superblockOffsets.b + Layout.pageBytes),
      let start = try? file.read(count: 8, at: Int64(Layout.superblockOffsets.b))
    else { return false }
    return start.count == 8
      && start.reversed().reduce(UInt64(0), { $0 << 8 | UInt64($1) }) == Superblock.magic
  }

  // MARK: Attaching

  private func attach(
    _ file: consuming File, _ locks: consuming File, isWritable: Bool
  ) throws(StoreError) -> StoreCore {
    try checkFileSystem(file)
    try checkIsStore(file)
    let backing = try FileBacking(file, locks: locks, isWritable: isWritable)
    try waitForAttached(backing)
    let block = try firstLook(backing)
    if !isWritable {
      guard try joins(backing) else {
        // Nobody vouches for the live page: a view of the last checkpoint and the
        // log behind it is made in private memory.
        try backing.unlock(.valid)
        return try openPrivate(openForReading())
      }
      return try core(backing, block)
    }
    guard block.readOnlyCompatibleFeatures == 0 else {
      throw StoreError(
        .newerFormat,
        "the file uses features (\(UInt64(block.readOnlyCompatibleFeatures).hexadecimal)) that this program can "
          + "read but not write; open it for reading only, or use a newer program")
    }
    let deadline = ContinuousClock.now + options.timeout
    var joinedOthers = false
    while true {
      if try joins(backing) {
        joinedOthers = true
        break
      }
      // Nobody writes a checkpoint who does not vouch for the store; but if somebody did,
      // it would be mixed with what is recovered.
      if try backing.tryLock(.valid, .exclusive), try backing.tryLock(.checkpoint, .exclusive) {
        try recoverAlone(backing)
        try backing.unlock(.checkpoint)
        break
      }
      try backing.unlock(.valid)
      if ContinuousClock.now >= deadline {
        throw StoreError(
          .busy, "another process has been recovering the store for longer than \(options.timeout); try again"
        )
      }
      pause(microseconds: 200)
    }
    let core = try core(backing, block, joinedOthers: joinedOthers)
    if options.exclusive { try core.withTurn { _ in } }
    // A process died while it wrote a checkpoint. Or one is being written, or somebody has
    // the turn: then the next one will be whole.
    if try !Recovery.chooseSuperblock(backing.fixed).bothAgree { try core.settleSuperblocksIfFree() }
    return core
  }

  /// The file's end may just be cut off, which takes a moment.
  func waitForAttached(_ backing: FileBacking) throws(StoreError) {
    let deadline = ContinuousClock.now + options.timeout
    while try !backing.tryLock(.attached, .shared) {
      if ContinuousClock.now >= deadline {
        throw StoreError(.busy, "the store is being cut off by another process; try again")
      }
      pause(microseconds: 200)
    }
  }

  /// Checks that the file is a store at all, before anything is changed.
  func firstLook(_ backing: FileBacking) throws(StoreError) -> Superblock {
    guard try backing.extendMapping(to: Layout.unitBytes * Int(Layout.firstFreeUnit)) else {
      throw StoreError(.damaged, "the file was cut short: not even its superblocks are whole")
    }
    let block = try Recovery.chooseSuperblock(backing.fixed).0
    guard try backing.extendMapping(to: Int(block.highWater.number) * Layout.unitBytes) else {
      throw StoreError(
        .damaged,
        "the file is shorter than the \(Int(block.highWater.number) * Layout.unitBytes) bytes its last checkpoint "
          + "uses: it was cut short; restore it from a backup")
    }
    return block
  }

  /// Whether the live page is valid, because a handle that vouches for it is
  /// there; then this one does too. Lock V is held from before the look.
  private func joins(_ backing: FileBacking) throws(StoreError) -> Bool {
    guard try backing.tryLock(.valid, .shared) else { return false }
    guard try backing.isLockedByOthers(.vouched, .exclusive) else { return false }
    guard try backing.tryLock(.vouched, .shared) else { return false }
    let live = LivePage(bytes: backing.fixed, start: LivePage.publicOffset)
    guard live[LivePage.layout] == LivePage.layoutVersion else {
      throw StoreError(
        .busy,
        "a program with another version of KVMap has the store open; close it there, or use the same version")
    }
    return true
  }

  /// Holding V exclusively: nobody else trusts the live page.
  private func recoverAlone(_ backing: FileBacking) throws(StoreError) {
    let (block, bothAgree) = try Recovery.chooseSuperblock(backing.fixed)
    let source = backing.mapping.source(seed: block.seed)
    let recovery = Recovery(
      source: source, backing: backing, clock: clock, isTakeover: false, isPrivate: false)
    let end = try recovery.examine(block)
    try recovery.rehearse(backing, block, end)
    try backing.makeReal(offset: Layout.liveOffset, count: Layout.pageBytes, scattered: true)
    try recovery.rebuild(block, bothAgree: bothAgree, end)
    // Whoever died holding these cannot hold them now.
    source.live[LivePage.holder] = 0
    source.live[LivePage.syncFailed] = 0
    guard try backing.tryLock(.vouched, .shared), try backing.tryLock(.valid, .shared) else {
      throw StoreError(.system, "a lock of this handle was lost; try again")
    }
  }

  private func core(
    _ backing: FileBacking, _ block: Superblock, joinedOthers: Bool = true
  ) throws(StoreError) -> StoreCore {
    if options.warm || options.pinned {
      try backing.prepare(warm: options.warm, pinned: options.pinned)
    }
    return try StoreCore(
      name: name, path: path, backing: backing, block: block, options: options, clock: clock, pinned: nil,
      joinedOthers: joinedOthers)
  }

  // MARK: Private views

  /// A private view of the last checkpoint and the log behind it. The checkpoint
  /// is pinned, so that writers leave its pages alone.
  private func openPrivate(_ file: consuming File) throws(StoreError) -> StoreCore {
    try checkFileSystem(file)
    try checkIsStore(file)
    let locks = try FileBacking(openForReading(), locks: openForReading(), isWritable: false)
    // Where locks are not supported, as on some read-only media, nobody writes.
    let hasLocks: Bool
    do throws(StoreError) {
      try waitForAttached(locks)
      hasLocks = true
    } catch {
      if error.code == .busy { throw error }
      hasLocks = false
    }
    var room = PrivateBacking.leastRoom
    for _ in 0..<64 {
      let block = try firstLook(locks)
      let epoch = block.epoch.next
      if hasLocks { try locks.pin(epoch) }
      // Pinned; but was it still the current one when the pin came?
      let again = try Recovery.chooseSuperblock(locks.fixed).0
      guard again.epoch == block.epoch else {
        try locks.unpin(epoch)
        continue
      }
      let size = try length(file)
      let backing = try PrivateBacking(
        viewing: try duplicate(of: file), count: size, locks: locks, room: room)
      do throws(StoreError) {
        return try Self.privateCore(
          backing, block, name: name, path: path, options: options, clock: clock, pinned: epoch)
      } catch {
        if let more = backing.room(after: error, room) {
          room = more
        } else {
          // A writer that goes on beside may have put what the log names behind the
          // end of what is viewed; that looks like damage until all of it is viewed.
          guard error.code == .damaged, try length(file) > size else { throw error }
        }
        if hasLocks { try locks.unpin(epoch) }
      }
    }
    throw StoreError(.busy, "the store is being changed too fast to be viewed; try again")
  }

  private func duplicate(of file: borrowing File) throws(StoreError) -> File {
    do { return try file.duplicate() } catch { throw StoreError(error) }
  }

  func length(_ file: borrowing File) throws(StoreError) -> Int {
    do {
      return Int(try file.status().size) / Layout.unitBytes * Layout.unitBytes
    } catch {
      throw StoreError(error)
    }
  }

  private static func privateCore(
    _ backing: any UnsharedBacking, _ block: Superblock, name: String, path: FilePath?,
    options: StoreOptions, clock: Clock, pinned: Epoch?
  ) throws(StoreError) -> StoreCore {
    let source = backing.mapping.source(seed: block.seed)
    try Recovery(
      source: source, backing: backing, clock: clock, isTakeover: false, isPrivate: true
    ).run(block, bothAgree: true)
    source.live[LivePage.holder] = 0
    source.live[LivePage.syncFailed] = 0
    return try StoreCore(
      name: name, path: path, backing: backing, block: block, options: options, clock: clock,
      pinned: pinned)
  }

  // MARK: Creating

  /// Builds the file without a name and links it into place when it is durable.
  /// If somebody else was faster, theirs stays.
  private func createFile() throws(StoreError) {
    var file = try unnamedFile()
    _ = try Self.create(in: backing(of: file), clock: clock)
    try cannotCreate { () throws(MappingError) in try file.sync() }
    do {
      try file.link(as: path)
    } catch {
      if error.code == .system(.fileExists) { return }
      throw StoreError(.cannotCreate, "the store cannot be created: \(error)", cause: error)
    }
    try cannotCreate { () throws(MappingError) in try File.syncDirectory(directory) }
  }

  var directory: FilePath {
    let directory = path.removingLastComponent()
    return directory.isEmpty ? FilePath(".") : directory
  }

  /// A new file that is to be linked to the path.
  func unnamedFile() throws(StoreError) -> File {
    guard let name = path.lastComponent?.string else {
      throw StoreError(.cannotCreate, "the path names no file")
    }
    let file = try cannotCreate { () throws(MappingError) in
      try File(unnamedIn: directory, named: name, mode: options.mode)
    }
    try checkFileSystem(file)
    return file
  }

  /// The file mapped, and kept open beside that.
  func backing(of file: borrowing File) throws(StoreError) -> FileBacking {
    do {
      return try FileBacking(file.duplicate(), locks: file.duplicate(), isWritable: true)
    } catch let error as MappingError {
      throw StoreError(.cannotCreate, "the store cannot be created: \(error)", cause: error)
    } catch let error as StoreError {
      throw error
    } catch {
      throw StoreError(.system, "\(error)")
    }
  }

  func cannotCreate<R: ~Copyable>(
    _ body: () throws(MappingError) -> R
  ) throws(StoreError) -> R {
    do {
      return try body()
    } catch {
      let converted = StoreError(error)
      if converted.code == .diskFull { throw converted }
      throw StoreError(.cannotCreate, "the store cannot be created: \(error)", cause: error)
    }
  }

  static func create(
    in backing: any Backing, clock: Clock, firstSequence: SequenceNumber = SequenceNumber(number: 1)
  ) throws(StoreError) -> Superblock {
    var generator = SystemRandomNumberGenerator()
    let seed = StoreSeed(low: generator.next(), high: generator.next())
    let identifier = (generator.next() as UInt64, generator.next() as UInt64)
    try Creation(
      source: backing.mapping.source(seed: seed), backing: backing, clock: clock,
      identifier: identifier, firstSequence: firstSequence
    ).build()
    return try Recovery.chooseSuperblock(backing.fixed).0
  }
}
