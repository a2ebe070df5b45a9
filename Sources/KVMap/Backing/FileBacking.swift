import MappedMemory
import Synchronization
import SystemPackage

/// A store in a file, mapped shared.
///
/// The file is opened twice: once for mapping, and once for locks. The locks belong to the second
/// descriptor, which is never mapped: a mapping would keep them alive after the handle was
/// closed.
final class FileBacking: Backing {
  let mapping: StoreMapping
  private let file: File
  let locks: any StoreLocks
  private let lockFile: FileLocks
  private let isWritable: Bool
  /// Whether the system keeps the page of the shared state in memory.
  private let sharedPageIsLocked = Atomic<Bool>(false)
  private let syncing = Lock()
  private let writtenRanges = WrittenRanges()
  /// How many bytes are locked in memory, at whatever address they are mapped.
  private let lockedBytes = Atomic<Int>(0)
  /// Whether a sync has failed and `forgetFailedSync` has not been called since.
  private let hasFailedSync = Atomic<Bool>(false)

  let identity: FileIdentity
  var isShared: Bool { true }

  /// Takes ownership of two descriptors of one file. Throws `replaced` if they are of different
  /// files.
  init(
    _ file: consuming File, locks: consuming File, isWritable: Bool,
    _ addressSpace: AddressSpace = .standard
  ) throws(Store.Error) {
    let status: FileStatus
    let lockStatus: FileStatus
    do throws(MappingError) {
      status = try file.status()
      lockStatus = try locks.status()
      try locks.closeInForkedChildren()
    } catch {
      throw Store.Error(error)
    }
    guard lockStatus.identity == status.identity else {
      throw Store.Error(.replaced, "the file was replaced while it was being opened; try again")
    }
    identity = status.identity
    let size = max(Int(status.size) / Layout.unitBytes * Layout.unitBytes, StoreMapping.fixedBytes)
    mapping = try StoreMapping(forMapping: min(size, Int(Layout.largestFile)), addressSpace)
    self.file = file
    lockFile = FileLocks(locks, isWritable: isWritable)
    self.locks = lockFile
    self.isWritable = isWritable
  }

  /// The length of the file in bytes. Throws `lost` if it is shorter than what is mapped: a file
  /// that was cut short and then extended reads as zeros, without a fault.
  private func wholeSize() throws(Store.Error) -> Int {
    // The mapped size is loaded first: other processes may extend the file meanwhile, and threads
    // map that.
    let least = mappedBytes
    let size: Int
    do { size = Int(try file.status().size) } catch { throw Store.Error(error) }
    if size >= least { return size }
    mapping.markLost()
    throw Store.Error(
      .lost,
      "the file was cut short to \(size) bytes while it was open; close the store, check the file, "
        + "and open it again")
  }

  /// The length of the file in whole units, in bytes.
  func wholeUnits() throws(Store.Error) -> Int { try sizes().file / Layout.unitBytes * Layout.unitBytes }

