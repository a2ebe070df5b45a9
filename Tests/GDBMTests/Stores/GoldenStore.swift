import KVMap
import SystemPackage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A store written by some version of this library. All later versions have to read it.
struct GoldenStore: CustomTestStringConvertible, Sendable {
  let name: String
  /// How it was made.
  let write: @Sendable (Store) throws -> Void
  /// What it must give for ever.
  let contents: @Sendable () -> [[UInt8]: [UInt8]]
  /// Whether its writer was killed before it closed the store.
  var isKilled = false
  /// The version of the format.
  private(set) var version = 1
  var testDescription: String { "\(name), version \(version)" }
  var image: FilePath { Fixtures.stores.appending("v\(version)").appending("\(name).image") }

  static let all = [1, 2].flatMap { version in
    [empty, pairs, largeValues, changes, killed, killedInTransaction].map { store in
      var store = store
      store.version = version
      return store
    }
  }

  static let empty = GoldenStore(name: "empty", write: { _ in }, contents: { [:] })

  /// 1,000 real records with a put for each, and a checkpoint.
  static let pairs = GoldenStore(name: "pairs") { store in
    for (key, value) in UnicodeNames.pairs.prefix(1_000) { try store.put(value, forKey: key) }
    try forceCheckpoint(store)
  } contents: {
    first(1_000)
  }

  /// Values on both sides of the length from which they have units of their own, the longest
  /// key, and an empty key and value.
  static let largeValues = GoldenStore(name: "large-values") { store in
    for (key, value) in large.sorted(by: { $0.value.count < $1.value.count }) {
      try store.put(value, forKey: key)
    }
    try forceCheckpoint(store)
  } contents: {
    large
  }

  /// Records that were overwritten, removed, made and undone in transactions, or have an expiry.
  static let changes = GoldenStore(name: "changes") { store in
    let pairs = UnicodeNames.pairs.prefix(300)
    for (key, value) in pairs { try store.put(Array(value.reversed()), forKey: key) }
    for (key, value) in pairs { try store.put(value, forKey: key) }
    try store.transaction { transaction in
      for (key, _) in pairs[100..<200] { try transaction.remove(key) }
      try transaction.put("made in a transaction", forKey: "transaction")
      try transaction.put("to be removed again", forKey: "short-lived")
      try transaction.remove("short-lived")
    }
    struct TakenBack: Error {}
    do {
      try store.transaction { transaction in
        for (key, _) in pairs[..<100] { try transaction.remove(key) }
        try transaction.put("never", forKey: "taken back")
        throw TakenBack()
      }
    } catch is TakenBack {}
    try store.put("gone since 1970", forKey: "expired", expires: .at(millisecondsSince1970: 1))
    try store.put(
      "until the year 9999", forKey: "lasting", expires: .at(millisecondsSince1970: 253_370_764_800_000))
    try store.sync()
  } contents: {
    var records = first(300)
    for (key, _) in UnicodeNames.pairs[100..<200] { records[key] = nil }
    records[Array("transaction".utf8)] = Array("made in a transaction".utf8)
    records[Array("lasting".utf8)] = Array("until the year 9999".utf8)
    return records
  }

  /// Its writer was killed after a sync and more puts.
  static let killed = GoldenStore(name: "killed") { store in
    for (key, value) in UnicodeNames.pairs.prefix(400) { try store.put(value, forKey: key) }
    try store.sync()
    for (key, value) in large { try store.put(value, forKey: key) }
    try store.remove("0041")
    kill(getpid(), SIGKILL)
  } contents: {
    first(400).merging(large) { $1 }.filter { $0.key != Array("0041".utf8) }
  } killed: {
    true
  }

  /// Its writer was killed inside a transaction, of which nothing may be seen.
  static let killedInTransaction = GoldenStore(name: "killed-in-transaction") { store in
    let pairs = UnicodeNames.pairs.prefix(50)
    for (key, value) in pairs { try store.put(value, forKey: key) }
    try store.transaction { transaction in
      for (key, _) in pairs { try transaction.remove(key) }
      for (key, value) in large { try transaction.put(value, forKey: key) }
      kill(getpid(), SIGKILL)
    }
  } contents: {
    first(50)
  } killed: {
    true
  }

  init(
    name: String, write: @escaping @Sendable (Store) throws -> Void,
    contents: @escaping @Sendable () -> [[UInt8]: [UInt8]], killed: () -> Bool = { false }
  ) {
    self.name = name
    self.write = write
    self.contents = contents
    isKilled = killed()
  }

  // MARK: Contents

  static func first(_ count: Int) -> [[UInt8]: [UInt8]] {
    .init(UnicodeNames.pairs.prefix(count).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
  }

  /// Mostly zeros, so that the fixture stays small.
  static let large: [[UInt8]: [UInt8]] = {
    var records: [[UInt8]: [UInt8]] = [:]
    for length in [65_535, 65_536, 65_537, 131_072, 200_000] {
      var value = [UInt8](repeating: 0, count: length)
      for index in stride(from: 0, to: length, by: 4_099) {
        value[index] = UInt8(truncatingIfNeeded: index / 7) | 1
      }
      value[length - 1] = 0xEE
      records[Array("\(length) bytes".utf8)] = value
    }
    records[[UInt8](repeating: 0, count: 65_536)] = Array("longest key".utf8)
    records[[]] = Array("empty key".utf8)
    records[Array("empty value".utf8)] = []
    return records
  }()

  /// Writes so much log that closing writes a checkpoint, under a key that is removed again.
  private static func forceCheckpoint(_ store: Store) throws {
    for _ in 0..<9 { try store.put([UInt8](repeating: 0, count: 60_000), forKey: "filler") }
    try store.remove("filler")
  }
}
