import MappedMemory
import SystemPackage

/// Opens and creates stores: decides which file, which locks and which state a handle has.
struct Opening {
  let path: FilePath
  let options: Store.Options
  let clock: Clock

  var name: String { path.string }

  func open() throws(Store.Error) -> StoreCore {
    do {
      switch options.access {
      case .readWrite: return try openWritable()
      case .readOnly: return try openReadable()
      case .scratch: return try openPrivate(backingForReading())
      }
    } catch {
      throw error.naming(name)
    }
  }

  /// A store in memory.
  static func inMemory(_ options: Store.Options, clock: Clock) throws(Store.Error) -> StoreCore {
    let backing = try MemoryBacking()
    let block = try create(in: backing, clock: clock)
    return try privateCore(
      backing, block, name: "store in memory", path: nil, options: options, clock: clock, pinned: nil)
  }

  /// A private view to verify, and the two superblocks as they were found.
  func openForVerification() throws(Store.Error) -> (StoreCore, SuperblockPair) {
    do {
      let core = try openPrivate(backingForReading())
      return (core, SuperblockPair(settled: core.source.fixed))
    } catch {
      throw error.naming(name)
    }
  }

  // MARK: Files

  private func openWritable() throws(Store.Error) -> StoreCore {
    // Another process may create or remove the file between two looks at it.
    for _ in 0..<16 {
      guard let backing = try backingForWriting() else { continue }
      if let core = try attachForWriting(backing) { return core }
    }
    throw Store.Error(
      .cannotCreate,
      "the file was created and removed several times while it was being opened; another program uses this "
        + "path")
  }

  /// Opens the file at the path, and makes it a store if there is none; nil if the file was gone at
  /// a second look.
  private func backingForWriting() throws(Store.Error) -> FileBacking? {
    let file: File
    do {
      file = try File(opening: path, access: .readWrite)
    } catch {
      if options.create, error.leavesNoRoomForAName { throw .cannotCreate(error) }
      guard error.code == .system(.noSuchFileOrDirectory) else { throw Store.Error(error) }
      guard options.create else {
        throw Store.Error(.notFound, "there is no store", cause: error)
      }
      return try createFile()
    }
    try checkFileSystem(file)
    if case .empty = try contents(file) {
      guard options.create else { throw Self.emptyFile }
      return try createStore(in: file)
    }
    let locks: File
    do {
      locks = try File(opening: path, access: .readWrite)
    } catch {
      if error.code == .system(.noSuchFileOrDirectory) { return nil }
      throw Store.Error(error)
    }
    do throws(Store.Error) {
      return try FileBacking(file, locks: locks, isWritable: true)
    } catch {
      if error.code == .replaced { return nil }
      throw error
    }
  }

  private func openReadable() throws(Store.Error) -> StoreCore {
    let backing = try backingForReading()
    if let core = try attachForReading(backing) { return core }
    return try openPrivate(backing)
  }

  private func backingForReading() throws(Store.Error) -> FileBacking {
    let file = try openForReading()
    try checkFileSystem(file)
    try checkIsStore(file)
    return try FileBacking(file, locks: openForReading(), isWritable: false)
  }

  func openForReading() throws(Store.Error) -> File {
    do {
      return try File(opening: path, access: .readOnly)
    } catch {
      if error.code == .system(.noSuchFileOrDirectory) {
        throw Store.Error(.notFound, "there is no store", cause: error)
      }
      throw Store.Error(error)
    }
  }

  func checkFileSystem(_ file: borrowing File) throws(Store.Error) {
    if options.allowNetworkFileSystem { return }
    let kind: FileSystemKind
    do { kind = try file.fileSystemKind() } catch { throw Store.Error(error) }
    if case .network(let name) = kind {
      throw Store.Error(
        .networkFileSystem,
        "the file lies on a network file system (\(name)), where processes on several hosts do not see "
          + "each other's changes; put it on a local disk, or allow it if only one host opens it")
    }
  }

  /// What the file is, by its first bytes. Throws if it cannot be a store.
  private func contents(_ file: borrowing File) throws(Store.Error) -> FileKind {
    let size: Int64
    let contents: FileKind
    do throws(MappingError) {
      size = try file.status().size
      contents = try FileKind(file)
    } catch {
      throw Store.Error(error)
    }
    if case .other = contents {
      throw Store.Error(.notAStore, "the file is not a KVMap store; nothing was changed")
    }
    guard size <= Int64(Layout.largestFile) else {
      throw Store.Error(
        .damaged, "the file is \(size) bytes long, more than any store; nothing was changed")
    }
    return contents
  }

  private func checkIsStore(_ file: borrowing File) throws(Store.Error) {
    if case .empty = try contents(file) { throw Self.emptyFile }
  }

  static var emptyFile: Store.Error {
    Store.Error(.notFound, "there is no store: the file is empty, or the store's creation was interrupted")
  }

