import CGDBM
import Foundation
import KVMap

/// A store that is overwritten for a long time.
protocol Subject {
  mutating func put(_ key: [UInt8], _ value: [UInt8]) throws
  /// What the space is used for, as far as the store can tell.
  func parts() throws -> Parts
  mutating func close() throws
}

/// Bytes of a store by what they are for.
struct Parts {
  /// Live records and index.
  var records = 0, index = 0
  /// Log that holds no live record; space that may not be reused before a checkpoint; other free
  /// space that has not been punched.
  var garbage = 0, waiting = 0, spare = 0
}

struct KVMapSubject: Subject {
  let store: Store

  init(_ path: String, exclusive: Bool) throws {
    store = try Store(path: path, options: Store.Options(exclusive: exclusive))
  }

  @inline(__always)
  func put(_ key: [UInt8], _ value: [UInt8]) throws { try store.put(value, forKey: key) }

  func parts() throws -> Parts {
    let statistics = try store.statistics()
    return Parts(
      records: statistics.liveBytes, index: statistics.indexBytes, garbage: statistics.garbageBytes,
      waiting: statistics.freeAwaitingCheckpointBytes,
      spare: statistics.freeStoredBytes - statistics.freeAwaitingCheckpointBytes)
  }

  func close() throws { try store.close() }
}

@safe
struct GDBMSubject: Subject {
  private var file: GDBM_FILE?

  init(_ path: String) throws {
    unsafe file = unsafe gdbm_open(path, 4_096, GDBM_WRCREAT, 0o644, nil)
    var buckets = Int32(1 << 20)
    let size = Int32(MemoryLayout<Int32>.size)
    guard unsafe file != nil, unsafe gdbm_setopt(file, GDBM_SETCACHESIZE, &buckets, size) == 0 else {
      throw Failure("gdbm cannot be opened")
    }
  }

  func put(_ key: [UInt8], _ value: [UInt8]) throws {
    let status = unsafe key.withUnsafeBytes { key in
      unsafe value.withUnsafeBytes { value in
        unsafe gdbm_store(file, Self.datum(key), Self.datum(value), GDBM_REPLACE)
      }
    }
    if status != 0 { throw Failure("gdbm_store failed") }
  }

  private static func datum(_ bytes: UnsafeRawBufferPointer) -> datum {
    let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    return unsafe CGDBM.datum(dptr: start?.assumingMemoryBound(to: CChar.self), dsize: Int32(bytes.count))
  }

  func parts() throws -> Parts { Parts() }
  func close() throws { _ = unsafe gdbm_close(file) }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
