#if SQLite
  import CSQLite
  import Foundation

  /// SQLite as a table of keys and values.
  @safe
  final class SQLiteContender: Persistent, Deletes, ReadsInPlace, ReadsMany, HasTransactions, Scans, Walks {
    static var about: About {
      About(
        name: "SQLite", version: unsafe String(cString: sqlite3_libversion()),
        setup: """
          ordered; one `WITHOUT ROWID` table, prepared statements, WAL, `synchronous=OFF`, one put a \
          transaction, 64 MiB of page cache, 2 GiB mapped; durable: `synchronous=FULL`
          """,
        lacks: "checksums, except in its log; a sound file after a power failure, unless durable")
    }

    private var database: OpaquePointer?
    private var statements: [Statement: OpaquePointer] = unsafe [:]
    private let putting, getting, deleting: OpaquePointer?

    private enum Statement: String, CaseIterable {
      case put = "INSERT OR REPLACE INTO records VALUES (?, ?)"
      case get = "SELECT value FROM records WHERE key = ?"
      case delete = "DELETE FROM records WHERE key = ?"
      case walk = "SELECT key, value FROM records"
      case walkKeys = "SELECT key FROM records"
      case begin = "BEGIN"
      case commit = "COMMIT"
    }

    init(_ place: Place) throws {
      let flags =
        place.access == .write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY
      var opened: OpaquePointer?
      guard unsafe sqlite3_open_v2(place.file, &opened, flags, nil) == SQLITE_OK else {
        throw Wrong("sqlite3_open_v2 failed")
      }
      var commands = [
        "PRAGMA synchronous = \(place.isDurable ? "FULL" : "OFF")", "PRAGMA cache_size = -65536",
        "PRAGMA mmap_size = 2147418112",
      ]
      if place.access == .write {
        commands.insert("PRAGMA journal_mode = WAL", at: 0)
        commands.append("CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
      }
      for command in commands {
        guard unsafe sqlite3_exec(opened, command, nil, nil, nil) == SQLITE_OK else {
          throw Wrong("\(command): \(unsafe String(cString: sqlite3_errmsg(opened)))")
        }
      }
      for statement in Statement.allCases {
        var prepared: OpaquePointer?
        guard unsafe sqlite3_prepare_v2(opened, statement.rawValue, -1, &prepared, nil) == SQLITE_OK else {
          throw Wrong("\(statement.rawValue): \(unsafe String(cString: sqlite3_errmsg(opened)))")
        }
        unsafe statements[statement] = unsafe prepared
      }
      unsafe database = unsafe opened
      unsafe putting = unsafe statements[.put]
      unsafe getting = unsafe statements[.get]
      unsafe deleting = unsafe statements[.delete]
    }

    func close() throws {
      while let statement = unsafe sqlite3_next_stmt(database, nil) {
        unsafe sqlite3_finalize(statement)
      }
      try check(unsafe sqlite3_close(database), SQLITE_OK, "close")
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws {
      let status = unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { value in
          unsafe Self.bind(putting, 1, key)
          unsafe Self.bind(putting, 2, value)
          return unsafe Self.finish(putting)
        }
      }
      try check(status, SQLITE_DONE, "put")
    }

    func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws {
      try inTransaction { for (key, value) in zip(keys, values) { try put(key, value) } }
    }

    func delete(_ key: [UInt8]) throws -> Bool {
      let status = unsafe key.withUnsafeBytes { key in
        unsafe Self.bind(deleting, 1, key)
        return unsafe Self.finish(deleting)
      }
      try check(status, SQLITE_DONE, "delete")
      return unsafe sqlite3_changes(database) == 1
    }

    func get(_ key: [UInt8]) throws -> UInt64? { try unsafe find(key) { unsafe Bytes.checksumOfCopy($0) } }

    func getInPlace(_ key: [UInt8]) throws -> UInt64? { try unsafe find(key) { unsafe Bytes.checksum($0) } }

    func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws {
      try inTransaction {
        for key in keys {
          if let value = try unsafe find(key, { unsafe [UInt8]($0) }) { tally.add(key: key, value: value) }
        }
      }
    }

    func scan() throws -> Tally { try walk() }

    func walk() throws -> Tally {
      try unsafe walk(.walk) { unsafe $1.add(key: Self.column($0, 0), value: Self.column($0, 1)) }
    }

    func walkKeys() throws -> Tally { try unsafe walk(.walkKeys) { unsafe $1.add(key: Self.column($0, 0)) } }

    private func walk(_ statement: Statement, _ add: (OpaquePointer?, inout Tally) -> Void) throws -> Tally {
      var tally = Tally()
      let prepared = unsafe statements[statement]
      var status = unsafe sqlite3_step(prepared)
      while status == SQLITE_ROW {
        unsafe add(prepared, &tally)
        status = unsafe sqlite3_step(prepared)
      }
      unsafe sqlite3_reset(prepared)
      try check(status, SQLITE_DONE, "walk")
      return tally
    }

    // MARK: Statements

    private func inTransaction(_ body: () throws -> Void) throws {
      try check(unsafe Self.finish(statements[.begin]), SQLITE_DONE, "begin")
      try body()
      try check(unsafe Self.finish(statements[.commit]), SQLITE_DONE, "commit")
    }

    /// The value lies where it is only until `body` returns.
    private func find<R>(_ key: [UInt8], _ body: (UnsafeRawBufferPointer) -> R) throws -> R? {
      try unsafe key.withUnsafeBytes { key in
        unsafe Self.bind(getting, 1, key)
        let status = unsafe sqlite3_step(getting)
        defer { unsafe sqlite3_reset(getting) }
        if status == SQLITE_ROW { return unsafe body(Self.column(getting, 0)) }
        try check(status, SQLITE_DONE, "get")
        return nil
      }
    }

    /// The bytes must stay until the statement is finished.
    private static func bind(_ statement: OpaquePointer?, _ number: Int32, _ bytes: UnsafeRawBufferPointer) {
      _ = unsafe sqlite3_bind_blob(statement, number, bytes.baseAddress, Int32(bytes.count), nil)
    }

    private static func column(_ statement: OpaquePointer?, _ number: Int32) -> UnsafeRawBufferPointer {
      let start = unsafe sqlite3_column_blob(statement, number)
      return unsafe UnsafeRawBufferPointer(
        start: start, count: Int(sqlite3_column_bytes(statement, number)))
    }

    private static func finish(_ statement: OpaquePointer?) -> Int32 {
      let status = unsafe sqlite3_step(statement)
      _ = unsafe sqlite3_reset(statement)
      return status
    }

    private func check(_ status: Int32, _ right: Int32, _ call: String) throws {
      if status == right { return }
      throw Wrong("SQLite, \(call): \(unsafe String(cString: sqlite3_errmsg(database)))")
    }
  }
#endif
