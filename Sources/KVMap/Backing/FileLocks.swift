import MappedMemory

/// The locks of a store in a file: on bytes of a descriptor that is never mapped, since a mapping
/// would keep them alive after the handle was closed.
final class FileLocks: StoreLocks {
  private let file: File
  private let processIdentifier = ProcessIdentifier.current

  /// Where locks live: far beyond the end of any file. Each has a region, of which its holders
  /// lock the first byte and as many more as their process id says: so they can be named.
  private static let lockOffset: Int64 = 1 << 62
  private static let lockStride: Int64 = 1 << 32
  /// Pins are locks on bytes whose offset holds the epoch and the process id, so
  /// that holders can be told apart and named.
  private static let pinOffset: Int64 = (1 << 62) + (1 << 60)
  private static let processBits = 22
  private static let epochLimit: UInt64 = 1 << 38

  /// Takes over a descriptor for locks alone.
  init(_ file: consuming File) { self.file = file }

  /// Makes the file durable through this descriptor, which the system tells of errors on its own.
  func syncFile() throws(MappingError) { try file.dataSync() }

  // MARK: Locks

  private func range(_ name: LockName) -> FileRange {
    FileRange(
      offset: Self.lockOffset + name.rawValue * Self.lockStride, length: 1 + Int64(processIdentifier))
  }

  func tryLock(_ name: LockName, _ kind: LockKind) throws(StoreError) -> Bool {
    do {
      return try file.tryLock(kind == .shared ? .shared : .exclusive, range: range(name))
    } catch {
      throw StoreError(error)
    }
  }

  func unlock(_ name: LockName) throws(StoreError) {
    do { try file.unlock(range: range(name)) } catch { throw StoreError(error) }
  }

  func holder(of name: LockName, against kind: LockKind) throws(StoreError) -> Int32? {
    do {
      let found = try file.conflictingLock(kind == .shared ? .shared : .exclusive, range: range(name))
      return found.map { Int32(clamping: $0.length - 1) }
    } catch {
      throw StoreError(error)
    }
  }

  // MARK: Pins

  private static func pinRange(_ epoch: Epoch) -> FileRange {
    let process = Int64(ProcessIdentifier.current) & ((1 << processBits) - 1)
    return FileRange(
      offset: pinOffset + Int64(epoch.number % epochLimit) << Int64(processBits) + process, length: 1)
  }

  func pin(_ epoch: Epoch) throws(StoreError) {
    do {
      // Shared locks never exclude one another.
      _ = try file.tryLock(.shared, range: Self.pinRange(epoch))
    } catch {
      throw StoreError(error)
    }
  }

  func unpin(_ epoch: Epoch) throws(StoreError) {
    do { try file.unlock(range: Self.pinRange(epoch)) } catch { throw StoreError(error) }
  }

  func lowestPin() throws(StoreError) -> Epoch? {
    try lowestPinOffset().map { Epoch(number: UInt64($0 >> Int64(Self.processBits))) }
  }

  func holderOfLowestPin() throws(StoreError) -> Int32? {
    try lowestPinOffset().map { Int32($0 & ((1 << Int64(Self.processBits)) - 1)) }
  }

  /// Epoch and process of the lowest pin of any other handle.
  private func lowestPinOffset() throws(StoreError) -> Int64? {
    var lowest: Int64?
    var end = Self.pinOffset + Int64(Self.epochLimit) << Int64(Self.processBits)
    do {
      // The system names any conflicting lock, not the first: ask again about
      // what lies below it.
      while end > Self.pinOffset {
        let below = FileRange(offset: Self.pinOffset, length: end - Self.pinOffset)
        guard let found = try file.conflictingLock(.exclusive, range: below) else { break }
        lowest = found.offset
        end = found.offset
      }
    } catch {
      throw StoreError(error)
    }
    return lowest.map { $0 - Self.pinOffset }
  }
}
