#if TDB
  import CTDB
  import Foundation

  /// Samba's trivial database.
  @safe
  final class TDBContender: Persistent, Deletes, ReadsInPlace, HasTransactions, Scans, Walks {
    static var about: About {
      About(
        name: "TDB", version: "",
        setup: """
          one chain a record, the better hash (`TDB_INCOMPATIBLE_HASH`), `TDB_NOSYNC`, plain puts without a \
          transaction; durable: a transaction, synced
          """,
        lacks: "checksums; more than 4 GiB; a sound file after a kill or a power failure, unless durable"
      )
    }

    private let database: OpaquePointer
    private let isDurable: Bool

    init(_ place: Place) throws {
      isDurable = place.isDurable
      let flags = TDB_INCOMPATIBLE_HASH | (isDurable ? TDB_DEFAULT : TDB_NOSYNC)
      let mode = place.access == .write ? O_RDWR | O_CREAT : O_RDONLY
      let opened = unsafe tdb_open(place.file, Int32(place.records), flags, mode, 0o644)
      guard let opened = unsafe opened else { throw Wrong("tdb_open: errno \(errno)") }
      unsafe database = unsafe opened
    }

    func close() throws {
      guard unsafe tdb_close(database) == 0 else { throw Wrong("tdb_close failed") }
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws {
      if isDurable { return try inTransaction { try set(key, value) } }
      try set(key, value)
    }

    func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws {
      try inTransaction { for (key, value) in zip(keys, values) { try set(key, value) } }
    }

    private func inTransaction(_ body: () throws -> Void) throws {
      guard unsafe tdb_transaction_start(database) == 0 else { throw failure("transaction_start") }
      try body()
      guard unsafe tdb_transaction_commit(database) == 0 else { throw failure("transaction_commit") }
    }

    private func set(_ key: [UInt8], _ value: [UInt8]) throws {
      let status = unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { unsafe tdb_store(database, Self.data(key), Self.data($0), 0) }
      }
      guard status == 0 else { throw failure("store") }
    }

    func get(_ key: [UInt8]) throws -> UInt64? {
      let value = unsafe key.withUnsafeBytes { unsafe tdb_fetch(database, Self.data($0)) }
      guard let start = unsafe value.dptr else { return nil }
      defer { unsafe free(start) }
      return unsafe Bytes.checksum(Self.bytes(value))
    }

    func getInPlace(_ key: [UInt8]) throws -> UInt64? {
      var found: UInt64?
      _ = unsafe key.withUnsafeBytes { key in
        unsafe tdb_parse_record(
          database, Self.data(key),
          { _, value, found in
            unsafe found!.assumingMemoryBound(to: UInt64?.self).pointee =
              unsafe Bytes.checksum(value.dptr, value.dsize)
            return 0
          }, &found)
      }
      return found
    }

    func delete(_ key: [UInt8]) throws -> Bool {
      unsafe key.withUnsafeBytes { unsafe tdb_delete(database, Self.data($0)) } == 0
    }

    func scan() throws -> Tally {
      var tally = Tally()
      let count = unsafe tdb_traverse_read(
        database,
        { _, key, value, tally in
          unsafe tally!.assumingMemoryBound(to: Tally.self).pointee.add(
            key: UnsafeRawBufferPointer(start: key.dptr, count: key.dsize),
            value: UnsafeRawBufferPointer(start: value.dptr, count: value.dsize))
          return 0
        }, &tally)
      guard count >= 0 else { throw failure("traverse_read") }
      return tally
    }

    func walkKeys() throws -> Tally { try unsafe walk { unsafe $1.add(key: Self.bytes($0)) } }

    func walk() throws -> Tally {
      try unsafe walk { key, tally in
        let value = unsafe tdb_fetch(database, key)
        guard let start = unsafe value.dptr else { throw failure("fetch") }
        unsafe tally.add(key: Self.bytes(key), value: Self.bytes(value))
        unsafe free(start)
      }
    }

    private func walk(_ add: (TDB_DATA, inout Tally) throws -> Void) throws -> Tally {
      var tally = Tally()
      var key = unsafe tdb_firstkey(database)
      while let start = unsafe key.dptr {
        try unsafe add(key, &tally)
        let next = unsafe tdb_nextkey(database, key)
        unsafe free(start)
        unsafe key = unsafe next
      }
      return tally
    }

    private static func data(_ bytes: UnsafeRawBufferPointer) -> TDB_DATA {
      let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
      return unsafe TDB_DATA(dptr: start?.assumingMemoryBound(to: UInt8.self), dsize: bytes.count)
    }

    private static func bytes(_ data: TDB_DATA) -> UnsafeRawBufferPointer {
      unsafe UnsafeRawBufferPointer(start: data.dptr, count: data.dsize)
    }

    private func failure(_ call: String) -> Wrong {
      Wrong("tdb_\(call): \(unsafe String(cString: tdb_errorstr(database)))")
    }
  }
#endif
