import MappedMemory
import SystemPackage

/// A store in memory. The memory is a file that no file system has and that vanishes with the
/// handle.
final class MemoryBacking: UnsharedBacking {
  let mapping: StoreMapping
  private let file: File

  /// An empty store.
  init(_ addressSpace: AddressSpace = .standard) throws(Store.Error) {
    do { file = try File(inMemory: "kvmap") } catch { throw Store.Error(error) }
    mapping = try StoreMapping(forMapping: StoreMapping.fixedBytes, addressSpace)
  }

  func grow(to bytes: Int) throws(Store.Error) {
    if bytes <= mappedBytes { return }
    let step = max(1 << 20, mappedBytes / 16)
    let end = (max(bytes, mappedBytes + step) + Layout.unitBytes - 1) / Layout.unitBytes * Layout.unitBytes
    do { try file.setSize(Int64(end)) } catch { throw Store.Error(error) }
    _ = try extendMapping(to: bytes)
  }

  func extendMapping(to bytes: Int) throws(Store.Error) -> Bool {
    try mapping.extend(to: bytes) { () throws(Store.Error) in
      do throws(MappingError) { return Int(try file.status().size) } catch { throw Store.Error(error) }
    } place: { reservation, range throws(MappingError) in
      try reservation.place(
        file, fileOffset: Int64(range.lowerBound), at: range.lowerBound, length: range.count,
        protection: [.read, .write], sharing: .shared)
    }
  }

  /// Does nothing: memory is taken when it is first touched.
  func allocate(offset: Int, count: Int) throws(Store.Error) {}

  func punch(offset: Int, count: Int) throws(Store.Error) -> Bool {
    do { return try file.punchIfPossible(offset: Int64(offset), length: Int64(count)) } catch {
      throw Store.Error(error)
    }
  }

  func dataRanges(_ range: Range<Int>) -> [Range<Int>] { [range] }

  func sizes() throws(Store.Error) -> (file: Int, allocated: Int) {
    do {
      let status = try file.status()
      return (Int(status.size), Int(status.allocatedBytes))
    } catch {
      throw Store.Error(error)
    }
  }

  func residentPages() throws(Store.Error) -> Int? { try sizes().allocated / PageSize.bytes }
}