  // MARK: Attaching

  /// Attaches to the store, and recovers it if no other handle has it open.
  ///
  /// - Returns: nil if the path no longer names the file.
  private func attachForWriting(_ backing: FileBacking) throws(Store.Error) -> StoreCore? {
    try waitForAttached(backing)
    let block = try firstLook(backing)
    guard block.readOnlyCompatibleFeatures == 0 else {
      throw Store.Error(
        .newerFormat,
        "the file uses features (\(UInt64(block.readOnlyCompatibleFeatures).hexadecimal)) that this program can "
          + "read but not write; open it for reading only, or use a newer program")
    }
    let joinedOthers = try joinOrRecover(backing)
    // The process that created it may have removed it again.
    guard try backing.isAt(path) else { return nil }
    let core = try core(backing, block, joinedOthers: joinedOthers)
    if options.exclusive { try core.withWriteLock { _ throws(Store.Error) in } }
    // They differ if a process died while it wrote a checkpoint. Or another process writes one now,
    // or has the write lock: then the next checkpoint makes them agree.
    if try !SuperblockPair(backing.fixed).current().bothAgree { try core.repairSuperblocksIfFree() }
    return core
  }

  /// Attaches to the store if another handle vouches for the shared state.
  ///
  /// - Returns: nil if none does, if the shared state has another layout than this program knows,
  ///   or if that cannot be told without waiting.
  private func attachForReading(_ backing: FileBacking) throws(Store.Error) -> StoreCore? {
    // Where locks are not supported, as on some read-only media, nobody writes.
    guard (try? backing.locks.tryLock(.attached, .shared)) == true else { return nil }
    let block = try firstLook(backing)
    if try joins(backing) == .joined { return try core(backing, block) }
    try backing.locks.unlock(.valid)
    try backing.locks.unlock(.attached)
    return nil
  }

  /// Makes the shared state valid, and this handle one of those that vouch for it. Returns whether
  /// others vouched for it already.
  private func joinOrRecover(_ backing: FileBacking) throws(Store.Error) -> Bool {
    var patience = Patience(options.timeout)
    while true {
      switch try joins(backing) {
      case .joined: return true
      case .otherVersion:
        throw Store.Error(
          .busy,
          "a program with another version of KVMap has the store open; close it there, or use the same version",
          holder: try backing.locks.holder(of: .vouched, against: .exclusive))
      case .nobody: break
      }
      // No handle writes a checkpoint without vouching for the shared state. If one did, its
      // checkpoint would be mixed with what is recovered: so lock C is taken too.
      if try backing.locks.tryLock(.valid, .exclusive), try backing.locks.tryLock(.checkpoint, .exclusive) {
        try recoverAlone(backing)
        try backing.locks.unlock(.checkpoint)
        return false
      }
      try backing.locks.unlock(.valid)
      if patience.wait() { continue }
      var holder = try backing.locks.holder(of: .valid, against: .exclusive)
      if holder == nil { holder = try backing.locks.holder(of: .checkpoint, against: .exclusive) }
      throw patience.busy(holder, "is recovering the store")
    }
  }

  /// Takes lock A. Waits for a process that is truncating the file, which takes a moment.
  func waitForAttached(_ backing: FileBacking) throws(Store.Error) {
    var patience = Patience(options.timeout)
    while try !backing.locks.tryLock(.attached, .shared) {
      if patience.wait() { continue }
      let holder = try backing.locks.holder(of: .attached, against: .shared)
      throw patience.busy(holder, "is truncating the file")
    }
  }

  /// Checks that the file is a store at all, before anything is changed.
  func firstLook(_ backing: FileBacking) throws(Store.Error) -> Superblock {
    guard try backing.extendMapping(to: Layout.unitBytes * Int(Layout.firstFreeUnit)) else {
      throw Store.Error(.damaged, "the file was cut short: not even its superblocks are whole")
    }
    let block = try SuperblockPair(backing.fixed).current().block
    guard try backing.extendMapping(to: Int(block.highWater.number) * Layout.unitBytes) else {
      throw Store.Error(
        .damaged,
        "the file is shorter than the \(Int(block.highWater.number) * Layout.unitBytes) bytes its last checkpoint "
          + "uses: it was cut short; restore it from a backup")
    }
    return block
  }

  private enum Joining { case joined, otherVersion, nobody }

  /// Whether the shared state is valid because another handle vouches for it; then this handle
  /// vouches for it too. Lock V is held from before the look that counts, and may still be held if
  /// the answer is not `joined`.
  private func joins(_ backing: FileBacking) throws(Store.Error) -> Joining {
    // Look before taking any lock: a process that only looks must not be in the way of one that
    // recovers.
    guard try backing.locks.isLockedByOthers(.vouched, .exclusive),
      try backing.locks.tryLock(.valid, .shared),
      try backing.locks.isLockedByOthers(.vouched, .exclusive), try backing.locks.tryLock(.vouched, .shared)
    else { return .nobody }
    let shared = SharedState(bytes: backing.fixed, start: SharedState.publicOffset)
    if shared[.layout] == SharedState.layoutVersion { return .joined }
    try backing.locks.unlock(.vouched)
    return .otherVersion
  }

