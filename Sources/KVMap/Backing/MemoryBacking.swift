import MappedMemory
import SystemPackage

/// A store in memory. The memory is a file that no file system has and that vanishes with the
/// handle.
final class MemoryBacking: UnsharedBacking {
  let mapping: StoreMapping
  private let file: File

  /// An empty store.
  init(_ addressSpace: AddressSpace = .standard) throws(StoreError) {
    do { file = try File(inMemory: "kvmap") } catch { throw StoreError(error) }
    mapping = try StoreMapping(forMapping: StoreMapping.fixedBytes, addressSpace)
  }

  func grow(to bytes: Int) throws(StoreError) {
    if bytes <= mappedBytes { return }
    let step = max(1 << 20, mappedBytes / 16)
    let end = (max(bytes, mappedBytes + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes
    do { try file.setSize(Int64(end)) } catch { throw StoreError(error) }
    _ = try extendMapping(to: bytes)
  }

  func extendMapping(to bytes: Int) throws(StoreError) -> Bool {
    try mapping.extend(to: bytes) { () throws(StoreError) in
      do throws(MappingError) { return Int(try file.status().size) } catch { throw StoreError(error) }
    } place: { reservation, range throws(MappingError) in
      try reservation.place(
        file, fileOffset: Int64(range.lowerBound), at: range.lowerBound, length: range.count,
        protection: [.read, .write], sharing: .shared)
    }
  }

  /// Does nothing: memory is taken when it is first touched.
  func allocate(offset: Int, count: Int) throws(StoreError) {}

  func punch(offset: Int, count: Int) throws(StoreError) -> Bool {
    do { return try file.punchIfPossible(offset: Int64(offset), length: Int64(count)) } catch {
      throw StoreError(error)
    }
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { [range] }

  func sizes() throws(StoreError) -> (file: Int, allocated: Int) {
    do {
      let status = try file.status()
      return (Int(status.size), Int(status.allocatedBytes))
    } catch {
      throw StoreError(error)
    }
  }

  func residentPages() throws(StoreError) -> Int? { try sizes().allocated / PageSize.bytes }
}
