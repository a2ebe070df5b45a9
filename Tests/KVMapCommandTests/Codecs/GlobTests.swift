import Testing

@testable import KVMapCommand

@Suite("Patterns")
struct GlobTests {
  @Test(
    "match whole keys",
    arguments: [
      ("*", ["", "a", "a/b\n"], []), ("", [""], ["a"]), ("a", ["a"], ["", "aa", "b"]),
      ("a*", ["a", "ab", "a*"], ["", "ba"]), ("*a", ["a", "ba", "aa"], ["ab", ""]),
      ("a*b*c", ["abc", "aXbXc", "abcbc"], ["ab", "acb", "abcd"]), ("a**b", ["ab", "axb"], ["a"]),
      ("gr?n", ["grün", "gran", "gr🦆n"], ["grn", "gruen"]),
      ("[a-cü]x", ["ax", "cx", "üx"], ["dx", "x", "-x"]),
      ("[!a-c]", ["d", "ü", "^"], ["a", "b", ""]), ("[^a]", ["b"], ["a"]), ("[]a]", ["]", "a"], ["b"]),
      ("[a-]", ["a", "-"], ["b"]), ("[*]", ["*"], ["a"]), (#"\*\?\["#, ["*?["], ["ab["]),
      ("user:*:old", ["user:1:old", "user:::old"], ["user:1:new", "user:old"]),
    ])
  func matches(pattern: String, matching: [String], others: [String]) throws {
    let glob = try #require(Glob(pattern))
    for key in matching {
      #expect(glob.matches(Array(key.utf8)), "\(key)")
      #expect(key.utf8.starts(with: glob.prefix))
    }
    for key in others { #expect(!glob.matches(Array(key.utf8)), "\(key)") }
  }

  @Test("take bytes that are not text one by one")
  func bytes() throws {
    let three = try #require(Glob("???"))
    #expect(three.matches([0xFF, 0xC3, 0x61]))
    #expect(!three.matches([0xFF, 0xC3]))
    #expect(try #require(Glob("a*")).matches([0x61, 0x00, 0xFF]))
    #expect(try #require(Glob("[!a]")).matches([0xFF]))
  }

  @Test(
    "are refused if a bracket stays open or a backslash ends them",
    arguments: ["[", "a[b", "[]", "[!]", "a\\"])
  func refused(pattern: String) {
    #expect(Glob(pattern) == nil)
  }

  @Test("take time in proportion to key and pattern at most")
  func time() throws {
    let glob = try #require(Glob(String(repeating: "*a", count: 50) + "b"))
    #expect(!glob.matches(Array(repeating: UInt8(ascii: "a"), count: 5_000)))
  }
}
