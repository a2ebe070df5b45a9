import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// Writes the fixtures that are not there. This is no test: it runs only with
/// `KVMAP_WRITE_FIXTURES=1`, and replaces fixtures only with `KVMAP_REPLACE_FIXTURES=1` too.
/// Files of a released format are never replaced.
@Suite(
  "Writing fixtures", .serialized,
  .enabled(if: Environment.isSet("KVMAP_WRITE_FIXTURES")))
struct FixtureGenerator {
  private static let replaces = Environment.isSet("KVMAP_REPLACE_FIXTURES")

  private func isWanted(_ path: FilePath) -> Bool {
    if Self.replaces || !FileManager.default.fileExists(atPath: path.string) { return true }
    print("\(path) is there and stays; set KVMAP_REPLACE_FIXTURES=1 to replace it")
    return false
  }

  private func save(_ bytes: [UInt8], to path: FilePath) throws {
    try FileManager.default.createDirectory(
      atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
    try write(bytes, to: path)
  }

  @Test("Golden stores and their damages")
  func stores() async throws {
    let scratch = try Scratch()
    for golden in GoldenStore.all where isWanted(golden.image) {
      let path = scratch.path(golden.name)
      if golden.isKilled {
        await #expect(processExitsWith: .signal(SIGKILL)) {
          [path = path.string as String, name = golden.name as String] in
          try blocking {
            let golden = try #require(GoldenStore.all.first { $0.name == name })
            try golden.write(Store(path: path))
          }
        }
      } else {
        try blocking {
          let store = try Store(path)
          try golden.write(store)
          try store.close()
        }
      }
      try save(SparseImage(of: try contents(path)).encoded, to: golden.image)
    }
    guard isWanted(DamagedStore.list) else { return }
    let damages = DamagedStore.kinds(
      pairs: try restored(.pairs, in: scratch), largeValues: try restored(.largeValues, in: scratch))
    try save(Array(damages.map(\.line).joined().utf8), to: DamagedStore.list)
  }

  private func restored(_ golden: GoldenStore, in scratch: Scratch) throws -> [UInt8] {
    let path = scratch.path("\(golden.name).restored")
    try SparseImage(encoded: try contents(golden.image)).restore(to: path)
    return try contents(path)
  }

  @Test("Dumps by gdbm's own tool")
  func dumps() throws {
    let scratch = try Scratch()
    let database = try GDBMDatabase(scratch.path("names.gdbm"))
    for (key, value) in GoldenDump.records.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      _ = try database.store(value, forKey: key)
    }
    try database.close()
    for format in GDBMDatabase.DumpFormat.allCases where isWanted(GoldenDump.path(format)) {
      let run = try Tool.run(
        "/usr/bin/gdbm_dump", ["--format=\(format.rawValue)", "names.gdbm", "\(format.rawValue).dump"],
        in: scratch)
      try #require(run.status == 0, "\(run.errors)")
      try save(try contents(scratch.path("\(format.rawValue).dump")), to: GoldenDump.path(format))
    }
  }
}
