import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("watch", .timeLimit(.minutes(5)))
struct WatchTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
    try #require(try directory.kvmap("put", "s.kvmap", "sky", "blue").status == 0)
  }

  @Test("prints what the log still has, as JSON")
  func past() throws {
    let operations = """
      {"put":"a\\tb","value":"1"}
      {"delete":"sky"}
      {"put":true,"key_b64":"/w==","value":"2"}

      """
    try #require(try directory.kvmap("batch", "s.kvmap", text: operations).status == 0)
    let run = try directory.kvmap("watch", "s.kvmap", "--since", "0", "--limit", "4", "--values")
    #expect(run.status == 0)
    #expect(run.errors == "")
    let numbers = try run.lines.map { line in
      let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      return try #require(object["sequence"] as? Int)
    }
    #expect(
      run.lines == [
        #"{"sequence":\#(numbers[0]),"put":"sky","value":"blue"}"#,
        #"{"sequence":\#(numbers[1]),"put":"a\tb","value":"1","more":true}"#,
        #"{"sequence":\#(numbers[2]),"delete":"sky","more":true}"#,
        #"{"sequence":\#(numbers[3]),"put":true,"key_b64":"/w==","value":"2"}"#,
      ])
    let text = try directory.kvmap(
      "watch", "s.kvmap", "--since", "\(numbers[0])", "--limit", "1", "--prefix", "s", "--format", "text")
    #expect(text.text == "\(numbers[2]) delete sky\n")
    #expect(try directory.kvmap("watch", "s.kvmap", "--limit", "0").text == "")
    #expect(try directory.kvmap("watch", "none.kvmap").status == 2)
    #expect(try directory.kvmap("watch", "s.kvmap", "--limit=-1").status == 64)
  }

  @Test("tells what is missing")
  func missing() throws {
    let run = try directory.kvmap("watch", "s.kvmap", "--since", "\(UInt64(1) << 55)", "--limit", "1")
    #expect(run.status == 0)
    #expect(run.errors.contains("are missing"))
    #expect(run.text.contains("\"missing\":["))
  }

  @Test("prints changes of other processes as they come, and ends at an interrupt with status 0")
  func interrupt() throws {
    let output = try directory.write([], to: "out")
    let process = Tool.makeProcess(["watch", "s.kvmap", "--values"], in: directory)
    process.standardOutput = try FileHandle(forWritingTo: output)
    try Tool.start(process)
    var number = 0
    while try Data(contentsOf: output).isEmpty {
      number += 1
      try #require(try directory.kvmap("put", "s.kvmap", "count", "\(number)").status == 0)
    }
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 0)
    #expect(try String(contentsOf: output, encoding: .utf8).contains(#""put":"count","value":""#))
  }
}
