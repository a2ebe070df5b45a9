import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("watch --exec", .timeLimit(.minutes(5)))
struct WatchExecTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    let operations = """
      {"put":"sky","value":"blue"}
      {"delete":"sky"}
      {"put":"$(touch pwned)`touch pwned`\\";touch pwned;\\n","value":"1"}
      {"put":true,"key_b64":"/w==","value":"2"}
      {"put":"a\\u0000b","value":"3"}

      """
    try #require(try directory.kvmap("batch", "--each", "s.kvmap", text: operations).status == 0)
  }

  @Test("runs the command for each change, in order, with the line of JSON, and prints nothing itself")
  func each() throws {
    let printed = try directory.kvmap("watch", "s.kvmap", "--since", "0", "--limit", "5", "--values")
    let run = try directory.kvmap(
      "watch", "s.kvmap", "--since", "0", "--limit", "5", "--values", "--exec", "cat; echo end")
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.lines == printed.lines.flatMap { [$0, "end"] })
  }

  @Test("tells the command the key by a variable if it is text, whatever the key is")
  func variables() throws {
    let run = try directory.kvmap(
      "watch", "s.kvmap", "--since", "0", "--limit", "5",
      "--exec", #"printf '%s %s <%s>\n' "$KVMAP_CHANGE" "$KVMAP_STORE" "${KVMAP_KEY-unset}""#,
      environment: ["KVMAP_KEY": "of the caller"])
    #expect(
      run.text == """
        put s.kvmap <sky>
        delete s.kvmap <sky>
        put s.kvmap <$(touch pwned)`touch pwned`";touch pwned;
        >
        put s.kvmap <unset>
        put s.kvmap <unset>

        """)
    #expect(run.status == 0)
    #expect(try !directory.names().contains("pwned"))
  }

  @Test("tells the command what is missing")
  func missing() throws {
    let run = try directory.kvmap(
      "watch", "s.kvmap", "--since", "\(UInt64(1) << 55)", "--limit", "1", "--exec", "echo $KVMAP_CHANGE; cat"
    )
    #expect(run.lines.first == "missing")
    #expect(run.text.contains("\"missing\":["))
  }

  @Test("ends with the status of a command that fails, and says how to go on")
  func failing() throws {
    let command = "echo $KVMAP_SEQUENCE; test $KVMAP_CHANGE = put || exit 7"
    let run = try directory.kvmap("watch", "s.kvmap", "--since", "0", "--exec", command)
    #expect(run.status == 7)
    #expect(run.lines.count == 2)
    #expect(run.errors.contains("--since \(run.lines[1]) goes on after it"))
    let killed = try directory.kvmap("watch", "s.kvmap", "--since", "0", "--exec", "kill -KILL $$")
    #expect(killed.status == 128 + SIGKILL)
    #expect(try directory.kvmap("watch", "s.kvmap", "--since", "0", "--exec", "no-such").status == 127)
  }

  @Test("goes on with --keep-going, and still has the status of the command that failed")
  func keepGoing() throws {
    let run = try directory.kvmap(
      "watch", "s.kvmap", "--since", "0", "--limit", "5", "--keep-going",
      "--exec", "echo; test $KVMAP_CHANGE = put || exit 7")
    #expect(run.status == 7)
    #expect(run.output.count == 5)
    #expect(run.errors.hasSuffix("1 command of --exec failed\n"))
  }

  @Test("does not wait for a command that reads nothing of a large value")
  func unread() throws {
    try #require(
      try directory.kvmap("put", "s.kvmap", "large", input: [UInt8](repeating: 0, count: 3 << 20)).status == 0
    )
    let run = try directory.kvmap(
      "watch", "s.kvmap", "--prefix", "large", "--since", "0", "--limit", "1", "--values", "--exec",
      "echo ran")
    #expect(run.text == "ran\n")
    #expect(run.status == 0)
  }

  #if os(Linux)
    @Test("gives the command no descriptor that it was not given itself, and the signals as they usually are")
    func inherited() throws {
      let look = "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status"
      let run = try Tool.script(
        """
        ls /proc/self/fd
        exec "$0" watch s.kvmap --since 0 --limit 1 --exec "\(look)"
        """, in: directory)
      let descriptors = run.lines.filter { !$0.hasPrefix("Sig") }
      let half = descriptors.count / 2
      #expect(half >= 4 && descriptors.prefix(half) == descriptors.suffix(half), "\(run)")
      let sets = run.lines.filter { $0.hasPrefix("Sig") }
        .compactMap { $0.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } }
      let pipe = UInt64(1) << UInt64(SIGPIPE - 1)
      let interrupt = UInt64(1) << UInt64(SIGINT - 1)
      #expect(sets.count == 2 && sets.allSatisfy { $0 & (pipe | interrupt) == 0 })
    }

    @Test("leaves no process that has ended")
    func zombies() throws {
      let run = try directory.kvmap(
        "watch", "s.kvmap", "--since", "0", "--limit", "5", "--exec", "ps -o stat= --ppid $PPID")
      #expect(run.lines.count == 5)
      #expect(!run.text.contains("Z"))
    }
  #endif

  @Test(
    "an interrupt ends the command, all that it has started, and the watch",
    arguments: [
      (SIGINT, "echo $$ > started; sleep 1000; echo on >> started"),
      (SIGTERM, "echo $$ > started; sleep 1000"),
    ])
  func interrupt(signal: Int32, command: String) throws {
    let process = Tool.makeProcess(["watch", "s.kvmap", "--since", "0", "--exec", command], in: directory)
    try Tool.start(process)
    let group = try waitForGroup()
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    let run = Tool.result(of: process)
    if signal == SIGINT { #expect(run.status == 0) } else { #expect(run.signal == signal) }
    while kill(-group, 0) == 0 { usleep(1_000) }
    #expect(try String(decoding: directory.read("started"), as: UTF8.self) == "\(group)\n")
  }

  @Test("a second interrupt kills a command that ignores the first")
  func secondInterrupt() throws {
    let command = "trap 'echo trapped >> trapped' INT; echo $$ > started; while true; do sleep 0.1; done"
    let process = Tool.makeProcess(["watch", "s.kvmap", "--since", "0", "--exec", command], in: directory)
    try Tool.start(process)
    let group = try waitForGroup()
    kill(process.processIdentifier, SIGINT)
    while try !directory.names().contains("trapped") { usleep(1_000) }
    #expect(process.isRunning)
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(Tool.result(of: process).status == 0)
    while kill(-group, 0) == 0 { usleep(1_000) }
  }

  /// The process group of the command, when it has begun.
  private func waitForGroup() throws -> pid_t {
    while true {
      let names = try directory.names()
      let text =
        names.contains("started") ? String(decoding: try directory.read("started"), as: UTF8.self) : ""
      if text.hasSuffix("\n"), let group = pid_t(text.dropLast()) { return group }
      usleep(1_000)
    }
  }

  @Test("what makes no sense is refused")
  func usage() throws {
    for options in [["--keep-going"], ["--exec", ""], ["--exec", "true", "--format", "text"]] {
      let run = try Tool.run(["watch", "s.kvmap"] + options, in: directory)
      #expect(run.status == 64, "\(options)")
    }
  }
}
