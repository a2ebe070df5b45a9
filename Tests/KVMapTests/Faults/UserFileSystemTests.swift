#if os(Linux)
  import Foundation
  import MappedMemory
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// File systems without hard links and without files that have no name.
  @Suite(.enabled(if: UserFileSystem.canMount))
  struct UserFileSystemTests {
    @Test(arguments: [UserFileSystem.Renaming.withoutReplacing, .onlyReplacing])
    func aStoreIsCreated(renaming: UserFileSystem.Renaming) throws {
      let disk = try UserFileSystem(renaming)
      let path = disk.directory.appending("store")
      do {
        let store = try Store(path)
        try store.put("value", forKey: "key")
        try store.checkpoint()
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk.source.string) == ["store"])
      let store = try Store(path)
      #expect(try store.get("key", as: String.self) == "value")
      try expectSound(store)
    }

    /// Every call that makes a store works here too, and leaves nothing else in the directory.
    @Test(arguments: [UserFileSystem.Renaming.withoutReplacing, .onlyReplacing])
    func copiesAreMade(renaming: UserFileSystem.Renaming) throws {
      let disk = try UserFileSystem(renaming)
      func path(_ name: String) -> FilePath { disk.directory.appending(name) }
      let contents = LostWrites.contents
      try Store.create(at: path("filled")) { store in
        for (key, value) in contents { try store.put(value, forKey: key) }
      }
      let store = try Store(path("filled"))
      try store.put("later", forKey: "later")
      let expected = contents.merging([bytes("later"): bytes("later")]) { $1 }
      try store.backup(to: path("backup"))
      try store.backup(to: path("shared"), sharesBlocks: true)
      try store.close()
      let report = try Store.salvage(from: path("filled"), into: path("salvaged"))
      #expect(report.isComplete)
      for name in ["filled", "backup", "shared", "salvaged"] {
        #expect(try Store(path(name)).everything() == expected, "\(name)")
        try expectSound(Store(path(name)), "\(name)")
      }
      // A file that is there is not replaced.
      #expect(code { try Store.create(at: path("backup")) { _ in } } == .cannotCreate)
      #expect(code { try Store(path("filled")).backup(to: path("backup")) } == .cannotCreate)
      // A creation that fails leaves nothing.
      #expect(throws: Errno.self) { try Store.create(at: path("none")) { _ in throw Errno.ioError } }
      let names = try FileManager.default.contentsOfDirectory(atPath: disk.source.string)
      #expect(names.sorted() == ["backup", "filled", "salvaged", "shared"])
    }

    /// One of two processes is faster, and both open its store.
    @Test(arguments: [UserFileSystem.Renaming.withoutReplacing, .onlyReplacing])
    func twoCreateAtOnce(renaming: UserFileSystem.Renaming) throws {
      let disk = try UserFileSystem(renaming)
      let rounds = 20
      let children = try ["left", "right"].map {
        try ChildProcess(.createTogether, [disk.directory.string, $0, "\(rounds)"])
      }
      for round in 0..<rounds {
        for child in children { try child.send(1) }
        for child in children { #expect(try child.receive() == 1, "round \(round)") }
        let store = try Store(disk.directory.appending("\(round)"))
        #expect(try store.everything() == [bytes("left"): bytes("left"), bytes("right"): bytes("right")])
        try expectSound(store)
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: disk.source.string)
      #expect(Set(names) == Set((0..<rounds).map(String.init)))
    }
  }
#endif
