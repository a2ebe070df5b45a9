import KVMap
import SystemPackage
import TestSupport
import Testing

/// Dumps by gdbm_dump of gdbm 1.23.
@Suite("Old dumps of gdbm")
struct GoldenDumpTests {
  @Test("They load into a store", arguments: GDBMDatabase.DumpFormat.allCases)
  func loading(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let run = try Tool.kvmap("load", "loaded.kvmap", GoldenDump.path(format).string, in: scratch)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try storeContents(scratch.path("loaded.kvmap")) == GoldenDump.records)
  }

  @Test("They load into gdbm", arguments: GDBMDatabase.DumpFormat.allCases)
  func loadingIntoGDBM(_ format: GDBMDatabase.DumpFormat) throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(
      loading: GoldenDump.path(format), into: scratch.path("loaded.gdbm"))
    #expect(try database.contents() == GoldenDump.records)
    try database.close()
  }
}
