import MappedMemory
import SystemPackage

/// A private view of a store's file as it is, whole or not.
///
/// Unlike an opened store it requires nothing: superblocks may be missing, and the file may end
/// anywhere; what lies beyond its end reads as zeros. Nothing is ever written to the file. If
/// others have the store open, the checkpoint that is viewed is pinned, so that they do not reuse
/// what it points to.
final class SourceView: Sendable {
  /// The two superblocks as they were found.
  let superblocks: SuperblockPair
  /// The one that counts, if one is valid.
  let block: Superblock?
  /// Why no seed was found: then nothing else in the file can be read either.
  let seedError: Store.Error?
  /// Bytes of the file.
  let size: Int
  private let backing: PrivateBacking
  private let source: MemorySource
  private let original: FileBacking?
  private let pinned: Epoch?

  /// Valid for as long as the view lives.
  var memory: StoreMemory { source.memory }
  /// A second set of the words of the shared state, which nothing else uses.
  var spareState: SharedState { source.shadow.shared }
  var isLost: Bool { backing.isLost }

  /// The parts of a range that may hold anything but zeros: a file with holes can be
  /// far longer than what is in it.
  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { backing.dataRanges(range) }

  /// - Throws: what opening the file throws.
  init(_ opening: Opening) throws(Store.Error) {
    let file = try opening.openForReading()
    try opening.checkFileSystem(file)
    let original = try FileBacking(
      opening.openForReading(), locks: opening.openForReading(), isWritable: false)
    // Where locks are not supported, as on some read-only media, nobody writes.
    let hasLocks: Bool
    do throws(Store.Error) {
      try opening.waitForAttached(original)
      hasLocks = true
    } catch {
      if error.code == .busy { throw error }
      hasLocks = false
    }
    self.original = hasLocks ? original : nil
    pinned = hasLocks ? try Self.pin(original) : nil
    do { size = Int(try file.status().size) } catch { throw Store.Error(error) }
    guard size <= Int(Layout.largestFile) else {
      throw Store.Error(.damaged, "the file is \(size) bytes long, more than any store")
    }
    backing = try Self.map(file, size, original)
    superblocks = SuperblockPair(settled: backing.fixed)
    let bytes = backing.mapping.source(seed: StoreSeed(low: 0, high: 0)).memory.bytes
    let seeds = SeedSearch(bytes: bytes, size: size)
    let chosen: (seed: StoreSeed, block: Superblock?)
    do throws(Store.Error) {
      chosen = try seeds.choose(superblocks)
      seedError = nil
    } catch {
      chosen = (StoreSeed(low: 0, high: 0), nil)
      seedError = error
    }
    block = chosen.block
    source = backing.mapping.source(seed: chosen.seed)
  }

  deinit {
    if let pinned { try? original?.locks.unpin(pinned) }
    try? original?.locks.unlock(.attached)
  }

  /// Whether another handle has the store open now.
  var isOpenElsewhere: Bool {
    guard let original else { return false }
    return (try? original.locks.isLockedByOthers(.vouched, .exclusive)) ?? true
  }

  /// How long the file is now.
  var currentSize: Int { (try? original?.sizes().file) ?? size }

  /// Pins the checkpoint that the superblocks name, if they can be read.
  private static func pin(_ original: FileBacking) throws(Store.Error) -> Epoch? {
    guard (try? original.extendMapping(to: Layout.unitBytes * Int(Layout.firstFreeUnit))) == true else {
      return nil
    }
    for _ in 0..<64 {
      guard let block = (try? SuperblockPair(original.fixed).current())?.block else { return nil }
      let epoch = block.epoch.next
      try original.locks.pin(epoch)
      // The pin counts only if that checkpoint was still the current one when it was pinned.
      if (try? SuperblockPair(original.fixed).current())?.block.epoch == block.epoch { return epoch }
      try original.locks.unpin(epoch)
    }
    throw Store.Error(.busy, "the store is being changed too fast to be viewed; try again")
  }

  /// Maps the whole units of the file, and reads the rest of it into memory after them.
  private static func map(
    _ file: consuming File, _ size: Int, _ original: FileBacking
  ) throws(Store.Error) -> PrivateBacking {
    let whole = size / Layout.unitBytes * Layout.unitBytes
    let rest: [UInt8]
    do { rest = try file.read(count: size - whole, at: Int64(whole)) } catch { throw Store.Error(error) }
    let backing = try PrivateBacking(viewing: file, count: whole, original: original)
    let units = (size + Layout.unitBytes - 1) / Layout.unitBytes
    try backing.grow(to: max(StoreMapping.fixedBytes, units * Layout.unitBytes))
    if rest.isEmpty { return backing }
    let bytes = backing.mapping.source(seed: StoreSeed(low: 0, high: 0)).memory.bytes
    unsafe bytes.copy(rest.span.bytes, to: whole)
    if whole < StoreMapping.fixedBytes { unsafe backing.fixed.copy(rest.span.bytes, to: whole) }
    return backing
  }

  /// Throws `lost` if part of the file could not be read.
  func checkNotLost() throws(Store.Error) {
    if isLost {
      throw Store.Error(
        .lost, "part of the file could not be read: it was cut short meanwhile, or the disk failed")
    }
  }
}