  func grow(to bytes: Int) throws(Store.Error) {
    if bytes <= mappedBytes { return }
    let size = try wholeSize()
    do {
      if size < bytes {
        // In steps, so that growing takes few calls. What is added has no disk space until it is
        // allocated.
        let step = min(max(1 << 20, size / 16), 256 << 20)
        let rounded = (max(bytes, size + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes
        do {
          try file.setSize(Int64(rounded))
        } catch {
          // A size limit may allow what is needed, if not the whole step.
          try file.setSize(Int64(bytes))
        }
      }
    } catch {
      throw Store.Error(error)
    }
    guard try extendMapping(to: bytes) else {
      throw Store.Error(.lost, "the file was cut short while the store was extending it; close the store")
    }
  }

  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool {
    try mapping.extend(to: bytes) { () throws(Store.Error) in
      try wholeSize() / Layout.unitBytes * Layout.unitBytes
    } place: { reservation, range throws(MappingError) in
      try reservation.place(
        file, fileOffset: Int64(range.lowerBound), at: range.lowerBound, length: range.count,
        protection: isWritable ? [.read, .write] : .read, sharing: .shared)
      // The window on the superblocks and the shared state.
      if range == 0..<StoreMapping.fixedBytes { return lockSharedState(reservation) }
      // Lookups are random: read-ahead would fill memory with pages that nobody asked for, and
      // would create large folios, which slow syncs down.
      try reservation.hint(at: range.lowerBound, length: range.count, .random)
      // The outgrown place still counts against the limit of locked memory, so this may fail.
      let locked = min(lockedBytes.load(ordering: .relaxed), range.count)
      if range.lowerBound == 0, locked > 0 { try? reservation.lock(at: 0, length: locked) }
    }
  }

  /// Keeps the page of the shared state in memory, as far as the limit of locked memory allows. If
  /// the system failed to write it, it might drop it like any other page. Then words of an earlier
  /// state would come back, and nobody could tell them from valid ones.
  private func lockSharedState(_ window: borrowing Reservation) {
    let isLocked = (try? window.lock(at: Layout.liveOffset, length: Layout.pageBytes)) != nil
    sharedPageIsLocked.store(isLocked, ordering: .relaxed)
  }

  func noteWrites(offset: Int, count: Int) { writtenRanges.add(offset..<offset + count) }

  func allocate(offset: Int, count: Int) throws(Store.Error) {
    writtenRanges.add(offset..<offset + count)
    // The calls below would extend a file that was cut short.
    _ = try wholeSize()
    do {
      try file.allocateZeroed(offset: Int64(offset), length: Int64(count))
      // Written at once, so that its pages are in the page cache: cheaper than a fault for each.
      try file.writeZeros(offset: Int64(offset), length: Int64(count))
    } catch {
      // If the file was cut short meanwhile, that is the error to report.
      _ = try wholeSize()
      throw Store.Error(error)
    }
  }

  func renew(offset: Int, count: Int) throws(Store.Error) {
    _ = try wholeSize()
    // A page that may be dropped must not come back as it was in an earlier life.
    guard sharedPageIsLocked.load(ordering: .relaxed),
      dataRanges(offset..<offset + count) == [offset..<offset + count]
    else {
      return try allocate(offset: offset, count: count)
    }
    // Where files share blocks, the write takes space for a copy, or fails.
    do { try file.writeZeros(offset: Int64(offset), length: Int64(count)) } catch { throw Store.Error(error) }
  }

  func preallocate(offset: Int, count: Int) throws(Store.Error) {
    _ = try wholeSize()
    do {
      try file.allocate(offset: Int64(offset), length: Int64(count))
    } catch {
      throw Store.Error(error)
    }
  }

  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool {
    do { return try file.punchIfPossible(offset: Int64(offset), length: Int64(count)) } catch {
      throw Store.Error(error)
    }
  }

  func truncate(to bytes: Int) throws(Store.Error) {
    try mapping.noteCut(at: bytes) { () throws(Store.Error) in
      do throws(MappingError) { try file.setSize(Int64(bytes)) } catch { throw Store.Error(error) }
    }
  }

  func clone(into copy: borrowing File, _ method: CloneMethod) throws(Store.Error) -> Bool {
    do throws(MappingError) {
      switch method {
      case .sharing: return try copy.shareContents(of: file)
      case .copying:
        let end = try file.status().size
        try copy.setSize(end)
        try copy.copyData(0..<end, of: file)
        return true
      }
    } catch {
      throw Store.Error(error)
    }
  }

  /// A private copy-on-write view of all that is mapped, with room to grow by `room` bytes.
  func privateView(room: Int) throws(Store.Error) -> PrivateBacking? {
    try privateView(of: mappedBytes, room: room)
  }

  /// A private copy-on-write view of the first `count` bytes.
  func privateView(of count: Int, room: Int) throws(Store.Error) -> PrivateBacking {
    let copy: File
    do { copy = try file.duplicate() } catch { throw Store.Error(error) }
    return try PrivateBacking(viewing: copy, count: count, original: self, room: room)
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] {
    // Only a shortcut: if the system does not say, the whole range is looked at.
    let found = try? file.dataRanges(from: Int64(range.lowerBound), to: Int64(range.upperBound))
    return found?.map { Int($0.lowerBound)..<Int($0.upperBound) } ?? [range]
  }

  /// One call at a time: the system reports an error once for each descriptor, so the other of
  /// two calls would return as if everything had been written.
  func sync(offset: Int, count: Int) throws(Store.Error) {
    if count <= 0 { return }
    try syncing.withLock { () throws(Store.Error) in
      if hasFailedSync.load(ordering: .relaxed) {
        throw Store.Error(
          .outcomeUnknown, "an earlier sync failed; the store writes its data again before anything else")
      }
      do throws(Store.Error) {
        try checked { () throws(MappingError) in
          let count = min(count, mappedBytes - offset)
          if count >= Self.manyBytes { dropPages(from: offset, to: offset + count) }
          try mapping.withReservation(for: offset..<offset + count) { reservation throws(MappingError) in
            try reservation.sync(at: offset, length: count)
          }
          #if canImport(Darwin)
            // On Darwin msync leaves the data in the drive's cache.
            try file.sync()
          #endif
        }
      } catch {
        hasFailedSync.store(true, ordering: .relaxed)
        throw error
      }
    }
  }

  /// From here on dropping pages before a sync costs less than it saves.
  private static let manyBytes = 256 << 10

  /// Takes long, so it uses the descriptor of the locks, for which the system reports errors
  /// separately. Commits can sync meanwhile.
  func syncAll() throws(Store.Error) {
    #if canImport(Darwin)
      try sync(offset: 0, count: mappedBytes)
    #else
      for range in writtenRanges.take() { dropPages(from: range.lowerBound, to: range.upperBound) }
      try checked { () throws(MappingError) in try lockFile.syncFile() }
    #endif
  }

  /// Drops the entries of the page table for a range before it is synced, all at once. Nothing is
  /// lost: the pages stay in the page cache, and what was stored to them makes them dirty there.
  /// Otherwise writeback makes each page clean by itself, and interrupts every processor that runs
  /// a thread of this process for each. Entries of pages that are clean cost a fault if they are
  /// dropped, and nothing if not.
  ///
  /// Leaves out superblocks and shared state, one page of which is locked in memory. Locked pages
  /// stay, and so may all others if the system refuses: this only saves time.
  private func dropPages(from start: Int, to end: Int) {
    #if !canImport(Darwin)
      let start = max(start, Layout.firstFreeOffset)
      if start >= end { return }
      try? mapping.withReservation { reservation throws(MappingError) in
        try reservation.advise(at: start, length: end - start, .dontNeed)
      }
    #endif
  }

  func forgetFailedSync() { hasFailedSync.store(false, ordering: .relaxed) }

  /// Runs `sync`. Throws `outcomeUnknown` if it fails, and `lost` if it may have synced pages
  /// that do not belong to the file.
  private func checked(_ sync: () throws(MappingError) -> Void) throws(Store.Error) {
    // Loaded first: other threads may extend the file meanwhile, and map that.
    let least = mappedBytes
    let size: Int
    do {
      try sync()
      size = Int(try file.status().size)
    } catch {
      throw Store.Error(
        .outcomeUnknown,
        "a sync failed, so it is unknown whether the last changes are durable (\(error)); "
          + "the store writes them again before anything else; check the disk",
        cause: error)
    }
    // Pages that replace lost ones belong to no file: syncing them succeeds and writes nothing.
    // Nor does a sync report pages that were truncated and not accessed since.
    if isLost || size < least {
      mapping.markLost()
      throw Store.Error(
        .lost, "part of the file could not be read or written, so the last changes are not durable")
    }
  }

  // MARK: Sizes

  func sizes() throws(Store.Error) -> (file: Int, allocated: Int) {
    do {
      let status = try file.status()
      return (Int(status.size), Int(status.allocatedBytes))
    } catch {
      throw Store.Error(error)
    }
  }

  func residentPages() throws(Store.Error) -> Int? {
    let count = mappedBytes
    do {
      return try mapping.withReservation { reservation throws(MappingError) in
        try reservation.residentPages(at: 0, length: count)
      }
    } catch {
      if error.isRefusal { return nil }
      throw Store.Error(error)
    }
  }

  /// Reads everything that is mapped into memory (`warm`), and locks it there (`pinned`).
  func prepare(warm: Bool, pinned: Bool) throws(Store.Error) {
    let count = mappedBytes
    do {
      try mapping.withReservation { reservation throws(MappingError) in
        if warm { try reservation.hint(at: 0, length: count, .populateRead) }
        if pinned { try reservation.lock(at: 0, length: count) }
      }
      if pinned { lockedBytes.store(count, ordering: .relaxed) }
    } catch {
      throw Store.Error(error)
    }
  }

  /// Removes the name `path`, if it still names this file.
  func removeName(_ path: FilePath) {
    if (try? isAt(path)) == true { try? File.remove(path) }
  }

  /// Whether a path still names this file.
  func isAt(_ path: FilePath) throws(Store.Error) -> Bool {
    do { return try File.identity(of: path) == identity } catch { throw Store.Error(error) }
  }
}
