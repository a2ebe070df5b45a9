import Foundation
import Testing

@Suite("get and put")
struct GetPutTests {
  let directory: Directory

  init() throws {
    directory = try Directory()
  }

  @Test("give back every byte of a value, through the streams and through files")
  func everyByte() throws {
    let value = Array(UInt8.min...UInt8.max) + Array("\n\n".utf8)
    #expect(try directory.kvmap("put", "s.kvmap", "k", input: value).status == 0)
    let got = try directory.kvmap("get", "s.kvmap", "k")
    #expect(got.status == 0)
    #expect(got.output == value)
    #expect(got.errors == "")

    try directory.write(value, to: "value")
    #expect(try directory.kvmap("put", "s.kvmap", "f", "--file", "value").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "f", "-o", "copy").output == [])
    #expect(try directory.read("copy") == value)
    #expect(try directory.kvmap("put", "s.kvmap", "dash", "-", input: value).status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "dash").output == value)
  }

  @Test("print nothing when they succeed")
  func silence() throws {
    let run = try directory.kvmap("put", "s.kvmap", "k", "v")
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(run.errors == "")
  }

  @Test("take empty keys and empty values")
  func empty() throws {
    #expect(try directory.kvmap("put", "s.kvmap", "", "").status == 0)
    let run = try directory.kvmap("get", "s.kvmap", "")
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(try directory.kvmap("put", "s.kvmap", "none", input: []).status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "none", "--format", "hex").text == "\n")
  }

  @Test("accept a key of 64 KiB, and refuse a longer one as a wrong command line")
  func longKey() throws {
    let key = String(repeating: "k", count: 65_536)
    #expect(try directory.kvmap("put", "s.kvmap", key, "v").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", key).text == "v")
    let run = try directory.kvmap("put", "s.kvmap", key + "k", "v")
    #expect(run.status == 64)
    #expect(run.errors.contains("KEY has 65537 bytes; the most is 65536"))
  }

  @Test("take keys of any bytes, and keys that look like options")
  func keySpellings() throws {
    #expect(try directory.kvmap("put", "s.kvmap", "--key-hex", "ff00", "v1").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "--key-base64", "/wA=").text == "v1")
    #expect(try directory.kvmap("get", "--key-hex", "s.kvmap", "FF00").text == "v1")
    #expect(try directory.kvmap("put", "s.kvmap", "--", "--key-hex", "-4").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "--", "--key-hex").text == "-4")
    #expect(try directory.kvmap("get", "s.kvmap", "--key-hex", "--key-base64", "ff").status == 64)
  }

  @Test("refuse a key that is not UTF-8 instead of taking another one")
  func invalidArgument() throws {
    let script = try directory.write(
      "exec \"$1\" put s.kvmap \"$(printf 'a\\377')\" v 2>err", to: "script.sh")
    let process = Tool.makeProcess([script.path, Tool.url.path], in: directory)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    try Tool.start(process)
    process.waitUntilExit()
    #expect(process.terminationStatus == 64)
    let message = String(decoding: try directory.read("err"), as: UTF8.self)
    #expect(message.hasPrefix("kvmap: argument 3 is not valid UTF-8; give such a key with --key-hex"))
    #expect(try !directory.names().contains("s.kvmap"))
  }

  @Test(
    "print a value in the wanted format",
    arguments: [
      ("raw", "a\t\u{1B}"), ("text", "a\\t\\x1b\n"), ("hex", "61091b\n"), ("base64", "YQkb\n"),
      ("json", "{\"key\":\"k\",\"value\":\"a\\t\\u001b\"}\n"),
    ])
  func formats(format: String, expected: String) throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", text: "a\t\u{1B}")
    #expect(try directory.kvmap("get", "s.kvmap", "k", "--format", format).text == expected)
  }

  @Test("print JSON with Base64 for bytes that are not text")
  func jsonBytes() throws {
    _ = try directory.kvmap("put", "s.kvmap", "--key-hex", "ff", input: [0xFE])
    let run = try directory.kvmap("get", "s.kvmap", "--key-hex", "ff", "--format", "json")
    #expect(run.text == "{\"key_b64\":\"/w==\",\"value_b64\":\"/g==\"}\n")
  }

  @Test("give status 1 for an absent key, or the default")
  func absent() throws {
    _ = try directory.kvmap("put", "s.kvmap", "k", "v")
    let run = try directory.kvmap("get", "s.kvmap", "no\u{1B}ne", "-o", "out")
    #expect(run.status == 1)
    #expect(run.output == [])
    #expect(run.errors == "kvmap: get: no key 'no\\x1bne' in 's.kvmap'\n")
    #expect(try !directory.names().contains("out"))
    #expect(try directory.kvmap("get", "-q", "s.kvmap", "none").errors == "")

    let other = try directory.kvmap("get", "s.kvmap", "none", "--default", "0")
    #expect(other.status == 0)
    #expect(other.text == "0")
    #expect(try directory.kvmap("get", "s.kvmap", "k", "--default", "0").text == "v")
  }

  @Test("create no store by reading, nor with --no-create")
  func creation() throws {
    let run = try directory.kvmap("get", "s.kvmap", "k")
    #expect(run.status == 2)
    #expect(run.errors == "kvmap: get: s.kvmap: there is no store\n")
    #expect(try directory.kvmap("get", "s.kvmap", "k", "--default", "0").status == 2)
    #expect(try directory.kvmap("put", "--no-create", "s.kvmap", "k", "v").status == 2)
    #expect(try directory.kvmap("put", "--if-present", "s.kvmap", "k", "v").status == 1)
    #expect(try directory.kvmap("put", "s.kvmap", "k", "--file", "missing").status == 74)
    #expect(try directory.names() == [])
  }

  @Test("keep conditions")
  func conditions() throws {
    #expect(try directory.kvmap("put", "s.kvmap", "k", "1", "--if-absent").status == 0)
    let present = try directory.kvmap("put", "s.kvmap", "k", "2", "--if-absent")
    #expect(present.status == 1)
    #expect(present.errors == "kvmap: put: condition not met: the key 'k' is there already\n")
    #expect(try directory.kvmap("get", "s.kvmap", "k").text == "1")
    #expect(try directory.kvmap("put", "s.kvmap", "k", "3", "--if-present", "--durable").status == 0)
    #expect(try directory.kvmap("get", "s.kvmap", "k").text == "3")
    let absent = try directory.kvmap("put", "s.kvmap", "n", "4", "--if-present")
    #expect(absent.status == 1)
    #expect(absent.errors == "kvmap: put: condition not met: the key 'n' is absent\n")
    #expect(try directory.kvmap("exists", "s.kvmap", "n").status == 1)
    #expect(try directory.kvmap("put", "s.kvmap", "n", "--if-absent", "--if-present", "4").status == 64)
  }

  @Test("let a key expire")
  func expiry() throws {
    let before = UInt64(Date().timeIntervalSince1970 * 1000)
    #expect(try directory.kvmap("put", "s.kvmap", "k", "v", "--ttl", "2h").status == 0)
    let after = UInt64(Date().timeIntervalSince1970 * 1000) + 1
    let line = try #require(try directory.kvmap("dump", "s.kvmap").lines.dropFirst().first)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    let expires = try #require(object["expires"] as? Int)
    #expect(UInt64(expires) >= before + 7_200_000)
    #expect(UInt64(expires) <= after + 7_200_000)

    #expect(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    #expect(try !directory.kvmap("dump", "s.kvmap").text.contains("expires"))
    for wrong in ["0", "1y", "-5s"] {
      #expect(try directory.kvmap("put", "s.kvmap", "k", "v", "--ttl", wrong).status == 64)
    }
  }

  @Test("refuse a value given twice")
  func twoValues() throws {
    let run = try directory.kvmap("put", "s.kvmap", "k", "v", "--file", "f")
    #expect(run.status == 64)
    #expect(run.errors.contains("A value and --file exclude each other"))
  }
}
