import KVMap

/// KVMap. Its two subclasses differ in who else may write.
class StoreContender: Persistent, Deletes, ReadsInPlace, ReadsMany, HasTransactions, Scans, Walks {
  class var about: About { fatalError("a subclass says that") }
  class var isExclusive: Bool { false }

  private let store: Store

  required init(_ place: Place) throws {
    let options = Store.Options(
      access: place.access == .write ? .readWrite : .readOnly,
      durability: place.isDurable ? .onCommit : .none, exclusive: Self.isExclusive && place.access == .write)
    store = try Store(path: place.file, options: options)
  }

  final func close() throws { try store.close() }

  final func put(_ key: [UInt8], _ value: [UInt8]) throws { try store.put(value, forKey: key) }

  final func get(_ key: [UInt8]) throws -> UInt64? { try store.get(key).map { Bytes.checksum($0) } }

  final func getInPlace(_ key: [UInt8]) throws -> UInt64? {
    try store.withValue(forKey: key) { value in unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) } }
  }

  final func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws {
    try store.withValues(forKeys: keys) { number, value in
      unsafe keys[number].withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { unsafe tally.add(key: key, value: $0) }
      }
    }
  }

  final func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws {
    try store.put(contentsOf: zip(keys, values))
  }

  final func delete(_ key: [UInt8]) throws -> Bool { try store.remove(key) }

  final func scan() throws -> Tally {
    var tally = Tally()
    try store.forEach { key, value in
      unsafe key.withUnsafeBytes { key in
        unsafe value.withUnsafeBytes { unsafe tally.add(key: key, value: $0) }
      }
    }
    return tally
  }

  final func walkKeys() throws -> Tally {
    var tally = Tally()
    var cursor = store.makeCursor()
    while let key = try cursor.nextKey() { tally.add(key: key) }
    return tally
  }

  final func walk() throws -> Tally {
    var tally = Tally()
    var cursor = store.makeCursor()
    while let entry = try cursor.next() { tally.add(key: entry.key, value: entry.value) }
    return tally
  }
}

/// Other processes may write between any two calls.
final class SharedStore: StoreContender {
  override class var about: About {
    About(
      name: "KVMap", version: "",
      setup: "the default",
      lacks: "the latest puts after a power failure, unless durable")
  }
}

/// Holds the write lock until it is closed.
final class ExclusiveStore: StoreContender {
  override class var isExclusive: Bool { true }
  override class var about: About {
    About(name: "KVMap alone", version: "", setup: "`exclusive`", lacks: "as KVMap; others can only read")
  }
}
