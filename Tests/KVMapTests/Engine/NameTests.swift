#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// Paths that are links, or too long, or name something other than a regular file.
  @Suite(.timeLimit(.minutes(5)))
  struct NameTests {
    private static func isSymbolicLink(_ path: FilePath) -> Bool {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: path.string)) != nil
    }

    private static func link(_ path: FilePath, to target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: path.string, withDestinationPath: target)
    }

    // MARK: Links

    /// Also a chain of relative and absolute links that ends where there is no file yet.
    @Test func symbolicLinksAreFollowed() throws {
      let scratch = try Scratch()
      let files = FileManager.default
      try files.createDirectory(atPath: scratch.path("sub").string, withIntermediateDirectories: false)
      try Self.link(scratch.path("third"), to: "sub/second")
      try Self.link(scratch.path("sub/second"), to: scratch.path("first").string)
      try Self.link(scratch.path("first"), to: "sub/store")
      #expect(code { try scratch.store("third") { $0.access = .readOnly } } == .notFound)
      #expect(code { try scratch.store("third") { $0.create = false } } == .notFound)
      let store = try scratch.store("third")
      try store.put("value", forKey: "key")
      #expect(try scratch.names == ["first", "sub", "third"])
      #expect(
        try files.contentsOfDirectory(atPath: scratch.path("sub").string).sorted() == ["second", "store"])
      for name in ["first", "sub/second", "third"] { #expect(Self.isSymbolicLink(scratch.path(name))) }
      for name in ["sub/store", "first", "sub/second", "third"] {
        let other = try scratch.store(name)
        #expect(try other.get("key", as: String.self) == "value")
        try other.put(name, forKey: "name")
        #expect(try store.get("name", as: String.self) == name)
        try other.close()
      }
      // A copy is made where the link points.
      for (number, name) in ["backup", "salvage"].enumerated() {
        try Self.link(scratch.path("\(name) link"), to: "sub/\(name)")
        if number == 0 {
          try store.backup(to: scratch.path("\(name) link"))
        } else {
          _ = try Store.salvage(from: scratch.path("third"), into: scratch.path("\(name) link"))
        }
        #expect(Self.isSymbolicLink(scratch.path("\(name) link")))
        #expect(!Self.isSymbolicLink(scratch.path("sub/\(name)")))
        #expect(try scratch.store("sub/\(name)").count == 2)
        // It is refused if a file is there.
        #expect(code { try store.backup(to: scratch.path("\(name) link")) } == .cannotCreate)
      }
      try expectSound(store)
    }

    @Test func linksInCirclesAreAnError() throws {
      let scratch = try Scratch()
      try scratch.store("store").close()
      try Self.link(scratch.path("a"), to: "b")
      try Self.link(scratch.path("b"), to: "c")
      try Self.link(scratch.path("c"), to: "a")
      try Self.link(scratch.path("self"), to: "self")
      for name in ["a", "self", "self/store"] {
        func expectError(_ expected: Store.Error.Code, _ body: () throws -> Void) {
          let error = #expect(throws: Store.Error.self) { try body() }
          #expect(error?.code == expected, "\(name)")
          #expect(error?.message.contains(scratch.path(name).string) == true, "\(name)")
          #expect(error?.message.contains("symbolic links go in circles") == true, "\(name)")
        }
        expectError(.cannotCreate) { _ = try scratch.store(name) }
        expectError(.system) { _ = try scratch.store(name) { $0.create = false } }
        expectError(.system) { _ = try scratch.store(name) { $0.access = .readOnly } }
        expectError(.cannotCreate) { try scratch.store("store").backup(to: scratch.path(name)) }
        expectError(.cannotCreate) {
          _ = try Store.salvage(from: scratch.path("store"), into: scratch.path(name))
        }
      }
      #expect(try scratch.names == ["a", "b", "c", "self", "store"])
    }

    /// Another process increments a value through the other name.
    @Test func hardLinksAreOneStore() throws {
      let scratch = try Scratch()
      let store = try scratch.store()
      try FileManager.default.linkItem(atPath: scratch.path().string, toPath: scratch.path("link").string)
      let other = try ChildProcess(.count, [scratch.path("link").string])
      #expect(try other.receive() != nil)
      for number in 1...50 {
        try store.put("\(number)", forKey: "here")
        try other.send(1)
        #expect(try other.receive() != nil)
        #expect(try store.get("key", as: String.self) == "\(number)")
      }
      try other.endInput()
      #expect(other.wait() == 0)
      let exclusive = try scratch.store("link") { $0.exclusive = true }
      #expect(code { try scratch.store { $0.timeout = .zero }.put("x", forKey: "x") } == .busy)
      try exclusive.close()
      try expectSound(store)
      // The store stays when one of its names is removed.
      try store.close()
      try File.remove(scratch.path())
      #expect(try scratch.store("link").get("here", as: String.self) == "50")
    }

    // MARK: Lengths

    /// The limit is in bytes. It holds also where a new file has a hidden name for a while.
    @Test(arguments: ["n", "ä", "€", "😀"], [false, true])
    func theLongestNames(character: String, hasHiddenName: Bool) async {
      await #expect(processExitsWith: .success) {
        [character = character as String, hasHiddenName = hasHiddenName as Bool] in
        try blocking {
          let scratch = try Scratch.inMemory()
          var name = String(repeating: character, count: 255 / character.utf8.count)
          name += String(repeating: "n", count: 255 - name.utf8.count)
          let fault = Fault([.openUnnamed], nth: hasHiddenName ? 1 : .max, as: .notSupported)
          let store = try fault.during { try scratch.store(name) }
          #expect(fault.hasStruck == hasHiddenName)
          try store.put("value", forKey: "key")
          try store.close()
          #expect(try scratch.store(name) { $0.access = .readOnly }.get("key", as: String.self) == "value")
          let copy = "c" + name.dropLast(1)
          try scratch.store(name).backup(to: scratch.path(copy))
          #expect(try scratch.names.count == 2)
          #expect(try scratch.store(copy).count == 1)
          let tooLong = [name + "n", String(repeating: name + "/", count: 17) + "store"]
          for path in tooLong.map(scratch.path) {
            func expectError(_ expected: Store.Error.Code, _ body: () throws -> Void) {
              let error = #expect(throws: Store.Error.self) { try body() }
              #expect(error?.code == expected)
              #expect(error?.message.contains("Use a shorter name") == true, "\(error?.message ?? "")")
            }
            expectError(.cannotCreate) { _ = try Store(path) }
            expectError(.system) { _ = try Store(path, options: Store.Options(access: .readOnly)) }
            expectError(.cannotCreate) { try scratch.store(name).backup(to: path) }
            expectError(.cannotCreate) { _ = try Store.salvage(from: scratch.path(name), into: path) }
          }
          #expect(try scratch.names.count == 2)
        }
      }
    }

    // MARK: What is no regular file

    @Test func whatCanHoldNoStoreIsRefused() throws {
      let scratch = try Scratch()
      try scratch.store("store").close()
      try FileManager.default.createDirectory(
        atPath: scratch.path("directory").string, withIntermediateDirectories: false)
      #expect(unsafe mkfifo(scratch.path("pipe").string, 0o600) == 0)
      #expect(unsafe mknod(scratch.path("socket").string, S_IFSOCK | 0o600, 0) == 0)
      let own = ["directory", "pipe", "socket"]
      for name in own { try Self.link(scratch.path("to \(name)"), to: name) }
      let names = try scratch.names
      let paths =
        (own + own.map { "to \($0)" }).map(scratch.path) + [
          "/dev/null", "/dev/full", "/dev/zero",
        ]
      for path in paths {
        for access in [Store.Access.readWrite, .readOnly, .scratch] {
          let options = Store.Options(access: access)
          let error = #expect(throws: Store.Error.self) { try Store(path, options: options) }
          #expect(error?.code == .notAStore, "\(path) \(access)")
          #expect(error?.message.contains(path.string) == true)
        }
        #expect(code { try Store.salvage(from: path, into: scratch.path("new")) } == .notAStore, "\(path)")
        #expect(code { try scratch.store("store").backup(to: path) } == .cannotCreate, "\(path)")
        #expect(
          code { try Store.salvage(from: scratch.path("store"), into: path) } == .cannotCreate, "\(path)")
      }
      #expect(try scratch.names == names)
    }
  }
#endif
