import KVMap
import SystemPackage
import TestSupport

/// Records that are hard for dump formats.
enum DumpRecords {
  /// Every byte, every length around the ends of Base64 lines and groups, the longest key, a
  /// large value, and texts that look like parts of a dump.
  static let all: [[UInt8]: [UInt8]] = {
    var generator = SeededGenerator(seed: 1)
    var records: [[UInt8]: [UInt8]] = [:]
    for byte in UInt8.min...UInt8.max { records[[byte]] = [byte, 0, byte] }
    for length in 1...240 { records[generator.bytes(length)] = generator.bytes(241 - length) }
    records[generator.bytes(65_536)] = [1]
    records[[2]] = generator.bytes(100_000)
    for text in ["#:len=3", "#:count=7\n", "# End of data\n", "!\r\n", "\r\n", "\u{0}\u{0}\u{0}\u{1}"] {
      records[Array(text.utf8)] = Array(text.utf8)
    }
    return records
  }()

  /// What gdbm's own dumps lose.
  static let empty: [[UInt8]: [UInt8]] = [[]: Array("value of the empty key".utf8), Array("empty".utf8): []]

  static func fill(_ store: FilePath, with records: [[UInt8]: [UInt8]]) throws {
    let store = try Store(store)
    try store.transaction { transaction in
      for (key, value) in records { try transaction.put(value, forKey: key) }
    }
    try store.close()
  }

  static func fill(_ database: GDBMDatabase, with records: [[UInt8]: [UInt8]]) throws {
    for (key, value) in records { _ = try database.store(value, forKey: key) }
  }
}

extension GDBMDatabase {
  func contents() throws -> [[UInt8]: [UInt8]] {
    var records: [[UInt8]: [UInt8]] = [:]
    try forEach { records[$0] = $1 }
    return records
  }
}

extension GDBMDatabase.DumpFormat {
  /// The format's name for `kvmap dump` and `kvmap load`.
  var option: String { self == .ascii ? "gdbm" : "gdbm-binary" }
}

/// The store's contents after it is opened again.
func storeContents(_ path: FilePath) throws -> [[UInt8]: [UInt8]] {
  let store = try Store(path, options: Store.Options(access: .readOnly))
  let records = try store.contents()
  try store.close()
  return records
}
