import CGDBM
import Foundation

/// gdbm, without syncs, its file mapped, and all buckets in its cache.
@safe
final class GDBMContender: Persistent, Deletes, Scans, Walks {
  static var about: About {
    About(
      name: "gdbm", version: "\(GDBM_VERSION_MAJOR).\(GDBM_VERSION_MINOR)",
      setup: "blocks of 4 KiB, all buckets cached; durable: `gdbm_sync` after each put",
      lacks: """
        checksums; readers beside a writer; transactions; a sound file after a kill or a power failure, durable \
        or not (a sync can tear)
        """)
  }

  private var file: GDBM_FILE?
  private let isDurable: Bool

  private static let blockBytes = Int32(4_096)
  private static let cachedBuckets = Int32(1 << 20)

  init(_ place: Place) throws {
    isDurable = place.isDurable
    let mode = Int32(place.access == .write ? GDBM_WRCREAT : GDBM_READER)
    unsafe file = unsafe gdbm_open(place.file, Self.blockBytes, mode, 0o644, nil)
    if unsafe file == nil { throw Self.failure("gdbm_open") }
    var buckets = Self.cachedBuckets
    let size = Int32(MemoryLayout<Int32>.size)
    guard unsafe gdbm_setopt(file, GDBM_SETCACHESIZE, &buckets, size) == 0 else {
      throw Self.failure("gdbm_setopt")
    }
  }

  func close() throws {
    guard unsafe gdbm_close(file) == 0 else { throw Self.failure("gdbm_close") }
    unsafe file = nil
  }

  func put(_ key: [UInt8], _ value: [UInt8]) throws {
    let status = unsafe key.withUnsafeBytes { key in
      unsafe value.withUnsafeBytes { value in
        unsafe gdbm_store(file, Self.datum(key), Self.datum(value), GDBM_REPLACE)
      }
    }
    if status != 0 { throw Self.failure("gdbm_store") }
    if isDurable, unsafe gdbm_sync(file) != 0 { throw Self.failure("gdbm_sync") }
  }

  func get(_ key: [UInt8]) throws -> UInt64? {
    let value = unsafe key.withUnsafeBytes { unsafe gdbm_fetch(file, Self.datum($0)) }
    guard let start = unsafe value.dptr else { return nil }
    defer { unsafe free(start) }
    return unsafe Bytes.checksum(Self.bytes(value))
  }

  func delete(_ key: [UInt8]) throws -> Bool {
    unsafe key.withUnsafeBytes { unsafe gdbm_delete(file, Self.datum($0)) } == 0
  }

  func scan() throws -> Tally { try walk() }

  func walk() throws -> Tally {
    try unsafe walk { key, tally in
      let value = unsafe gdbm_fetch(file, key)
      guard let start = unsafe value.dptr else { throw Self.failure("gdbm_fetch") }
      unsafe tally.add(key: Self.bytes(key), value: Self.bytes(value))
      unsafe free(start)
    }
  }

  func walkKeys() throws -> Tally { try unsafe walk { unsafe $1.add(key: Self.bytes($0)) } }

  private func walk(_ add: (datum, inout Tally) throws -> Void) throws -> Tally {
    var tally = Tally()
    var key = unsafe gdbm_firstkey(file)
    while let start = unsafe key.dptr {
      try unsafe add(key, &tally)
      let next = unsafe gdbm_nextkey(file, key)
      unsafe free(start)
      unsafe key = unsafe next
    }
    return tally
  }

  private static func datum(_ bytes: UnsafeRawBufferPointer) -> datum {
    let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    return unsafe CGDBM.datum(dptr: start?.assumingMemoryBound(to: CChar.self), dsize: Int32(bytes.count))
  }

  private static func bytes(_ datum: datum) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: datum.dptr, count: Int(datum.dsize))
  }

  private static func failure(_ call: String) -> Wrong {
    Wrong("\(call): \(unsafe String(cString: gdbm_strerror(unsafe gdbm_errno_location().pointee)))")
  }
}
