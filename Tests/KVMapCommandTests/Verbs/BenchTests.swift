import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("bench", .timeLimit(.minutes(5)))
struct BenchTests {
  static let names = [
    "load", "get", "get_absent", "scan", "overwrite", "durable_put", "durable_batch", "delete", "copy",
    "fdatasync",
    "msync",
  ]

  let directory: Directory

  init() throws { directory = try Directory() }

  @Test("prints a line of plain numbers for each call, and leaves nothing")
  func lines() throws {
    let run = try directory.kvmap("bench", "--keys", "300", "--value-bytes", "10")
    #expect(run.status == 0)
    #expect(run.errors == "")
    let fields = run.lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
    #expect(fields.map { String($0[0]) } == Self.names)
    for line in fields {
      #expect(line.count == 4)
      #expect(try #require(Double(line[1])) > 0)
      #expect(try #require(Int(line[2])) > 0)
      #expect(line[3].isEmpty || Double(line[3]) != nil)
    }
    #expect(try directory.names() == [])
  }

  @Test("shows people units, and under which conditions")
  func table() throws {
    let terminal = try PseudoTerminal()
    let process = Tool.makeProcess(["bench", "--keys", "300", "-q"], in: directory)
    process.standardOutput = terminal.tool
    try Tool.start(process)
    process.waitUntilExit()
    let text = try terminal.contents()
    #expect(text.hasPrefix("300 records of 16 + 100 bytes"))
    #expect(text.contains("everything in memory"))
    #expect(text.contains("a second"))
    #expect(text.contains("3 × 300 calls, the slowest round"))
    #expect(text.contains("fdatasync of a page"))
  }

  @Test("has the keys and sizes of a store, which it does not change; as JSON and as a chart")
  func ofStore() throws {
    let operations = """
      {"put":"a","value":""}
      {"put":"<script>","value":"\(String(repeating: "x", count: 3000))"}
      {"put":true,"key_b64":"/wA=","value":"2"}

      """
    try #require(try directory.kvmap("batch", "s.kvmap", text: operations).status == 0)
    let before = try directory.read("s.kvmap")
    let run = try directory.kvmap("bench", "s.kvmap", "--json", "--svg", "chart.svg")
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(try directory.read("s.kvmap") == before)
    #expect(try directory.names().sorted() == ["chart.svg", "s.kvmap"])
    let object = try #require(JSONSerialization.jsonObject(with: Data(run.output)) as? [String: Any])
    #expect(object["version"] as? Int == 1)
    #expect(object["records"] as? Int == 3)
    #expect(object["value_bytes"] as? Int == 1000)
    #expect(object["of_store"] as? Bool == true)
    let measurements = try #require(object["measurements"] as? [[String: Any]])
    #expect(measurements.compactMap { $0["name"] as? String } == Self.names)
    for measurement in measurements {
      #expect((measurement["ns"] as? Double ?? 0) > 0)
      #expect(measurement["slowest_round_ns"] is NSNull || measurement["p99_ns"] is NSNull)
    }
    expectWellFormed(try directory.read("chart.svg"))
    let chart = String(decoding: try directory.read("chart.svg"), as: UTF8.self)
    #expect(chart.contains("prefers-color-scheme:dark"))
    #expect(!chart.replacing("http://www.w3.org/2000/svg", with: "").contains("http"))
    #expect(!chart.contains("<script"))
  }

  @Test("a signal removes the store that is measured", arguments: [SIGINT, SIGTERM, SIGHUP])
  func interrupt(signal: Int32) throws {
    let process = Tool.makeProcess(["bench", "--keys", "2000000"], in: directory)
    try Tool.start(process)
    while try !directory.names().contains(where: { $0.hasPrefix(".kvmap-bench-") }) { usleep(1_000) }
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(Tool.result(of: process).signal == signal)
    #expect(try directory.names() == [])
  }

  @Test("a closed pipe ends it quietly, without a file left")
  func closedPipe() throws {
    let run = try Tool.script(#"{ "$0" bench --keys 10; echo $? >&2; } | exec true"#, in: directory)
    #expect(run.errors == "\(128 + SIGPIPE)\n")
    #expect(try directory.names() == [])
  }

  @Test("what cannot be measured is refused")
  func usage() throws {
    try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    for options in [
      ["s.kvmap", "--value-bytes", "1"], ["--value-bytes=-1"], ["--keys", "0"],
      ["s.kvmap", "--svg", "s.kvmap"],
    ] {
      #expect(try Tool.run(["bench"] + options, in: directory).status == 64, "\(options)")
    }
    #expect(try directory.kvmap("bench", "none.kvmap").status == 2)
    #expect(try directory.kvmap("bench", "--keys", "1", "--svg", "none/chart.svg").status == 73)
    try #require(try directory.kvmap("delete", "s.kvmap", "k").status == 0)
    let empty = try directory.kvmap("bench", "s.kvmap")
    #expect(empty.status == 2)
    #expect(empty.errors.contains("is empty"))
  }
}
