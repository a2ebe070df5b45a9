#if os(Linux)
  import Foundation
  import Testing

  /// The tool in shells with little memory: if it starts, it works, whatever the limit.
  @Suite("Limits of memory")
  struct MemoryLimitTests {
    /// Limits in KiB, each about an eighth above the one before.
    private static func ladder(from first: Int, to last: Int) -> [Int] {
      var rungs = [first]
      while let rung = rungs.last, rung < last { rungs.append(min(last, rung + rung / 8)) }
      return rungs
    }

    @Test(
      "of address space and of data have no gaps",
      arguments: [("v", ladder(from: 192 << 10, to: 4 << 20)), ("d", ladder(from: 32 << 10, to: 4 << 20))])
    func noGaps(option: String, limits: [Int]) throws {
      let directory = try Directory()
      let value = String(repeating: "v", count: 40_000)
      let lines = (0..<40).map { "{\"put\":\"key \($0)\",\"value\":\"\(value)\"}\n" }
      try #require(try directory.kvmap("batch", "s.kvmap", text: lines.joined()).status == 0)
      let size = try directory.read("s.kvmap").count
      #expect(size >= 2 << 20 && size < 4 << 20)
      let process = Tool.makeProcess(
        [
          "-c",
          """
          for limit in \(limits.map(String.init).joined(separator: " ")); do (
            ulimit -\(option) $limit || exit
            "$0" put s.kvmap limit $limit && test "$("$0" get s.kvmap limit)" = $limit \
              && test "$("$0" list s.kvmap | wc -l)" = 41 && "$0" put new.$limit a b \
              && echo $limit >> works
          ) 2>> err; done
          """, Tool.url.path,
        ], in: directory)
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      try Tool.start(process)
      process.waitUntilExit()
      let works = String(decoding: try directory.read("works"), as: UTF8.self).split(separator: "\n")
      let errors = String(decoding: try directory.read("err"), as: UTF8.self)
      #expect(works == limits.map { Substring(String($0)) }, "\(errors)")
      #expect(try directory.kvmap("verify", "s.kvmap").text == "OK\n")
      for limit in [limits.first, limits.last] {
        #expect(try directory.kvmap("verify", "new.\(limit ?? 0)").text == "OK\n")
      }
    }

    @Test("if there is too little, the message says how much there is")
    func tooLittle() throws {
      let directory = try Directory()
      _ = try directory.kvmap("put", "s.kvmap", "a", "b")
      // The file is longer than the address space that is left; all but its beginning is a hole.
      let store = try FileHandle(forWritingTo: URL(fileURLWithPath: directory.path("s.kvmap")))
      try store.truncate(atOffset: 8 << 30)
      try store.close()
      let before = try FileManager.default.attributesOfItem(atPath: directory.path("s.kvmap"))
      let errors = try directory.write("", to: "err")
      for verb in ["put s.kvmap a c", "get s.kvmap a"] {
        let process = Tool.makeProcess(
          ["-c", "ulimit -v 1048576; exec '\(Tool.url.path)' \(verb)"], in: directory)
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.standardError = try FileHandle(forWritingTo: errors)
        try Tool.start(process)
        process.waitUntilExit()
        #expect(process.terminationStatus == 2)
        let message = String(decoding: try directory.read("err"), as: UTF8.self)
        #expect(message.contains("address space, now 1073741824 bytes (ulimit -v)"), "\(message)")
        #expect(message.contains("needs 8589934592 bytes"), "\(message)")
      }
      let after = try FileManager.default.attributesOfItem(atPath: directory.path("s.kvmap"))
      #expect(before[.modificationDate] as? Date == after[.modificationDate] as? Date)
      #expect(try directory.kvmap("get", "s.kvmap", "a").text == "b")
    }
  }
#endif
