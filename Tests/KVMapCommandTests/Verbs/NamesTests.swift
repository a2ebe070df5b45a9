#if os(Linux)
  import Foundation
  import Glibc
  import Testing

  /// The exit statuses for names that cannot be a store's.
  @Suite("Names")
  struct NamesTests {
    let directory: Directory

    init() throws {
      directory = try Directory()
      try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    }

    private func expect(
      _ status: Int32, _ message: String, _ arguments: [String], input: String = "",
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let names = try directory.names()
      let run = try Tool.run(arguments, input: Array(input.utf8), in: directory)
      #expect(run.status == status, "\(arguments): \(run)", sourceLocation: sourceLocation)
      #expect(run.errors.contains(message), "\(arguments): \(run.errors)", sourceLocation: sourceLocation)
      #expect(run.output == [], sourceLocation: sourceLocation)
      #expect(try directory.names() == names, "\(arguments)", sourceLocation: sourceLocation)
    }

    private func expectNotCreated(_ name: String, _ message: String) throws {
      try expect(73, message, ["put", name, "k", "v"])
      try expect(73, message, ["batch", name])
      try expect(73, message, ["load", name], input: "{\"kvmap\":1}\n{\"count\":0}\n")
      try expect(73, message, ["backup", "s.kvmap", name])
      try expect(73, message, ["salvage", "s.kvmap", name])
    }

    @Test("73: names that are too long, links in circles, and directories that are not there")
    func cannotBe() throws {
      let files = FileManager.default
      try files.createSymbolicLink(atPath: directory.path("circle"), withDestinationPath: "other")
      try files.createSymbolicLink(atPath: directory.path("other"), withDestinationPath: "circle")
      try files.createSymbolicLink(atPath: directory.path("to nowhere"), withDestinationPath: "none/s.kvmap")
      let long = String(repeating: "n", count: 256)
      let deep = String(repeating: String(repeating: "d", count: 99) + "/", count: 42) + "s"
      for (name, message) in [
        (long, "Use a shorter name"), (deep, "Use a shorter name"),
        ("circle", "The path's symbolic links go in circles"), ("to nowhere", "there is no directory none"),
      ] {
        try expectNotCreated(name, message)
        try expect(73, "cannot create '\(name)'", ["get", "s.kvmap", "k", "-o", name])
        // Reading creates no store, and the message names it.
        try expect(2, name, ["get", name, "k"])
      }
      let longest = String(long.dropLast())
      #expect(try directory.kvmap("put", longest, "k", "v").status == 0)
      #expect(try directory.kvmap("get", longest, "k").text == "v")
    }

    @Test("65: something other than a regular file; 73 if a store is to be made there")
    func noRegularFile() throws {
      try FileManager.default.createDirectory(
        atPath: directory.path("directory"), withIntermediateDirectories: false)
      #expect(unsafe mkfifo(directory.path("pipe"), 0o600) == 0)
      #expect(unsafe mknod(directory.path("socket"), S_IFSOCK | 0o600, 0) == 0)
      for name in ["directory", "pipe", "socket", "/dev/null", "/dev/full"] {
        for arguments in [
          ["put", name, "k", "v"], ["get", name, "k"], ["list", name], ["verify", name], ["batch", name],
          ["salvage", name, "new.kvmap"], ["backup", name, "new.kvmap"],
        ] {
          // verify prints what it finds as its output.
          if arguments[0] == "verify" {
            #expect(try Tool.run(arguments, in: directory).status == 65, "\(arguments)")
          } else {
            try expect(65, name, arguments)
          }
        }
        for verb in ["backup", "salvage"] { try expect(73, name, [verb, "s.kvmap", name]) }
      }
      try expect(74, "cannot write '/dev/full'", ["get", "s.kvmap", "k", "-o", "/dev/full"])
      #expect(try directory.kvmap("get", "s.kvmap", "k", "-o", "/dev/null").status == 0)
      #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
    }

    private static let changer = "/usr/bin/setpriv"

    /// Runs the tool as an ordinary user: as another user if this one is root.
    private static func runAsOrdinaryUser(_ arguments: [String], in directory: Directory) throws -> Run {
      let streams = try Directory()
      let errors = try streams.write("", to: "err")
      let process = Tool.makeProcess(arguments, in: directory)
      if geteuid() == 0 {
        process.executableURL = URL(fileURLWithPath: changer)
        process.arguments =
          ["--reuid", "65534", "--regid", "65534", "--clear-groups", Tool.url.path] + arguments
      }
      process.standardError = try FileHandle(forWritingTo: errors)
      try Tool.start(process)
      process.waitUntilExit()
      return Tool.result(of: process, errors: try Data(contentsOf: errors))
    }

    /// Whether an ordinary user can run the tool. Root needs `setpriv` for that, and a build in a
    /// directory that others may enter.
    private static let ordinaryUserCanRun =
      (try? runAsOrdinaryUser(["--version"], in: Directory()))?.status == 0

    @Test(
      "73: a directory in which the user may make nothing; 2: a store that may only be read",
      .enabled(if: ordinaryUserCanRun, "an ordinary user cannot run the built kvmap"))
    func withoutRights() throws {
      func run(_ arguments: [String]) throws -> Run {
        try Self.runAsOrdinaryUser(arguments, in: directory)
      }
      #expect(unsafe chmod(directory.path("s.kvmap"), 0o444) == 0)
      #expect(unsafe chmod(directory.url.path, 0o555) == 0)
      defer { _ = unsafe chmod(directory.url.path, 0o755) }
      for arguments in [
        ["put", "new.kvmap", "k", "v"], ["batch", "new.kvmap"], ["backup", "s.kvmap", "new.kvmap"],
        ["salvage", "s.kvmap", "new.kvmap"], ["get", "s.kvmap", "k", "-o", "new.kvmap"],
      ] {
        let refused = try run(arguments)
        #expect(refused.status == 73, "\(arguments): \(refused)")
        #expect(refused.errors.contains("Permission denied"), "\(arguments): \(refused)")
        #expect(try directory.names() == ["s.kvmap"])
      }
      #expect(try run(["get", "s.kvmap", "k"]).status == 0)
      #expect(try run(["verify", "s.kvmap"]).status == 0)
      let refused = try run(["put", "s.kvmap", "k", "w"])
      #expect(refused.status == 2 && refused.errors.contains("permissions forbid it"), "\(refused)")
      #expect(try directory.kvmap("get", "s.kvmap", "k").text == "v")
    }
  }
#endif
