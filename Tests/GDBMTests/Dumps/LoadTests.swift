import KVMap
import SystemPackage
import TestSupport
import Testing

/// `kvmap load` has to understand what libgdbm dumps.
@Suite("Loading what gdbm dumps")
struct LoadTests {
  @Test("All records arrive", arguments: GDBMDatabase.DumpFormat.allCases, ["", "auto"])
  func loading(_ format: GDBMDatabase.DumpFormat, _ option: String) throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    try DumpRecords.fill(database, with: DumpRecords.all)
    try database.dump(format, to: scratch.path("source.dump"))
    let run = try Tool.kvmap(
      "load", "--format", option.isEmpty ? format.option : option, "loaded.kvmap", "source.dump", in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    let loaded = try storeContents(scratch.path("loaded.kvmap"))
    #expect(loaded.count == DumpRecords.all.count)
    #expect(loaded == (try database.contents()))
    #expect(try Store.verify(scratch.path("loaded.kvmap")).isSound)
    try database.close()
  }

  @Test("Standard input loads as well", arguments: GDBMDatabase.DumpFormat.allCases)
  func standardInput(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    try DumpRecords.fill(database, with: DumpRecords.all)
    try database.dump(format, to: scratch.path("source.dump"))
    let run = try Tool.kvmap("load", "loaded.kvmap", input: scratch.path("source.dump"), in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try storeContents(scratch.path("loaded.kvmap")) == DumpRecords.all)
  }

  /// A binary dump has none, since gdbm_dump fails with them.
  @Test("Empty keys and values of a text dump arrive, which gdbm's own load loses")
  func emptyOnes() throws {
    let scratch = try Scratch()
    let records = DumpRecords.empty.merging([[1]: [2], [3]: [4]]) { $1 }
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    try DumpRecords.fill(database, with: records)
    try database.dump(.ascii, to: scratch.path("source.dump"))
    let run = try Tool.kvmap("load", "loaded.kvmap", "source.dump", in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try storeContents(scratch.path("loaded.kvmap")) == records)
  }

  @Test("A text dump that was cut off, which gdbm takes for whole, is refused")
  func cutOff() throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    try DumpRecords.fill(database, with: DumpRecords.all)
    try database.dump(.ascii, to: scratch.path("source.dump"))
    let whole = try contents(scratch.path("source.dump"))
    for share in 1...9 {
      try write(Array(whole[..<(whole.count * share / 10)]), to: scratch.path("cut.dump"))
      let run = try Tool.kvmap("load", "loaded.kvmap", "cut.dump", in: scratch)
      #expect(run.status == 65, "cut at \(share)/10: \(run.errors)")
      #expect(try scratch.names == ["cut.dump", "source.dump", "source.gdbm"])
    }
  }

  @Test(
    "A store that is there keeps what the dump does not name", arguments: GDBMDatabase.DumpFormat.allCases)
  func intoExisting(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("source.gdbm"))
    let before: [[UInt8]: [UInt8]] = [[1]: [9], [200, 200]: [8]]
    try DumpRecords.fill(scratch.path("loaded.kvmap"), with: before)
    try DumpRecords.fill(database, with: DumpRecords.all)
    try database.dump(format, to: scratch.path("source.dump"))
    for (policy, right) in [
      ("skip", DumpRecords.all.merging(before) { $1 }), ("replace", before.merging(DumpRecords.all) { $1 }),
    ] {
      let run = try Tool.kvmap("load", "--on-conflict", policy, "loaded.kvmap", "source.dump", in: scratch)
      #expect(run.status == 0, "\(run.errors)")
      #expect(try storeContents(scratch.path("loaded.kvmap")) == right, "\(policy)")
    }
  }
}
