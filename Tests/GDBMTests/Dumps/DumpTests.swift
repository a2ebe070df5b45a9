import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// libgdbm has to understand what `kvmap dump` writes.
@Suite("Dumping for gdbm")
struct DumpTests {
  @Test("All records arrive", arguments: GDBMDatabase.DumpFormat.allCases)
  func dumping(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    try DumpRecords.fill(scratch.path("source.kvmap"), with: DumpRecords.all)
    let run = try Tool.kvmap("dump", "--format", format.option, "source.kvmap", in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    try write(run.output, to: scratch.path("source.dump"))
    let database = try GDBMDatabase(
      loading: scratch.path("source.dump"), into: scratch.path("loaded.gdbm"))
    #expect(try database.count() == DumpRecords.all.count)
    #expect(try database.contents() == DumpRecords.all)
    try database.close()
    let again = try GDBMDatabase(scratch.path("loaded.gdbm"))
    #expect(try again.contents() == DumpRecords.all, "after close and reopen")
    try again.close()
  }

  @Test("The text is that of gdbm_dump, but for header and order")
  func sameText() throws {
    let scratch = try Scratch()
    try DumpRecords.fill(scratch.path("source.kvmap"), with: DumpRecords.all)
    let run = try Tool.kvmap("dump", "--format", "gdbm", "source.kvmap", in: scratch)
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    try DumpRecords.fill(database, with: DumpRecords.all)
    try database.dump(.ascii, to: scratch.path("gdbm.dump"))
    try database.close()
    let (written, right) = (Self.records(run.output), Self.records(try contents(scratch.path("gdbm.dump"))))
    #expect(right.count == DumpRecords.all.count)
    #expect(written == right)
    #expect(Self.end(run.output) == Self.end(try contents(scratch.path("gdbm.dump"))))
  }

  /// The text of each key and value of a dump, sorted.
  private static func records(_ dump: [UInt8]) -> [String] {
    let text = String(decoding: dump, as: UTF8.self)
    let data = text.components(separatedBy: "#:len=").dropFirst().map {
      $0.components(separatedBy: "#:count")[0]
    }
    return stride(from: 0, to: data.count - 1, by: 2).map { "\(data[$0]) \(data[$0 + 1])" }.sorted()
  }

  /// What follows the records of a dump.
  private static func end(_ dump: [UInt8]) -> String {
    String(decoding: dump, as: UTF8.self).components(separatedBy: "#:count").last ?? ""
  }

  @Test("A dump through gdbm and back changes nothing", arguments: GDBMDatabase.DumpFormat.allCases)
  func thereAndBack(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    try DumpRecords.fill(scratch.path("source.kvmap"), with: DumpRecords.all)
    let run = try Tool.kvmap("dump", "--format", format.option, "source.kvmap", in: scratch)
    try write(run.output, to: scratch.path("first.dump"))
    let database = try GDBMDatabase(loading: scratch.path("first.dump"), into: scratch.path("middle.gdbm"))
    try database.dump(format, to: scratch.path("second.dump"))
    try database.close()
    let load = try Tool.kvmap("load", "back.kvmap", "second.dump", in: scratch)
    #expect(load.status == 0, "\(load.errors)")
    #expect(try storeContents(scratch.path("back.kvmap")) == storeContents(scratch.path("source.kvmap")))
  }

  @Test("An empty store becomes an empty database", arguments: GDBMDatabase.DumpFormat.allCases)
  func emptyStore(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    try DumpRecords.fill(scratch.path("source.kvmap"), with: [:])
    let run = try Tool.kvmap("dump", "--format", format.option, "source.kvmap", in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    try write(run.output, to: scratch.path("source.dump"))
    let database = try GDBMDatabase(
      loading: scratch.path("source.dump"), into: scratch.path("loaded.gdbm"))
    #expect(try database.count() == 0)
    try database.close()
  }

  @Test(
    "Empty keys and values, which gdbm_load cannot read, are refused, or left out with a message",
    arguments: GDBMDatabase.DumpFormat.allCases)
  func emptyOnes(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let fit: [[UInt8]: [UInt8]] = [[1]: [2], [3]: [4]]
    for (key, value) in DumpRecords.empty {
      let store = scratch.path("source\(key.count).kvmap")
      try DumpRecords.fill(store, with: fit.merging([key: value]) { $1 })
      let refusal = try Tool.kvmap("dump", "--format", format.option, store.string, in: scratch)
      #expect(refusal.status == 2)
      #expect(refusal.errors.contains(key.isEmpty ? "an empty key" : "an empty value"), "\(refusal.errors)")
      #expect(refusal.errors.contains("--skip-unfit"), "\(refusal.errors)")

      let run = try Tool.kvmap("dump", "--skip-unfit", "--format", format.option, store.string, in: scratch)
      #expect(run.status == 0, "\(run.errors)")
      #expect(run.errors.contains("left out 1 record"), "\(run.errors)")
      try write(run.output, to: scratch.path("source.dump"))
      let database = try GDBMDatabase(
        loading: scratch.path("source.dump"), into: scratch.path("loaded.gdbm"))
      #expect(try database.contents() == fit)
      try database.close()
    }
  }

  @Test("Expired records are not dumped", arguments: GDBMDatabase.DumpFormat.allCases)
  func expired(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let store = try Store(scratch.path("source.kvmap"))
    try store.put("gone", forKey: "expired", expires: .at(millisecondsSince1970: 1))
    try store.put("here", forKey: "lasting", expires: .at(millisecondsSince1970: .max))
    try store.close()
    let run = try Tool.kvmap("dump", "--format", format.option, "source.kvmap", in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    try write(run.output, to: scratch.path("source.dump"))
    let database = try GDBMDatabase(
      loading: scratch.path("source.dump"), into: scratch.path("loaded.gdbm"))
    #expect(try database.contents() == [Array("lasting".utf8): Array("here".utf8)])
    try database.close()
  }
}
