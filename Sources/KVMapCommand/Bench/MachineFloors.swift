// What the machine needs for the least that a store has to do: copying a value, and getting one page onto the disk.

import CKVMapCommand
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

enum MachineFloors {
  private static let pageBytes = 4096
  private static let mostCopied = 1 << 30
  private static let mostMemory = 256 << 20

  /// Copies as many bytes as each value has, from places that are as far apart as those of the values are.
  static func copying(_ records: BenchRecords, rounds: Int) -> Measurement {
    let largest = records.sizes.max() ?? 0
    let count = max(largest, min(records.valueBytes, mostMemory), 1)
    let source = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: pageBytes)
    let target = UnsafeMutableRawPointer.allocate(byteCount: max(largest, 1), alignment: pageBytes)
    defer {
      unsafe source.deallocate()
      unsafe target.deallocate()
    }
    unsafe memset(source, 1, count)
    unsafe memset(target, 1, max(largest, 1))
    var calls = min(records.count, 1_000_000)
    if records.valueBytes > mostCopied {
      calls = max(1, min(calls, mostCopied / max(1, records.averageValue)))
    }
    var generator = BenchGenerator()
    let places = records.sizes.prefix(calls).map { Int(generator.next() % UInt64(count - $0 + 1)) }
    let measured = Measurement("copy", "copy a value in memory", .machine, calls: calls, rounds: rounds) {
      for index in 0..<calls { unsafe memcpy(target, source + places[index], records.sizes[index]) }
    }
    return measured
  }

  /// Writes a page and waits for the disk: by `fdatasync`, and by `msync` of a mapping.
  static func syncing(in directory: FilePath) throws(Failure) -> [Measurement] {
    do {
      let descriptor = try temporaryFile(in: directory)
      defer { try? descriptor.close() }
      var page = [UInt8](repeating: 1, count: pageBytes)
      try descriptor.writeAll(page)
      try sync(descriptor)
      let byFile = try Measurement(eachOf: "fdatasync", "fdatasync of a page", .machine, most: 1_000) {
        number in
        page[0] = UInt8(truncatingIfNeeded: number)
        _ = try descriptor.writeAll(toAbsoluteOffset: 0, page)
        try sync(descriptor)
      }
      let mapping = unsafe mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.rawValue, 0)
      guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else { throw Errno(rawValue: errno) }
      defer { unsafe munmap(mapping, pageBytes) }
      let byMapping = try Measurement(eachOf: "msync", "msync of a page", .machine, most: 1_000) { number in
        unsafe mapping.storeBytes(of: UInt8(truncatingIfNeeded: number), as: UInt8.self)
        if unsafe msync(mapping, pageBytes, MS_SYNC) != 0 { throw Errno(rawValue: errno) }
      }
      return [byFile, byMapping]
    } catch {
      throw Failure(.inputOutput, "cannot measure the disk of '\(directory)': \(error)")
    }
  }

  private static func sync(_ descriptor: FileDescriptor) throws {
    #if canImport(Darwin)
      // Here fsync leaves what it writes in the cache of the disk.
      let result = fcntl(descriptor.rawValue, F_FULLFSYNC)
    #else
      let result = fdatasync(descriptor.rawValue)
    #endif
    if result != 0 { throw Errno(rawValue: errno) }
  }

  /// A file without a name.
  private static func temporaryFile(in directory: FilePath) throws -> FileDescriptor {
    var path = Array(directory.appending(".kvmap-bench-XXXXXX").string.utf8CString)
    let descriptor = unsafe mkstemp(&path)
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    _ = unsafe unlink(path)
    return FileDescriptor(rawValue: descriptor)
  }

  /// The name of the directory's file system; nil if it is not one of the common ones.
  static func fileSystem(of directory: FilePath) -> String? {
    let number = unsafe kvmap_file_system_type(directory.string)
    return [
      0xEF53: "ext4", 0x5846_5342: "XFS", 0x9123_683E: "Btrfs", 0x0102_1994: "tmpfs",
      0x794C_7630: "overlayfs",
      0x2FC1_2FC1: "ZFS", 0xF2F5_2010: "F2FS", 0xCA45_1A4E: "bcachefs", 0x6573_5546: "FUSE",
    ][number]
  }
}
