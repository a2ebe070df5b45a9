import MappedMemory
import Synchronization
import SystemPackage

/// A store in a file, mapped shared.
///
/// The file is open twice: once for mapping, and once for locks alone. Locks
/// belong to the second descriptor, which is never mapped: a mapping would keep
/// them alive after the handle was closed.
final class FileBacking: Backing {
  let mapping: StoreMapping
  private let file: File
  let locks: any StoreLocks
  private let lockFile: FileLocks
  private let isWritable: Bool
  private let syncing = Lock()
  /// How much is kept in memory, wherever it is mapped.
  private let lockedBytes = Atomic<Int>(0)
  /// Whether a sync has failed and nothing was done about it yet.
  private let hasFailedSync = Atomic<Bool>(false)

  let identity: FileIdentity
  var isShared: Bool { true }

  /// Takes over two descriptors of one file.
  init(
    _ file: consuming File, locks: consuming File, isWritable: Bool,
    _ addressSpace: AddressSpace = .standard
  ) throws(StoreError) {
    let status: FileStatus
    let lockStatus: FileStatus
    do throws(MappingError) {
      status = try file.status()
      lockStatus = try locks.status()
      try locks.closeInForkedChildren()
    } catch {
      throw StoreError(error)
    }
    guard lockStatus.identity == status.identity else {
      throw StoreError(.replaced, "the file was replaced while it was being opened; try again")
    }
    identity = status.identity
    let size = max(Int(status.size) / Layout.unitBytes * Layout.unitBytes, StoreMapping.fixedBytes)
    mapping = try StoreMapping(forMapping: min(size, Int(Layout.largestFile)), addressSpace)
    self.file = file
    lockFile = FileLocks(locks)
    self.locks = lockFile
    self.isWritable = isWritable
  }

  /// The length of the file. Throws if it is shorter than what is mapped of it: a
  /// file that was cut short and made longer again reads as zeros, without a fault.
  private func wholeSize() throws(StoreError) -> Int {
    // In this order: others may make the file longer, and threads map that, meanwhile.
    let least = mappedBytes
    let size: Int
    do { size = Int(try file.status().size) } catch { throw StoreError(error) }
    if size >= least { return size }
    mapping.markLost()
    throw StoreError(
      .lost,
      "the file was cut short to \(size) bytes while it was open; close the store, see to the file, "
        + "and open it again")
  }