  /// Recovers with V held exclusively: nobody else trusts the shared state.
  private func recoverAlone(_ backing: FileBacking) throws(Store.Error) {
    let (block, bothAgree) = try SuperblockPair(backing.fixed).current()
    let source = backing.mapping.source(seed: block.seed)
    let recovery = Recovery(
      source: source, backing: backing, clock: clock, mode: .alone)
    let end = try recovery.examine(block)
    // With nothing to apply or append, recovery touches nothing that could be damaged.
    if recovery.pendingCut(block, end) == nil { try recovery.dryRun(block, end) }
    try backing.renew(offset: Layout.liveOffset, count: Layout.pageBytes)
    // The process that created it may have died before the name was durable. This process may lack
    // the right to sync the directory.
    if block.epoch == Epoch(number: 1) { try? File.syncDirectory(File.followingLinks(path).directory) }
    try recovery.rebuild(block, bothAgree: bothAgree, end)
    // A sync that failed before does not matter any more: recovery has written everything again.
    source.shared[.syncFailed] = 0
    guard try backing.locks.tryLock(.vouched, .shared), try backing.locks.tryLock(.valid, .shared) else {
      throw Store.Error(.system, "a lock of this handle was lost; try again")
    }
  }

  private func core(
    _ backing: FileBacking, _ block: Superblock, joinedOthers: Bool = true
  ) throws(Store.Error) -> StoreCore {
    if options.warm || options.pinned {
      try backing.prepare(warm: options.warm, pinned: options.pinned)
    }
    return try StoreCore(
      name: name, path: path, backing: backing, block: block, options: options, clock: clock, pinned: nil,
      joinedOthers: joinedOthers)
  }

  // MARK: Private views

  /// A private view of the last checkpoint and the log after it, through a backing without locks. The
  /// checkpoint is pinned, so that writers do not reuse its pages. Waits for nobody.
  private func openPrivate(_ original: FileBacking) throws(Store.Error) -> StoreCore {
    // Where locks are not supported, as on some read-only media, nobody writes.
    var isAttached = try? original.locks.tryLock(.attached, .shared)
    let hasLocks = isAttached != nil
    var room = PrivateBacking.leastRoom
    for _ in 0..<64 {
      let block = try firstLook(original)
      let epoch = block.epoch.next
      if hasLocks { try original.locks.pin(epoch) }
      // The pin counts only if that checkpoint was still the current one when it was pinned.
      let again = try SuperblockPair(original.fixed).current().block
      guard again.epoch == block.epoch else {
        try original.locks.unpin(epoch)
        continue
      }
      // A process that is truncating the file, and may be stopped at that, keeps what the last
      // checkpoint uses, and begins no other truncation while this checkpoint is pinned.
      if isAttached == false { isAttached = try original.locks.tryLock(.attached, .shared) }
      var size = try original.wholeUnits()
      if isAttached == false { size = min(size, Int(block.highWater.number) * Layout.unitBytes) }
      let backing = try original.privateView(of: size, room: room)
      do throws(Store.Error) {
        return try Self.privateCore(
          backing, block, name: name, path: path, options: options, clock: clock, pinned: epoch)
      } catch {
        if let more = backing.room(after: error, room) {
          room = more
        } else {
          // A writer may meanwhile have put what the log names beyond the part of the file that is
          // viewed. That looks like damage until all of the file is viewed.
          guard error.code == .damaged, try original.wholeUnits() > size else { throw error }
        }
        if hasLocks { try original.locks.unpin(epoch) }
      }
    }
    throw Store.Error(.busy, "the store is being changed too fast to be viewed; try again")
  }

  private static func privateCore(
    _ backing: any UnsharedBacking, _ block: Superblock, name: String, path: FilePath?,
    options: Store.Options, clock: Clock, pinned: Epoch?
  ) throws(Store.Error) -> StoreCore {
    let source = backing.mapping.source(seed: block.seed)
    try Recovery(
      source: source, backing: backing, clock: clock, mode: .privateView
    ).run(block, bothAgree: true)
    source.shared[.syncFailed] = 0
    return try StoreCore(
      name: name, path: path, backing: backing, block: block, options: options, clock: clock,
      pinned: pinned)
  }
}

extension MappingError {
  /// Whether no file can have such a path, now or later.
  fileprivate var leavesNoRoomForAName: Bool {
    code == .system(.fileNameTooLong) || code == .system(.tooManySymbolicLinkLevels)
  }
}
