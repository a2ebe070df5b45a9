#if Kyoto
  import CKyotoCabinet
  import Foundation

  /// Kyoto Cabinet's file hash database.
  @safe
  final class KyotoContender: Persistent, Deletes, ReadsInPlace, ReadsMany, HasTransactions, Scans, Walks {
    static var about: About {
      About(
        name: "Kyoto Cabinet", version: unsafe String(cString: benchmark_kyoto_version()),
        setup: """
          HashDB, `opts=l` (chains, no trees), two buckets a record, 256 MiB mapped (`msiz`); durable: a \
          transaction with hard sync
          """,
        lacks: """
          checksums; other processes beside a writer; a sound file after a kill or a power failure, unless \
          durable
          """)
    }

    private static let mappedBytes = 256 << 20

    private let database: UnsafeMutablePointer<KCDB>
    private let isDurable: Bool

    init(_ place: Place) throws {
      isDurable = place.isDurable
      unsafe database = unsafe kcdbnew()
      let name = "\(place.file).kch#opts=l#bnum=\(2 * place.records)#msiz=\(Self.mappedBytes)"
      let mode = place.access == .write ? KCOWRITER | KCOCREATE : KCOREADER
      guard unsafe kcdbopen(database, name, UInt32(mode)) != 0 else { throw failure("open") }
    }

    func close() throws {
      guard unsafe kcdbclose(database) != 0 else { throw failure("close") }
      unsafe kcdbdel(database)
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws {
      if isDurable { return try inTransaction { try set(key, value) } }
      try set(key, value)
    }

    func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws {
      try inTransaction { for (key, value) in zip(keys, values) { try set(key, value) } }
    }

    private func inTransaction(_ body: () throws -> Void) throws {
      guard unsafe kcdbbegintran(database, isDurable ? 1 : 0) != 0 else { throw failure("begin_transaction") }
      try body()
      guard unsafe kcdbendtran(database, 1) != 0 else { throw failure("end_transaction") }
    }

    private func set(_ key: [UInt8], _ value: [UInt8]) throws {
      let isDone = unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { value in
          unsafe kcdbset(database, Self.start(key), key.count, Self.start(value), value.count)
        }
      }
      guard isDone != 0 else { throw failure("set") }
    }

    func get(_ key: [UInt8]) throws -> UInt64? {
      var count = 0
      let value = unsafe key.withUnsafeBytes { unsafe kcdbget(database, Self.start($0), $0.count, &count) }
      guard let value = unsafe value else { return nil }
      defer { unsafe kcfree(value) }
      return unsafe Bytes.checksum(value, count)
    }

    func getInPlace(_ key: [UInt8]) throws -> UInt64? {
      var found: UInt64?
      let isDone = unsafe key.withUnsafeBytes { key in
        unsafe kcdbaccept(
          database, Self.start(key), key.count,
          { _, _, value, count, _, found in
            unsafe found!.assumingMemoryBound(to: UInt64?.self).pointee = unsafe Bytes.checksum(value, count)
            return unsafe benchmark_kyoto_no_change()
          }, { _, _, _, _ in unsafe benchmark_kyoto_no_change() }, &found, 0)
      }
      guard isDone != 0 else { throw failure("accept") }
      return found
    }

    func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws {
      let block = KeyBlock(keys)
      try unsafe block.withPointers { pointers in
        let names = unsafe pointers.map { key in
          unsafe KCSTR(buf: UnsafeMutablePointer(mutating: Self.start(key)), size: key.count)
        }
        try unsafe withUnsafeTemporaryAllocation(of: KCREC.self, capacity: names.count) { records in
          let count = unsafe kcdbgetbulk(database, names, names.count, records.baseAddress, 0)
          guard count >= 0 else { throw failure("get_bulk") }
          for index in 0..<Int(count) {
            let (key, value) = unsafe (records[index].key, records[index].value)
            unsafe tally.add(
              key: UnsafeRawBufferPointer(start: key.buf, count: key.size),
              value: UnsafeRawBufferPointer(start: value.buf, count: value.size))
            unsafe kcfree(key.buf)
            unsafe kcfree(value.buf)
          }
        }
      }
    }

    func delete(_ key: [UInt8]) throws -> Bool {
      unsafe key.withUnsafeBytes { unsafe kcdbremove(database, Self.start($0), $0.count) } != 0
    }

    func scan() throws -> Tally {
      var tally = Tally()
      let isDone = unsafe kcdbiterate(
        database,
        { key, keyCount, value, valueCount, _, tally in
          unsafe tally!.assumingMemoryBound(to: Tally.self).pointee.add(
            key: UnsafeRawBufferPointer(start: key, count: keyCount),
            value: UnsafeRawBufferPointer(start: value, count: valueCount))
          return unsafe benchmark_kyoto_no_change()
        }, &tally, 0)
      guard isDone != 0 else { throw failure("iterate") }
      return tally
    }

    func walkKeys() throws -> Tally {
      try unsafe walk { cursor, tally in
        var count = 0
        guard let key = unsafe kccurgetkey(cursor, &count, 1) else { return false }
        unsafe tally.add(key: UnsafeRawBufferPointer(start: key, count: count))
        unsafe kcfree(key)
        return true
      }
    }

    func walk() throws -> Tally {
      try unsafe walk { cursor, tally in
        var (keyCount, valueCount) = (0, 0)
        var value: UnsafePointer<CChar>? = nil
        // The value lies in the memory that `key` points to.
        guard let key = unsafe kccurget(cursor, &keyCount, &value, &valueCount, 1) else { return false }
        unsafe tally.add(
          key: UnsafeRawBufferPointer(start: key, count: keyCount),
          value: UnsafeRawBufferPointer(start: value, count: valueCount))
        unsafe kcfree(key)
        return true
      }
    }

    /// `add` moves the cursor on; it returns false at the end.
    private func walk(_ add: (UnsafeMutablePointer<KCCUR>?, inout Tally) -> Bool) throws -> Tally {
      var tally = Tally()
      let cursor = unsafe kcdbcursor(database)
      defer { unsafe kccurdel(cursor) }
      guard unsafe kccurjump(cursor) != 0 else { return tally }
      while unsafe add(cursor, &tally) {}
      return tally
    }

    private static func start(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<CChar>? {
      unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    }

    private func failure(_ call: String) -> Wrong {
      Wrong("Kyoto Cabinet, \(call): \(unsafe String(cString: kcdbemsg(database)))")
    }
  }
#endif