  func grow(to bytes: Int) throws(StoreError) {
    if bytes <= mappedBytes { return }
    let size = try wholeSize()
    do {
      if size < bytes {
        // In steps, so that growing costs few calls; what is added has no disk
        // space until it is made real.
        let step = min(max(1 << 20, size / 16), 256 << 20)
        let rounded = (max(bytes, size + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes
        do {
          try file.setSize(Int64(rounded))
        } catch {
          // A limit may leave room for what is asked for, if not for the step.
          try file.setSize(Int64(bytes))
        }
      }
    } catch {
      throw StoreError(error)
    }
    guard try extendMapping(to: bytes) else {
      throw StoreError(.lost, "the file was cut short while it was to become longer; close the store")
    }
  }

  func extendMapping(to bytes: Int) throws(StoreError) -> Bool {
    try mapping.extend(to: bytes) { () throws(StoreError) in
      try wholeSize() / Layout.unitBytes * Layout.unitBytes
    } place: { reservation, range throws(MappingError) in
      try reservation.place(
        file, fileOffset: Int64(range.lowerBound), at: range.lowerBound, length: range.count,
        protection: isWritable ? [.read, .write] : .read, sharing: .shared)
      // Lookups are random: reading ahead would fill memory with what nobody
      // asked for, and would make the large folios that slow syncs down.
      try reservation.hint(at: range.lowerBound, length: range.count, .random)
      let locked = min(lockedBytes.load(ordering: .relaxed), range.count)
      if range.lowerBound > 0 { return }
      // The place that is outgrown still counts against the limit of locked memory.
      if locked > 0 { try? reservation.lock(at: 0, length: locked) }
      // Where the system has failed to write this page, it might drop it like any other, and
      // bring back words of an earlier state, which nobody could tell from those that count.
      try? reservation.lock(at: Layout.liveOffset, length: Layout.pageBytes)
    }
  }

  func allocate(offset: Int, count: Int, order: WriteOrder) throws(StoreError) {
    // Both calls would make the file longer.
    _ = try wholeSize()
    do {
      try file.allocateZeroed(offset: Int64(offset), length: Int64(count))
      if order == .random {
        try mapping.withReservation(for: offset..<offset + count) { reservation throws(MappingError) in
          try reservation.populateForWriting(at: offset, length: count)
        }
      } else {
        try file.writeZeros(offset: Int64(offset), length: Int64(count))
      }
    } catch {
      // It may have been cut short in between: then that is what is wrong.
      _ = try wholeSize()
      throw StoreError(error)
    }
  }

  func preallocate(offset: Int, count: Int) throws(StoreError) {
    _ = try wholeSize()
    do {
      try file.allocate(offset: Int64(offset), length: Int64(count))
    } catch {
      throw StoreError(error)
    }
  }

  func punch(offset: Int, count: Int) throws(StoreError) -> Bool {
    do { return try file.punchIfPossible(offset: Int64(offset), length: Int64(count)) } catch {
      throw StoreError(error)
    }
  }

  func truncate(to bytes: Int) throws(StoreError) {
    try mapping.noteCut(at: bytes) { () throws(StoreError) in
      do throws(MappingError) { try file.setSize(Int64(bytes)) } catch { throw StoreError(error) }
    }
  }

  /// Makes `copy` share the disk space of this file; false where the system cannot.
  func share(with copy: borrowing File) throws(StoreError) -> Bool {
    do { return try copy.shareContents(of: file) } catch { throw StoreError(error) }
  }

  /// A copy-on-write view of all that is mapped, with room to grow.
  func privateView(room: Int) throws(StoreError) -> PrivateBacking? {
    let copy: File
    do { copy = try file.duplicate() } catch { throw StoreError(error) }
    return try PrivateBacking(viewing: copy, count: mappedBytes, original: self, room: room)
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] {
    // Only a shortcut: where the system does not tell, everything is looked at.
    let found = try? file.dataRanges(from: Int64(range.lowerBound), to: Int64(range.upperBound))
    return found?.map { Int($0.lowerBound)..<Int($0.upperBound) } ?? [range]
  }

  /// One at a time: the system tells of an error once for each descriptor, and the
  /// other of two calls would return as if all had been written.
  func sync(offset: Int, count: Int) throws(StoreError) {
    if count <= 0 { return }
    try syncing.withLock { () throws(StoreError) in
      if hasFailedSync.load(ordering: .relaxed) {
        throw StoreError(
          .outcomeUnknown, "a sync failed before; what it was for is written again before anything else is")
      }
      do throws(StoreError) {
        try checked { () throws(MappingError) in
          let count = min(count, mappedBytes - offset)
          try mapping.withReservation(for: offset..<offset + count) { reservation throws(MappingError) in
            try reservation.sync(at: offset, length: count)
          }
          #if canImport(Darwin)
            // There msync leaves the data in the drive's cache.
            try file.sync()
          #endif
        }
      } catch {
        hasFailedSync.store(true, ordering: .relaxed)
        throw error
      }
    }
  }

  /// Takes long, and so goes through the other descriptor, which is told of errors on
  /// its own: commits are synced meanwhile.
  func syncAll() throws(StoreError) {
    #if canImport(Darwin)
      try sync(offset: 0, count: mappedBytes)
    #else
      try checked { () throws(MappingError) in try lockFile.syncFile() }
    #endif
  }

  func forgetFailedSync() { hasFailedSync.store(false, ordering: .relaxed) }

  private func checked(_ sync: () throws(MappingError) -> Void) throws(StoreError) {
    // Looked at first: other threads may make the file longer, and map that, meanwhile.
    let least = mappedBytes
    let size: Int
    do {
      try sync()
      size = Int(try file.status().size)
    } catch {
      throw StoreError(
        .outcomeUnknown,
        "a sync failed, so it is unknown whether the last changes are durable (\(error)); "
          + "they are written again before anything else is; check the disk",
        cause: error)
    }
    // Pages put in the place of lost ones belong to no file: syncing them succeeds
    // and writes nothing. Nor does it tell of pages that were cut off and not touched.
    if isLost || size < least {
      mapping.markLost()
      throw StoreError(
        .lost, "part of the file could not be read or written, so the last changes are not durable")
    }
  }

  // MARK: Sizes

  func sizes() throws(StoreError) -> (file: Int, allocated: Int) {
    do {
      let status = try file.status()
      return (Int(status.size), Int(status.allocatedBytes))
    } catch {
      throw StoreError(error)
    }
  }

  func residentPages() throws(StoreError) -> Int? {
    let count = mappedBytes
    do {
      return try mapping.withReservation { reservation throws(MappingError) in
        try reservation.residentPages(at: 0, length: count)
      }
    } catch {
      if error.isRefusal { return nil }
      throw StoreError(error)
    }
  }

  /// Reads ahead and, if asked to, keeps everything in memory.
  func prepare(warm: Bool, pinned: Bool) throws(StoreError) {
    let count = mappedBytes
    do {
      try mapping.withReservation { reservation throws(MappingError) in
        if warm { try reservation.hint(at: 0, length: count, .populateRead) }
        if pinned { try reservation.lock(at: 0, length: count) }
      }
      if pinned { lockedBytes.store(count, ordering: .relaxed) }
    } catch {
      throw StoreError(error)
    }
  }

  /// Takes its name away from the file, if it still has it.
  func removeName(_ path: FilePath) {
    if (try? isAt(path)) == true { try? File.remove(path) }
  }

  /// Whether a path still leads to this file.
  func isAt(_ path: FilePath) throws(StoreError) -> Bool {
    do { return try File.identity(of: path) == identity } catch { throw StoreError(error) }
  }
}
