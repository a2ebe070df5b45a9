import SystemPackage

/// Dumps that gdbm's own tool wrote.
enum GoldenDump {
  static func path(_ format: GDBMDatabase.DumpFormat) -> FilePath {
    Fixtures.dumps.appending("names.\(format.rawValue).dump")
  }

  /// 300 real records, and keys and values that are hard for dump formats.
  static let records: [[UInt8]: [UInt8]] = {
    var records = GoldenStore.first(300)
    for byte in UInt8.min...UInt8.max { records[[byte]] = [byte, 0, 10, 13, byte] }
    for length in 55...60 {
      records[[UInt8](repeating: 0xff, count: length)] = [UInt8](repeating: 0, count: length)
    }
    for text in ["#:len=1\n", "#:count=1", "# End of data", "!\r\n! GDBM", "\r\n", "\n", "a\tb", "naïve 🐘"] {
      records[Array(text.utf8)] = Array(text.utf8)
    }
    return records
  }()
}
