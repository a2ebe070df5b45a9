import ArgumentParser
import Foundation
import Testing

@testable import KVMapCommand

/// What the start of the process needs, and what it does without.
@Suite("Start")
struct StartTests {
  @Test(
    "a command line without options is read without the parser, and means the same",
    arguments: [
      ["get", "s.kvmap", "k"], ["get", "", ""], ["get", "get", "get"], ["get", "Ü", "a b\nc"],
      ["put", "s.kvmap", "k", "v"], ["put", "", "", ""], ["exists", "s.kvmap", "k"],
      ["delete", "s.kvmap", "k"], ["get", "s", "k", "v"], ["exists", "s", "a", "b"],
      ["delete", "s", "a", "", "c"],
    ])
  func plain(arguments: [String]) throws {
    let plain = try #require(plainCommand(arguments))
    let parsed = try RootCommand.parseAsRoot(arguments)
    #expect(type(of: plain) == type(of: parsed))
    #expect(String(describing: plain) == String(describing: parsed))
    #expect(!String(describing: plain).contains("definition"))
  }

  @Test(
    "any other is left to the parser",
    arguments: [
      [], ["get"], ["get", "s"], ["get", "s", "-k"], ["get", "s", "-0"], ["get", "--help"],
      ["get", "s", "-"],
      ["put", "s", "k"], ["put", "s", "k", "-"], ["put", "s", "--", "k", "v"], ["put", "s", "k", "v", "w"],
      ["exists", "s"], ["delete", "s", "k", "-q"], ["list", "s"], ["help", "get"], ["--version"],
      ["get", "s", String(repeating: "k", count: DumpRecord.longestKey + 1)],
    ])
  func notPlain(arguments: [String]) {
    #expect(plainCommand(arguments) == nil)
  }

  @Test("the command links no more of Foundation than the parser needs")
  func links() throws {
    let file = try Data(contentsOf: Tool.url)
    // Linked dynamically, and statically.
    for trace in ["libFoundation.so", "CFBundleGetMainBundle"] {
      #expect(file.range(of: Data(trace.utf8)) == nil, "\(trace)")
    }
  }

  #if os(Linux)
    /// A user who may make namespaces, or root, can hide /proc from the tool.
    private static func withoutProc(_ script: String, in directory: Directory) throws -> Run {
      try Tool.script(
        """
        exec unshare --user --map-root-user --mount /bin/sh -c \
          'mount -t tmpfs none /proc && test ! -e /proc/self && \(script)' "$0"
        """, in: directory)
    }

    private static let canHideProc = (try? withoutProc("true", in: Directory()))?.status == 0

    @Test("works without /proc", .enabled(if: canHideProc, "this user may not hide /proc"))
    func noProc() throws {
      let directory = try Directory()
      let run = try Self.withoutProc(
        """
        "$0" put s.kvmap k v && "$0" get s.kvmap k && "$0" incr s.kvmap n && "$0" list --prefix k --values s.kvmap \
          && "$0" backup s.kvmap copy.kvmap && "$0" verify copy.kvmap && "$0" compact -q copy.kvmap \
          && "$0" dump s.kvmap | "$0" load loaded.kvmap && "$0" salvage s.kvmap salvaged.kvmap \
          && "$0" help get | head -n 1 && "$0" gett
        """, in: directory)
      #expect(
        run.text == """
          v1
          k\tv
          OK
          2 records taken over, 4 bytes
          nothing lost
          OVERVIEW: Print the value of a key, or of several.

          """, "\(run)")
      #expect(run.status == 64)
      #expect(run.errors.contains("did you mean 'get'?"))
      #expect(try directory.kvmap("count", "loaded.kvmap").text == "2\n")
    }
  #endif
}
