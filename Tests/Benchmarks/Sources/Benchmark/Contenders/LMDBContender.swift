#if LMDB
  import CLMDB
  import Foundation

  /// LMDB with a transaction for each call.
  @safe
  final class LMDBContender: Persistent, Deletes, ReadsInPlace, ReadsMany, HasTransactions, Scans, Walks {
    static var about: About {
      About(
        name: "LMDB",
        version: unsafe String(cString: mdb_version(nil, nil, nil)).split(separator: " ")[1].filter {
          $0 != ":"
        },
        setup: """
          ordered; one put a transaction, `MDB_NOSYNC` and `MDB_WRITEMAP`, a map of 8 GiB or four times the \
          records, a read transaction renewed for each get; durable: neither flag
          """,
        lacks: "checksums; a sound file after a power failure, unless durable")
    }

    private static let leastMapBytes = 8 << 30

    private var environment: OpaquePointer?
    private var reader: OpaquePointer?
    private var database: MDB_dbi = 0

    init(_ place: Place) throws {
      try unsafe Self.check(mdb_env_create(&environment), "env_create")
      let mapBytes = max(Self.leastMapBytes, 4 * place.records * place.recordBytes)
      try unsafe Self.check(mdb_env_set_mapsize(environment, mapBytes), "env_set_mapsize")
      var flags = MDB_NOSUBDIR
      if !place.isDurable { flags |= MDB_NOSYNC | MDB_WRITEMAP }
      if place.access == .read { flags |= MDB_RDONLY }
      try unsafe Self.check(mdb_env_open(environment, place.file, UInt32(flags), 0o644), "env_open")
      var transaction: OpaquePointer?
      let access = UInt32(place.access == .read ? MDB_RDONLY : 0)
      try unsafe Self.check(mdb_txn_begin(environment, nil, access, &transaction), "txn_begin")
      try unsafe Self.check(mdb_dbi_open(transaction, nil, 0, &database), "dbi_open")
      try unsafe Self.check(mdb_txn_commit(transaction), "txn_commit")
      try unsafe Self.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &reader), "txn_begin")
      unsafe mdb_txn_reset(reader)
    }

    func close() {
      unsafe mdb_txn_abort(reader)
      unsafe mdb_env_close(environment)
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws {
      try unsafe writing { try unsafe set($0, key, value) }
    }

    func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws {
      try unsafe writing { for (key, value) in zip(keys, values) { try unsafe set($0, key, value) } }
    }

    func delete(_ key: [UInt8]) throws -> Bool {
      var status: Int32 = 0
      try unsafe writing { transaction in
        status = unsafe key.withUnsafeBytes { key in
          var key = unsafe Self.value(key)
          return unsafe mdb_del(transaction, database, &key, nil)
        }
      }
      return status == 0
    }

    func get(_ key: [UInt8]) throws -> UInt64? {
      try unsafe reading { unsafe find($0, key).map { unsafe Bytes.checksumOfCopy($0) } }
    }

    func getInPlace(_ key: [UInt8]) throws -> UInt64? {
      try unsafe reading { unsafe find($0, key).map { unsafe Bytes.checksum($0) } }
    }

    func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws {
      try unsafe reading { transaction in
        for key in keys {
          if let value = unsafe find(transaction, key) {
            unsafe key.withUnsafeBytes { unsafe tally.add(key: $0, value: value) }
          }
        }
      }
    }

    func scan() throws -> Tally { try walk() }

    func walk() throws -> Tally {
      try unsafe walk { unsafe $2.add(key: Self.bytes($0), value: Self.bytes($1)) }
    }

    func walkKeys() throws -> Tally { try unsafe walk { unsafe $2.add(key: Self.bytes($0)) } }

    private func walk(_ add: (MDB_val, MDB_val, inout Tally) -> Void) throws -> Tally {
      var tally = Tally()
      try unsafe reading { transaction in
        var cursor: OpaquePointer?
        try unsafe Self.check(mdb_cursor_open(transaction, database, &cursor), "cursor_open")
        defer { unsafe mdb_cursor_close(cursor) }
        var (key, value) = unsafe (MDB_val(), MDB_val())
        while unsafe mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 { unsafe add(key, value, &tally) }
      }
      return tally
    }

    // MARK: Transactions

    private func writing(_ body: (OpaquePointer?) throws -> Void) throws {
      var transaction: OpaquePointer?
      try unsafe Self.check(mdb_txn_begin(environment, nil, 0, &transaction), "txn_begin")
      try unsafe body(transaction)
      try unsafe Self.check(mdb_txn_commit(transaction), "txn_commit")
    }

    private func reading<R>(_ body: (OpaquePointer?) throws -> R) throws -> R {
      try unsafe Self.check(mdb_txn_renew(reader), "txn_renew")
      defer { unsafe mdb_txn_reset(reader) }
      return try unsafe body(reader)
    }

    private func set(_ transaction: OpaquePointer?, _ key: [UInt8], _ value: [UInt8]) throws {
      let status = unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { value in
          var (key, value) = unsafe (Self.value(key), Self.value(value))
          return unsafe mdb_put(transaction, database, &key, &value, 0)
        }
      }
      try Self.check(status, "put")
    }

    private func find(_ transaction: OpaquePointer?, _ key: [UInt8]) -> UnsafeRawBufferPointer? {
      unsafe key.withUnsafeBytes { key in
        var (key, value) = unsafe (Self.value(key), MDB_val())
        guard unsafe mdb_get(transaction, database, &key, &value) == 0 else { return nil }
        return unsafe Self.bytes(value)
      }
    }

    private static func value(_ bytes: UnsafeRawBufferPointer) -> MDB_val {
      unsafe MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    private static func bytes(_ value: MDB_val) -> UnsafeRawBufferPointer {
      unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    private static func check(_ status: Int32, _ call: String) throws {
      if status != 0 { throw Wrong("mdb_\(call): \(unsafe String(cString: mdb_strerror(status)))") }
    }
  }
#endif
