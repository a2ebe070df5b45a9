import MappedMemory

/// The locks of a store in a file. They are locks of byte ranges, through a descriptor that is
/// never mapped: a mapping would keep them alive after the handle was closed.
final class FileLocks: StoreLocks {
  private let file: File
  private let isWritable: Bool
  private let processIdentifier = ProcessIdentifier.current

  /// Locks lie far beyond the end of any file. Each has a region; a holder locks the first byte
  /// of it and as many more as its process id says, so that others can name the holder.
  private static let lockOffset: Int64 = 1 << 62
  private static let lockStride: Int64 = 1 << 32
  /// A pin is a lock on one byte. The byte's offset holds the epoch and the process id, so that
  /// others can tell holders apart and name them.
  private static let pinOffset: Int64 = (1 << 62) + (1 << 60)
  private static let processBits = 22
  /// A reader slot is taken by an exclusive lock on one byte.
  private static let readerSlotOffset: Int64 = (1 << 62) + (1 << 61)
  private static let epochLimit: UInt64 = 1 << 38

  /// Takes ownership of a descriptor that is used for locks and for `syncFile`. `isWritable` says
  /// whether the store is mapped for writing.
  init(_ file: consuming File, isWritable: Bool) {
    self.file = file
    self.isWritable = isWritable
  }

  /// Blocks until the file is durable. The system reports errors for this descriptor separately.
  func syncFile() throws(MappingError) { try file.dataSync() }

  // MARK: Locks

  private func range(_ name: LockName) -> FileRange {
    FileRange(
      offset: Self.lockOffset + name.rawValue * Self.lockStride, length: 1 + Int64(processIdentifier))
  }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(Store.Error) -> Bool {
    do {
      return try file.tryLock(kind == .shared ? .shared : .exclusive, range: range(name))
    } catch {
      throw Store.Error(error)
    }
  }

  func unlock(_ name: LockName) throws(Store.Error) {
    do { try file.unlock(range: range(name)) } catch { throw Store.Error(error) }
  }

  func holder(of name: LockName, against kind: LockKind) throws(Store.Error) -> Int32? {
    do {
      let found = try file.conflictingLock(kind == .shared ? .shared : .exclusive, range: range(name))
      return found.map { Int32(clamping: $0.length - 1) }
    } catch {
      throw Store.Error(error)
    }
  }

  // MARK: Pins

  private static func pinRange(_ epoch: Epoch) -> FileRange {
    let process = Int64(ProcessIdentifier.current) & ((1 << processBits) - 1)
    return FileRange(
      offset: pinOffset + Int64(epoch.number % epochLimit) << Int64(processBits) + process, length: 1)
  }

  func pin(_ epoch: Epoch) throws(Store.Error) {
    do {
      // Shared locks never exclude one another.
      _ = try file.tryLock(.shared, range: Self.pinRange(epoch))
    } catch {
      throw Store.Error(error)
    }
  }

  func unpin(_ epoch: Epoch) throws(Store.Error) {
    do { try file.unlock(range: Self.pinRange(epoch)) } catch { throw Store.Error(error) }
  }

  func lowestPin() throws(Store.Error) -> Epoch? {
    try lowestPinOffset().map { Epoch(number: UInt64($0 >> Int64(Self.processBits))) }
  }

  func holderOfLowestPin() throws(Store.Error) -> Int32? {
    try lowestPinOffset().map { Int32($0 & ((1 << Int64(Self.processBits)) - 1)) }
  }

  /// The epoch and the process id of the lowest pin of any other handle, as an offset from
  /// `pinOffset`; nil if there is none.
  private func lowestPinOffset() throws(Store.Error) -> Int64? {
    var lowest: Int64?
    var end = Self.pinOffset + Int64(Self.epochLimit) << Int64(Self.processBits)
    do {
      // The system names any conflicting lock, not the lowest, so this asks again about the range
      // below it.
      while end > Self.pinOffset {
        let below = FileRange(offset: Self.pinOffset, length: end - Self.pinOffset)
        guard let found = try file.conflictingLock(.exclusive, range: below) else { break }
        lowest = found.offset
        end = found.offset
      }
    } catch {
      throw Store.Error(error)
    }
    return lowest.map { $0 - Self.pinOffset }
  }

  // MARK: Reader slots

  func takeReaderSlot() throws(Store.Error) -> Int? {
    guard isWritable else { return nil }
    do {
      for slot in 0..<ReaderSlots.count where try file.tryLock(.exclusive, range: Self.range(slot)) {
        return slot
      }
      return nil
    } catch {
      throw Store.Error(error)
    }
  }

  func isReaderSlotTaken(_ slot: Int) throws(Store.Error) -> Bool {
    do {
      return try file.conflictingLock(.exclusive, range: Self.range(slot)) != nil
    } catch {
      throw Store.Error(error)
    }
  }

  private static func range(_ slot: Int) -> FileRange {
    FileRange(offset: readerSlotOffset + Int64(slot), length: 1)
  }
}
