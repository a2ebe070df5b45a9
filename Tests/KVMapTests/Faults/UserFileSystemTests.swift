#if os(Linux)
  import Foundation
  import MappedMemory
  import SystemPackage
  import Testing

  @testable import KVMap

  /// File systems without hard links and files without a name, and writes that fail.
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
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk.behind.string) == ["store"])
      let store = try Store(path)
      #expect(try store.get("key", as: String.self) == "value")
      try expectSound(store)
    }
  }
#endif
