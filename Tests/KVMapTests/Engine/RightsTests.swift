#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// Files and directories with limited permissions. The superuser passes them, so each test
  /// runs in a process that becomes an ordinary user.
  @Suite(.timeLimit(.minutes(5)))
  struct RightsTests {
    private static let nobody: UInt32 = 65_534

    /// Gives `scratch` to an ordinary user and makes this process that user's.
    private static func becomeOrdinary(_ scratch: Scratch) throws {
      if geteuid() != 0 { return }
      try #require(unsafe chown(scratch.directory.string, nobody, nobody) == 0)
      for name in try scratch.names {
        try #require(unsafe chown(scratch.path(name).string, nobody, nobody) == 0)
      }
      try #require(unsafe setgroups(0, nil) == 0 && setgid(nobody) == 0 && setuid(nobody) == 0)
    }

    private static func mode(_ path: FilePath) throws -> mode_t { try status(path).st_mode & 0o7777 }

    private static func status(_ path: FilePath) throws -> stat {
      var status = stat()
      try #require(unsafe lstat(path.string, &status) == 0)
      return status
    }

    private static func expectRefused(
      _ expected: Store.Error.Code, _ path: FilePath, sourceLocation: SourceLocation = #_sourceLocation,
      _ body: () throws -> Void
    ) {
      let error = #expect(throws: Store.Error.self, sourceLocation: sourceLocation) { try body() }
      #expect(error?.code == expected, sourceLocation: sourceLocation)
      #expect(error?.message.contains(path.string) == true, sourceLocation: sourceLocation)
      #expect(error?.message.contains("permissions forbid it") == true, sourceLocation: sourceLocation)
    }

    @Test func directories() async {
      await #expect(processExitsWith: .success) {
        try blocking {
          let scratch = try Scratch()
          for name in ["locked", "closed"] {
            try FileManager.default.createDirectory(
              atPath: scratch.path(name).string, withIntermediateDirectories: false)
            try scratch.store("\(name)/there").close()
            if geteuid() == 0 {
              #expect(unsafe chown(scratch.path("\(name)/there").string, Self.nobody, Self.nobody) == 0)
            }
          }
          try Self.becomeOrdinary(scratch)
          #expect(unsafe chmod(scratch.path("locked").string, 0o555) == 0)
          #expect(unsafe chmod(scratch.path("closed").string, 0) == 0)
          let source = try scratch.store("source")
          try source.put("value", forKey: "key")
          for name in ["locked/new", "closed/new", "closed/there"] {
            let path = scratch.path(name)
            let isLocked = name.hasPrefix("locked")
            Self.expectRefused(
              isLocked ? .cannotCreate : .permissionDenied, scratch.path(isLocked ? "locked" : name)
            ) {
              _ = try Store(path)
            }
            Self.expectRefused(.cannotCreate, scratch.path(isLocked ? "locked" : name)) {
              try source.backup(to: path)
            }
            Self.expectRefused(.cannotCreate, scratch.path(isLocked ? "locked" : name)) {
              _ = try Store.salvage(from: scratch.path("source"), into: path)
            }
            let found = code { try scratch.store(name) { $0.access = .readOnly } }
            #expect(found == (isLocked ? .notFound : .permissionDenied))
          }
          // A store makes no other file beside its own.
          let store = try scratch.store("locked/there")
          for number in 0..<500 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
          try store.compact()
          try expectSound(store)
          try store.close()
          #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.path("locked").string) == ["there"])
          #expect(unsafe chmod(scratch.path("closed").string, 0o755) == 0)
          #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.path("closed").string) == ["there"])
        }
      }
    }

    /// POSIX lets the process that creates a file write to it, whatever its mode.
    @Test(arguments: [0o400, 0, 0o044, 0o200] as [UInt16], [0, 0o777, 0o277] as [UInt16])
    func theCreatorOfAFileMayWriteToIt(mode: UInt16, mask: UInt16) async {
      await #expect(processExitsWith: .success) { [mode = mode as UInt16, mask = mask as UInt16] in
        try blocking {
          let scratch = try Scratch()
          try Self.becomeOrdinary(scratch)
          umask(mode_t(mask))
          let options = Store.Options(mode: mode)
          let wanted = mode_t(mode & ~mask)
          let store = try Store(scratch.path(), options: options)
          #expect(try Self.mode(scratch.path()) == wanted)
          for number in 0..<500 { try store.put(patterned(1_000, UInt64(number)), forKey: "key \(number)") }
          try store.checkpoint()
          try store.backup(to: scratch.path("copy"), options: options)
          #expect(try Self.mode(scratch.path("copy")) == wanted)
          try expectOpens()
          try store.close()
          func expectOpens() throws {
            let isReadable = wanted & 0o400 != 0
            Self.expectRefused(.permissionDenied, scratch.path()) { _ = try scratch.store() }
            for access in [Store.Access.readOnly, .scratch] {
              if isReadable {
                let reader = try scratch.store { $0.access = access }
                #expect(try reader.get("key 499") == patterned(1_000, 499))
                #expect(try reader.count == 500)
                try reader.close()
              } else {
                Self.expectRefused(.permissionDenied, scratch.path()) {
                  _ = try scratch.store { $0.access = access }
                }
              }
            }
          }
          try expectOpens()
          #expect(try scratch.names == ["copy", "store"])
          for name in ["store", "copy"] {
            #expect(try Self.mode(scratch.path(name)) == wanted)
            #expect(unsafe chmod(scratch.path(name).string, 0o600) == 0)
            try expectSound(scratch.store(name))
            #expect(try scratch.store(name).count == 500)
          }
        }
      }
    }

    // MARK: Empty files

    /// An empty file, as `mktemp` makes it, becomes a store.
    @Test func anEmptyFileKeepsItsOwnerAndMode() throws {
      let scratch = try Scratch()
      for (name, mode) in [("store", 0o600), ("backup", 0o640), ("salvage", 0o606)] as [(String, mode_t)] {
        let path = scratch.path(name)
        try write(Data(), to: path)
        #expect(unsafe chmod(path.string, mode) == 0)
        if geteuid() == 0 { #expect(unsafe chown(path.string, Self.nobody, Self.nobody) == 0) }
        let before = try Self.status(path)
        switch name {
        case "store": try scratch.store().put("value", forKey: "key")
        case "backup": try scratch.store().backup(to: path)
        default: _ = try Store.salvage(from: scratch.path(), into: path)
        }
        let after = try Self.status(path)
        #expect(after.st_ino == before.st_ino && after.st_mode == before.st_mode, "\(name)")
        #expect(after.st_uid == before.st_uid && after.st_gid == before.st_gid, "\(name)")
        #expect(try scratch.store(name).get("key", as: String.self) == "value")
      }
      #expect(try scratch.names == ["backup", "salvage", "store"])
    }

    /// An ordinary user makes a store of it in a directory where no file can be made.
    @Test func anEmptyFileIsAllThatIsNeeded() async {
      await #expect(processExitsWith: .success) {
        try blocking {
          let scratch = try Scratch()
          try write(Data(), to: scratch.path())
          try Self.becomeOrdinary(scratch)
          #expect(unsafe chmod(scratch.directory.string, 0o555) == 0)
          defer { _ = unsafe chmod(scratch.directory.string, 0o755) }
          let store = try scratch.store()
          try store.put("value", forKey: "key")
          try expectSound(store)
          #expect(try scratch.names == ["store"])
        }
      }
    }

    @Test func twoProcessesMakeOneStoreOfAnEmptyFile() throws {
      let scratch = try Scratch.inMemory()
      let rounds = 150
      var identifiers: [UInt64] = []
      for round in 0..<rounds {
        // Every third store has no file yet.
        if round % 3 != 2 { try write(Data(), to: scratch.path("\(round)")) }
        identifiers.append(round % 3 != 2 ? UInt64(try Self.status(scratch.path("\(round)")).st_ino) : 0)
      }
      let children = try (0..<2).map { _ in try ChildProcess(.openTogether, [scratch.directory.string]) }
      for child in children { #expect(try child.receive() != nil) }
      for round in 0..<rounds {
        for child in children { try child.send(1) }
        for child in children { try #require(try child.receive() == 1, "round \(round)") }
      }
      for child in children {
        try child.endInput()
        #expect(child.wait() == 0)
      }
      for round in 0..<rounds {
        let store = try scratch.store("\(round)") { $0.create = false }
        #expect(try store.get("sum", as: String.self) == "2", "round \(round)")
        try expectSound(store, "round \(round)")
        if identifiers[round] != 0 {
          #expect(UInt64(try Self.status(scratch.path("\(round)")).st_ino) == identifiers[round])
        }
      }
      #expect(try scratch.names.count == rounds)
    }
  }
#endif
