#if Tkrzw
  import CTkrzw
  import Foundation

  /// Tkrzw's HashDBM, which overwrites in place.
  @safe
  final class TkrzwContender: Persistent, Deletes, ReadsInPlace, ReadsMany, Scans, Walks {
    static var about: About {
      About(
        name: "Tkrzw", version: unsafe String(cString: benchmark_tkrzw_version()),
        setup: "HashDBM, two buckets a record, updates in place; durable: `Synchronize(hard)` after each put",
        lacks: """
          checksums (it can have them); other processes beside a writer; transactions; a sound file after a \
          kill or a power failure, durable or not (a sync can tear)
          """)
    }

    private let handle: UnsafeMutablePointer<TkrzwDBM>
    private let isDurable: Bool

    init(_ place: Place) throws {
      isDurable = place.isDurable
      let options = "dbm=HashDBM,num_buckets=\(2 * place.records)"
      let opened = unsafe tkrzw_dbm_open(place.file, place.access == .write, options)
      guard let opened = unsafe opened else { throw Self.failure("open") }
      unsafe handle = unsafe opened
    }

    func close() throws {
      guard unsafe tkrzw_dbm_close(handle) else { throw Self.failure("close") }
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws {
      let isDone = unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { value in
          unsafe tkrzw_dbm_set(
            handle, Self.start(key), Int32(key.count), Self.start(value), Int32(value.count), true)
        }
      }
      guard isDone else { throw Self.failure("set") }
      if isDurable {
        let isSynced = unsafe tkrzw_dbm_synchronize(handle, true, nil, nil, "")
        guard isSynced else { throw Self.failure("synchronize") }
      }
    }

    func get(_ key: [UInt8]) throws -> UInt64? {
      var count: Int32 = 0
      let value = unsafe key.withUnsafeBytes {
        unsafe tkrzw_dbm_get(handle, Self.start($0), Int32($0.count), &count)
      }
      guard let value = unsafe value else { return nil }
      defer { unsafe free(value) }
      return unsafe Bytes.checksum(value, Int(count))
    }

    func getInPlace(_ key: [UInt8]) throws -> UInt64? {
      var found: UInt64?
      _ = unsafe key.withUnsafeBytes { key in
        unsafe tkrzw_dbm_process(
          handle, Self.start(key), Int32(key.count),
          { found, _, _, value, count, _ in
            if let value = unsafe value {
              unsafe found!.assumingMemoryBound(to: UInt64?.self).pointee = unsafe Bytes.checksum(
                value, Int(count))
            }
            return unsafe benchmark_tkrzw_no_change()
          }, &found, false)
      }
      return found
    }

    func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws {
      let block = KeyBlock(keys)
      unsafe block.withPointers { pointers in
        let names = unsafe pointers.map { key in
          unsafe TkrzwStr(ptr: Self.start(key), size: Int32(key.count))
        }
        var count: Int32 = 0
        let pairs = unsafe tkrzw_dbm_get_multi(handle, names, Int32(names.count), &count)
        guard let pairs = unsafe pairs else { return }
        for index in 0..<Int(count) {
          let pair = unsafe pairs[index]
          unsafe tally.add(
            key: UnsafeRawBufferPointer(start: pair.key_ptr, count: Int(pair.key_size)),
            value: UnsafeRawBufferPointer(start: pair.value_ptr, count: Int(pair.value_size)))
        }
        unsafe tkrzw_free_str_map(pairs, count)
      }
    }

    func delete(_ key: [UInt8]) throws -> Bool {
      unsafe key.withUnsafeBytes { unsafe tkrzw_dbm_remove(handle, Self.start($0), Int32($0.count)) }
    }

    func scan() throws -> Tally {
      var tally = Tally()
      let isDone = unsafe tkrzw_dbm_process_each(
        handle,
        { tally, key, keyCount, value, valueCount, _ in
          // Before the first record and after the last it is called with neither key nor value.
          if let key = unsafe key, let value = unsafe value {
            unsafe tally!.assumingMemoryBound(to: Tally.self).pointee.add(
              key: UnsafeRawBufferPointer(start: key, count: Int(keyCount)),
              value: UnsafeRawBufferPointer(start: value, count: Int(valueCount)))
          }
          return unsafe benchmark_tkrzw_no_change()
        }, &tally, false)
      guard isDone else { throw Self.failure("process_each") }
      return tally
    }

    func walkKeys() throws -> Tally {
      try unsafe walk { iterator, tally in
        var count: Int32 = 0
        guard let key = unsafe tkrzw_dbm_iter_get_key(iterator, &count) else { return false }
        unsafe tally.add(key: UnsafeRawBufferPointer(start: key, count: Int(count)))
        unsafe free(key)
        return true
      }
    }

    func walk() throws -> Tally {
      try unsafe walk { iterator, tally in
        var (key, value): (UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<CChar>?) = (nil, nil)
        var (keyCount, valueCount): (Int32, Int32) = (0, 0)
        guard unsafe tkrzw_dbm_iter_get(iterator, &key, &keyCount, &value, &valueCount) else { return false }
        unsafe tally.add(
          key: UnsafeRawBufferPointer(start: key, count: Int(keyCount)),
          value: UnsafeRawBufferPointer(start: value, count: Int(valueCount)))
        unsafe free(key)
        unsafe free(value)
        return true
      }
    }

    /// `add` returns false at the end.
    private func walk(_ add: (UnsafeMutablePointer<TkrzwDBMIter>?, inout Tally) -> Bool) throws -> Tally {
      var tally = Tally()
      let iterator = unsafe tkrzw_dbm_make_iterator(handle)
      defer { unsafe tkrzw_dbm_iter_free(iterator) }
      guard unsafe tkrzw_dbm_iter_first(iterator) else { return tally }
      while unsafe add(iterator, &tally) { _ = unsafe tkrzw_dbm_iter_next(iterator) }
      return tally
    }

    private static func start(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<CChar>? {
      unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    }

    private static func failure(_ call: String) -> Wrong {
      Wrong("Tkrzw, \(call): \(unsafe String(cString: tkrzw_get_last_status_message()))")
    }
  }
#endif
