import CGDBM
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A refusal of the gdbm library.
struct GDBMError: Error, CustomStringConvertible {
  let operation: String
  let code: Int32

  var description: String {
    "\(operation): \(unsafe String(cString: gdbm_strerror(code)))"
  }
}

/// A database of the gdbm library, open for writing.
@safe
final class GDBMDatabase {
  private var file: GDBM_FILE?

  /// Opens the database at `path`, or creates it unless the flags say otherwise.
  init(_ path: FilePath, flags: Int32 = GDBM_WRCREAT) throws {
    unsafe file = unsafe gdbm_open(path.string, 0, flags, 0o644, nil)
    if unsafe file == nil { throw Self.lastError("gdbm_open of \(path)") }
  }

  /// Makes a database at `path` from a dump, as `gdbm_load` does.
  init(loading dump: FilePath, into path: FilePath) throws {
    var line: UInt = 0
    unsafe file = unsafe gdbm_open(path.string, 0, GDBM_NEWDB, 0o644, nil)
    if unsafe file == nil { throw Self.lastError("gdbm_open of \(path)") }
    // Setting the dump's owner and mode needs rights that a test may not have.
    let mask = GDBM_META_MASK_MODE | GDBM_META_MASK_OWNER
    guard unsafe gdbm_load(&file, dump.string, GDBM_REPLACE, mask, &line) == 0 else {
      throw Self.lastError("gdbm_load of \(dump), line \(line)")
    }
  }

  deinit { if unsafe file != nil { _ = unsafe gdbm_close(file) } }

  func close() throws {
    let closing = unsafe file
    unsafe file = nil
    guard unsafe gdbm_close(closing) == 0 else { throw Self.lastError("gdbm_close") }
  }

  // MARK: Records

  func fetch(_ key: [UInt8]) throws -> [UInt8]? {
    let found = unsafe withDatum(key) { unsafe gdbm_fetch(file, $0) }
    guard let value = unsafe take(found) else {
      try checkNotFound("gdbm_fetch")
      return nil
    }
    return value
  }

  func exists(_ key: [UInt8]) throws -> Bool {
    if unsafe withDatum(key, { unsafe gdbm_exists(file, $0) }) != 0 { return true }
    // "Not found" leaves the error number 0.
    if unsafe gdbm_errno_location().pointee != 0 { try checkNotFound("gdbm_exists") }
    return false
  }

  /// False if the key is there and `replacing` is false.
  func store(_ value: [UInt8], forKey key: [UInt8], replacing: Bool = true) throws -> Bool {
    let status = unsafe withDatum(key) { key in
      unsafe withDatum(value) { value in
        unsafe gdbm_store(file, key, value, replacing ? GDBM_REPLACE : GDBM_INSERT)
      }
    }
    if status < 0 { throw error("gdbm_store") }
    return status == 0
  }

  /// False if the key was not there.
  func delete(_ key: [UInt8]) throws -> Bool {
    if unsafe withDatum(key, { unsafe gdbm_delete(file, $0) }) == 0 { return true }
    try checkNotFound("gdbm_delete")
    return false
  }

  func count() throws -> Int {
    var count: gdbm_count_t = 0
    guard unsafe gdbm_count(file, &count) == 0 else { throw error("gdbm_count") }
    return Int(count)
  }

  func sync() throws {
    guard unsafe gdbm_sync(file) == 0 else { throw error("gdbm_sync") }
  }

  // MARK: After a crash

  /// Whether the library says that the database has to be repaired.
  var needsRecovery: Bool { unsafe gdbm_needs_recovery(file) != 0 }

  /// Repairs it as far as the library can.
  func recover() throws {
    guard unsafe gdbm_recover(file, nil, GDBM_RCVR_DEFAULT) == 0 else { throw error("gdbm_recover") }
  }

  /// Lets the library keep two snapshots of the file, of which one is whole at any instant: what
  /// it calls crash tolerance. Needs a file system that can share blocks.
  func keepSnapshots(_ even: FilePath, _ odd: FilePath) throws {
    guard unsafe gdbm_failure_atomic(file, even.string, odd.string) == 0 else {
      throw error("gdbm_failure_atomic")
    }
  }

  // MARK: All records

  /// Calls `body` with each key and value.
  func forEach(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
    var next = unsafe take(gdbm_firstkey(file))
    while let key = next {
      guard let value = try fetch(key) else { throw GDBMError(operation: "a key of the scan", code: 15) }
      try body(key, value)
      next = unsafe withDatum(key) { unsafe take(gdbm_nextkey(file, $0)) }
    }
    try checkNotFound("gdbm_nextkey")
  }

  // MARK: Dumps

  enum DumpFormat: String, CaseIterable, Sendable {
    case ascii
    case binary
  }

  /// Writes all records to a new file, as `gdbm_dump` does.
  func dump(_ format: DumpFormat, to path: FilePath) throws {
    let number = format == .ascii ? GDBM_DUMP_FMT_ASCII : GDBM_DUMP_FMT_BINARY
    guard unsafe gdbm_dump(file, path.string, number, GDBM_NEWDB, 0o644) == 0 else {
      throw error("gdbm_dump")
    }
  }

  // MARK: Memory and errors

  /// The library takes a null pointer for an error, even if the size is 0.
  private func withDatum<R>(_ bytes: [UInt8], _ body: (datum) throws -> R) rethrows -> R {
    var place = bytes.isEmpty ? [0] : bytes
    return try unsafe place.withUnsafeMutableBytes {
      let start = unsafe $0.baseAddress?.assumingMemoryBound(to: CChar.self)
      return try unsafe body(datum(dptr: start, dsize: Int32(bytes.count)))
    }
  }

  /// Copies and frees what the library allocated; nil if there is nothing.
  private func take(_ found: datum) -> [UInt8]? {
    guard let start = unsafe found.dptr else { return nil }
    defer { unsafe free(start) }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: Int(found.dsize)))
  }

  private func error(_ operation: String) -> GDBMError {
    GDBMError(operation: operation, code: unsafe gdbm_last_errno(file))
  }

  /// Throws if nothing was found for another reason than that there is nothing.
  private func checkNotFound(_ operation: String) throws {
    let error = Self.lastError(operation)
    if error.code != Int32(GDBM_ITEM_NOT_FOUND) { throw error }
  }

  private static func lastError(_ operation: String) -> GDBMError {
    GDBMError(operation: operation, code: unsafe gdbm_errno_location().pointee)
  }
}
