import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// Files with one damage: reading gives the right bytes or a clear error, and a refusal changes
/// no byte of the file.
@Suite("Damaged stores")
struct DamagedStoreTests {
  @Test("The list has all kinds of damage")
  func list() {
    #expect(DamagedStore.all.count == 20)
  }

  @Test("Reading", arguments: DamagedStore.all, [Store.Access.readOnly, .scratch, .readWrite])
  func reading(_ damaged: DamagedStore, _ access: Store.Access) throws {
    let scratch = try Scratch()
    let path = scratch.path(damaged.name)
    let bytes = try damaged.bytes()
    try write(bytes, to: path)
    let options = Store.Options(access: access, create: false)
    let store: Store
    do {
      store = try Store(path, options: options)
    } catch {
      guard let code = damaged.outcome.refusal(access) else { throw error }
      #expect(error.code.rawValue == code, "\(error)")
      #expect(error.message.contains(path.string), "the message names the file: \(error)")
      #expect(try data(path) == bytes, "a refusal changes nothing")
      return
    }
    if damaged.outcome.refusal(access) != nil {
      Issue.record("it was opened")
    } else {
      try checkRecords(store, damaged)
    }
    try store.close()
    if access != .readWrite { #expect(try data(path) == bytes) }
  }

  private func checkRecords(_ store: Store, _ damaged: DamagedStore) throws {
    let right = damaged.right
    var (sound, lost) = (0, 0)
    for (key, value) in right {
      do {
        let found = try store.get(key)
        #expect(found == value, "\(show(key))")
        sound += 1
      } catch {
        #expect(error.code == .damaged, "\(error)")
        lost += 1
      }
    }
    switch damaged.outcome {
    case .whole, .readable, .refused: #expect(lost == 0)
    case .unreadable: #expect(sound == 0)
    case .partly:
      #expect(lost > 0, "the damage was not noticed")
      #expect(sound >= right.count / 2, "\(lost) of \(right.count) are unreadable")
    }
    try checkCursor(store, damaged, expectedErrors: lost)
  }

  /// A cursor goes on after what it cannot read, and gives nothing wrong.
  private func checkCursor(_ store: Store, _ damaged: DamagedStore, expectedErrors: Int) throws {
    let right = damaged.right
    var cursor = store.makeCursor()
    var errors = 0
    var met: Set<[UInt8]> = []
    while errors <= right.count {
      do {
        guard let entry = try cursor.next() else { break }
        #expect(right[entry.key] == entry.value)
        #expect(met.insert(entry.key).inserted)
      } catch {
        #expect(error.code == .damaged, "\(error)")
        errors += 1
      }
    }
    #expect((errors > 0) == (expectedErrors > 0))
    #expect(met.count >= right.count - expectedErrors)
  }

  @Test("Verification names the damage and changes nothing", arguments: DamagedStore.all)
  func verifying(_ damaged: DamagedStore) throws {
    let scratch = try Scratch()
    let path = scratch.path(damaged.name)
    let bytes = try damaged.bytes()
    try write(bytes, to: path)
    do {
      let report = try Store.verify(path)
      // Opening repairs one bad superblock.
      #expect(report.isSound == damaged.name.contains(/superblock-[ab]/))
      #expect(report.isSound == !report.repairs.isEmpty)
    } catch {
      #expect(damaged.outcome == .refused(error.code.rawValue), "\(error)")
    }
    #expect(try data(path) == bytes)
  }

  @Test(
    "Opening for writing repairs one bad superblock", arguments: ["superblock-a", "superblock-b"])
  func superblockRepair(_ name: String) throws {
    let scratch = try Scratch()
    let damaged = try #require(DamagedStore.all.first { $0.name == name })
    let path = scratch.path(name)
    try write(try damaged.bytes(), to: path)
    let store = try Store(path)
    try store.put("new", forKey: "new")
    try store.close()
    #expect(try Store.verify(path).isSound)
  }

  @Test(
    "Files of others are refused and left alone", arguments: [Store.Access.readOnly, .scratch, .readWrite])
  func foreign(_ access: Store.Access) throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("database.gdbm"))
    _ = try database.store([1], forKey: [1])
    try database.close()
    var files: [FilePath: Data] = [:]
    files[scratch.path("database.gdbm")] = try data(scratch.path("database.gdbm"))
    files[scratch.path("zeros")] = Data(count: 1 << 20)
    files[scratch.path("text")] = try data(Fixtures.folder.appending("unicode-names.tsv"))
    let options = Store.Options(access: access)
    for (path, bytes) in files {
      try write(bytes, to: path)
      let error = try #require(throws: Store.Error.self) { _ = try Store(path, options: options) }
      #expect(error.code == .notAStore, "\(path): \(error)")
      #expect(try data(path) == bytes, "\(path)")
    }
  }
}

extension DamagedStore.Outcome {
  /// The code of the error with which opening is refused.
  fileprivate func refusal(_ access: Store.Access) -> String? {
    switch self {
    case .refused(let code): code
    case .readable: access == .readWrite ? "damaged" : nil
    case .whole, .partly, .unreadable: nil
    }
  }
}
