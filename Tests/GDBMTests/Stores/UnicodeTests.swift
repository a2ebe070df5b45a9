import KVMap
import SystemPackage
import TestSupport
import Testing

/// The same real data in KVMap and in gdbm.
@Suite("Names of Unicode")
struct UnicodeTests {
  @Test("The fixture has all names, each once")
  func source() {
    #expect(UnicodeNames.pairs.count == 34_924)
    #expect(UnicodeNames.dictionary.count == 34_924, "no key comes twice")
    #expect(UnicodeNames.dictionary[Array("1F418".utf8)] == Array("ELEPHANT".utf8))
  }

  @Test("Each key gives its value, in KVMap and gdbm, before and after reopening")
  func loading() throws {
    let scratch = try Scratch()
    let path = scratch.path("names.kvmap")
    var store = try Store(path)
    var database = try GDBMDatabase(scratch.path("names.gdbm"))
    for (key, value) in UnicodeNames.pairs {
      try #require(try store.put(value, forKey: key, if: .absent))
      try #require(try database.store(value, forKey: key, replacing: false))
    }
    try compare(store, database)
    try store.close()
    try database.close()

    store = try Store(path)
    database = try GDBMDatabase(scratch.path("names.gdbm"))
    try compare(store, database)
    #expect(try store.contents() == UnicodeNames.dictionary)
    #expect(try store.verify().isSound)
    try store.close()
    try database.close()
  }

  private func compare(_ store: Store, _ database: GDBMDatabase) throws {
    #expect(try store.count == UnicodeNames.pairs.count)
    #expect(try database.count() == UnicodeNames.pairs.count)
    for (key, value) in UnicodeNames.pairs {
      let (found, judged) = (try store.get(key), try database.fetch(key))
      if found != value || judged != value {
        throw Disagreement(
          "\(show(key)): KVMap has \(show(found)), gdbm \(show(judged)), right is \(show(value))")
      }
    }
    try database.forEach { key, value in
      guard try store.get(key) == value else {
        throw Disagreement("KVMap lacks \(show(key)), which gdbm has")
      }
    }
  }

  @Test("When half of the names are removed, the other half stays")
  func removingHalf() throws {
    let scratch = try Scratch()
    let path = scratch.path("names.kvmap")
    var store = try Store(path)
    try store.transaction { transaction in
      for (key, value) in UnicodeNames.pairs { try transaction.put(value, forKey: key) }
    }
    for (key, _) in UnicodeNames.pairs.enumerated().lazy.filter({ $0.offset % 2 == 0 }).map(\.element) {
      try #require(try store.remove(key))
    }
    try store.close()
    store = try Store(path)
    for (number, (key, value)) in UnicodeNames.pairs.enumerated() {
      let right = number % 2 == 0 ? nil : value
      let found = try store.get(key)
      if found != right { throw Disagreement("\(show(key)): \(show(found)), right is \(show(right))") }
    }
    #expect(try store.count == UnicodeNames.pairs.count / 2)
    #expect(try store.verify().isSound)
    try store.close()
  }
}
