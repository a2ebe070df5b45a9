import CGDBM
import Foundation

/// gdbm, without syncs, its file mapped, and all buckets in its cache.
@safe
struct GDBMContender: Contender {
  static let name = "gdbm"
  private var file: GDBM_FILE?

  private static let blockBytes = Int32(4_096)
  private static let cachedBuckets = Int32(1 << 20)

  init(_ path: String) throws {
    unsafe file = unsafe gdbm_open(path, Self.blockBytes, GDBM_WRCREAT, 0o644, nil)
    if unsafe file == nil { throw Self.failure("gdbm_open") }
    var buckets = Self.cachedBuckets
    let size = Int32(MemoryLayout<Int32>.size)
    guard unsafe gdbm_setopt(file, GDBM_SETCACHESIZE, &buckets, size) == 0 else {
      throw Self.failure("gdbm_setopt")
    }
  }

  mutating func close() throws {
    guard unsafe gdbm_close(file) == 0 else { throw Self.failure("gdbm_close") }
    unsafe file = nil
  }

  @inline(__always)
  func put(_ key: [UInt8], _ value: [UInt8]) throws {
    let status = unsafe key.withUnsafeBytes { key in
      unsafe value.withUnsafeBytes { value in
        unsafe gdbm_store(file, Self.datum(key), Self.datum(value), GDBM_REPLACE)
      }
    }
    if status != 0 { throw Self.failure("gdbm_store") }
  }

  @inline(__always)
  func get(_ key: [UInt8]) throws -> UInt64? {
    let value = unsafe key.withUnsafeBytes { unsafe gdbm_fetch(file, Self.datum($0)) }
    guard let start = unsafe value.dptr else { return nil }
    defer { unsafe free(start) }
    return unsafe Bytes.checksum(UnsafeRawBufferPointer(start: start, count: Int(value.dsize)))
  }

  @inline(__always)
  func delete(_ key: [UInt8]) throws -> Bool {
    unsafe key.withUnsafeBytes { unsafe gdbm_delete(file, Self.datum($0)) } == 0
  }

  func scan() throws -> (count: Int, sum: UInt64) {
    var (count, sum) = (0, UInt64(0))
    var key = unsafe gdbm_firstkey(file)
    while let start = unsafe key.dptr {
      let value = unsafe gdbm_fetch(file, key)
      if let bytes = unsafe value.dptr {
        sum &+= unsafe Bytes.checksum(UnsafeRawBufferPointer(start: bytes, count: Int(value.dsize)))
        unsafe free(bytes)
      }
      count += 1
      let next = unsafe gdbm_nextkey(file, key)
      unsafe free(start)
      unsafe key = unsafe next
    }
    return (count, sum)
  }

  /// What its manual offers; power lost during the sync may still tear the file.
  func putDurably(_ key: [UInt8], _ value: [UInt8]) throws {
    try put(key, value)
    guard unsafe gdbm_sync(file) == 0 else { throw Self.failure("gdbm_sync") }
  }

  @inline(__always)
  private static func datum(_ bytes: UnsafeRawBufferPointer) -> datum {
    let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    return unsafe CGDBM.datum(dptr: start?.assumingMemoryBound(to: CChar.self), dsize: Int32(bytes.count))
  }

  private static func failure(_ call: String) -> Wrong {
    Wrong("\(call): \(unsafe String(cString: gdbm_strerror(unsafe gdbm_errno_location().pointee)))")
  }
}
