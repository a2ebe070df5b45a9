import Testing

@Suite("Hints")
struct UsageHintsTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  @Test(
    "a mistyped subcommand: 64, and the nearest is suggested, after help too",
    arguments: [
      ("gett", "get"), ("gte", "get"), ("pu", "put"), ("sallvage", "salvage"), ("del", "delete"),
      ("increment", "incr"), ("hepl", "help"),
    ])
  func nearest(typed: String, meant: String) throws {
    for arguments in [[typed, "s.kvmap", "k"], [typed], ["help", typed]] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 64)
      #expect(run.output == [])
      #expect(
        run.errors == """
          kvmap: There is no subcommand '\(typed)'; did you mean '\(meant)'?
          Usage: kvmap <subcommand>
            See 'kvmap --help' for more information.

          """)
    }
  }

  @Test("a subcommand like no other: 64, and none is suggested", arguments: ["frobnicate", "Ü", "", "x y"])
  func noneIsNear(typed: String) throws {
    for arguments in [[typed, "s.kvmap", "k"], ["help", typed]] {
      let run = try Tool.run(arguments, in: directory)
      #expect(run.status == 64)
      #expect(run.errors.hasPrefix("kvmap: There is no subcommand '\(typed)'\nUsage: kvmap"))
    }
  }

  @Test(
    "a value that begins with a dash: -- is named, and works",
    arguments: [
      ["put", "s.kvmap", "k", "-5"], ["put", "s.kvmap", "-key", "v"], ["incr", "s.kvmap", "n", "-5"],
      ["append", "s.kvmap", "k", "--text"], ["cas", "s.kvmap", "k", "-1", "2"],
    ])
  func dash(arguments: [String]) throws {
    let run = try Tool.run(arguments, in: directory)
    #expect(run.status == 64)
    let lines = run.errors.split(separator: "\n")
    #expect(
      lines.dropFirst().first
        == "Options come first, then -- before a key or a value that begins with -: put STORE -- KEY -5")
    #expect(try directory.names() == [])
    _ = try directory.kvmap("put", "s.kvmap", "--", "k", "-1")
    let corrected = Array(arguments[..<2]) + ["--"] + arguments[2...]
    #expect(try Tool.run(corrected, in: directory).status == 0)
  }

  @Test("an option's value that begins with a dash: the option is named, and works")
  func joined() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    let run = try directory.kvmap("get", "s.kvmap", "none", "--default", "-5")
    #expect(run.status == 64)
    #expect(run.errors.contains("\nA value that begins with - is joined to its option: --default=-5\n"))
    #expect(try directory.kvmap("get", "s.kvmap", "none", "--default=-5").text == "-5")
    // Here the value was forgotten.
    let forgotten = try directory.kvmap("get", "s.kvmap", "none", "--default")
    #expect(forgotten.status == 64)
    #expect(!forgotten.errors.contains("joined"))
    // An option that looks like a number.
    let both = try directory.kvmap("get", "s.kvmap", "k", "-0")
    #expect(both.status == 64)
    #expect(both.errors.hasPrefix("kvmap: Keys and -0 exclude each other\nUsage: "))
  }
}
