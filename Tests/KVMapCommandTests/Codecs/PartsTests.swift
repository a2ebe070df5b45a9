import ArgumentParser
import KVMap
import Testing

@testable import KVMapCommand

@Suite("Small parts")
struct PartsTests {
  @Test(
    "Durations are read with their units",
    arguments: [
      ("500ms", Duration.milliseconds(500)), ("90s", .seconds(90)), ("90", .seconds(90)),
      ("15m", .seconds(900)),
      ("12h", .seconds(43_200)), ("7d", .seconds(604_800)), ("0", .zero),
    ])
  func durations(text: String, expected: Duration) {
    #expect(DurationArgument(argument: text)?.duration == expected)
  }

  @Test(
    "Other durations are refused",
    arguments: [
      "", "s", "-1s", "1.5s", "1 s", "1y", "1S", "99999999999999999999s", "9223372036854775807d", "١s",
    ])
  func wrongDurations(text: String) {
    #expect(DurationArgument(argument: text) == nil)
  }

  @Test("Control bytes and broken UTF-8 are escaped for the terminal")
  func escaping() {
    func escape(_ bytes: [UInt8]) -> String { String(decoding: TerminalText.escape(bytes), as: UTF8.self) }
    #expect(escape(Array("blau ü 🦆".utf8)) == "blau ü 🦆")
    #expect(escape([0x00, 0x07, 0x0A, 0x0D, 0x09, 0x1B, 0x5C, 0x7F]) == #"\x00\x07\n\r\t\x1b\\\x7f"#)
    #expect(escape(Array("\u{9B}31m".utf8)) == #"\xc2\x9b31m"#)
    // Embeddings and isolates, a line separator, what joins or has no width, tags, and what fonts leave out.
    for scalar: Unicode.Scalar in [
      "\u{202A}", "\u{202E}", "\u{2066}", "\u{200F}", "\u{61C}", "\u{2028}", "\u{2029}", "\u{200B}",
      "\u{200D}",
      "\u{FEFF}", "\u{AD}", "\u{E0041}", "\u{FE0F}", "\u{3164}", "\u{34F}",
    ] {
      #expect(escape(Array("\(scalar)".utf8)).hasPrefix("\\x"), "\(scalar.value)")
    }
    #expect(escape([0x61, 0xFF, 0xC3, 0x62, 0xF0, 0x9F, 0xA6]) == #"a\xff\xc3b\xf0\x9f\xa6"#)
    for byte in UInt8.min...UInt8.max { #expect(!escape([byte]).isEmpty) }
  }

  @Test("A long key is cut in messages, wherever the cut falls")
  func quoting() {
    #expect(TerminalText.quote([0x61, 0x0A]) == #"'a\n'"#)
    #expect(TerminalText.quote(Array(repeating: 0x61, count: 65_536)).count == 67)
    #expect(TerminalText.quote([0x61] + Array(String(repeating: "ü", count: 64).utf8)).hasSuffix(#"ü\xc3…'"#))
  }

  @Test("Keys are spelled in hexadecimal and Base64")
  func keys() throws {
    #expect(try keyBytes("00fF", .keyHex, name: "KEY") == [0, 255])
    #expect(try keyBytes("", .keyHex, name: "KEY") == [])
    #expect(try keyBytes("/wA=", .keyBase64, name: "KEY") == [255, 0])
    for (text, encoding) in [
      ("0", KeyEncoding.keyHex), ("0g", .keyHex), ("/w", .keyBase64), ("*", .keyBase64),
    ] {
      #expect(throws: ValidationError.self) { try keyBytes(text, encoding, name: "KEY") }
    }
    #expect(throws: ValidationError.self) {
      try keyBytes(String(repeating: "a", count: 65_537), nil, name: "KEY")
    }
  }

  @Test("The line of progress names rate, share and time left")
  func progress() {
    let line = Progress.line(verb: "load", unit: "records", done: 3000, share: 0.25, elapsed: .seconds(3))
    #expect(line == "kvmap: load: 3000 records, 1000 a second, 25 %, 9 s left")
    let unknown = Progress.line(verb: "load", unit: "records", done: 10, share: nil, elapsed: .zero)
    #expect(unknown == "kvmap: load: 10 records, 10 k a second")
    let bytes = Progress.line(
      verb: "compact", unit: "bytes", done: 3 << 20, share: 0.01, elapsed: .seconds(3))
    #expect(bytes == "kvmap: compact: 3.0 MiB, 1.0 MiB a second, 1 %, 4 min left")
    for share in [1e-300, .infinity, .nan, 2] {
      #expect(
        !Progress.line(verb: "load", unit: "records", done: 1, share: share, elapsed: .seconds(1)).isEmpty)
    }
  }

  @Test("Quantities have at most three digits and a unit")
  func quantities() {
    for (number, text) in [
      (0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (10_188, "9.9 KiB"),
      (10_220, "10 KiB"), (1_048_000, "1023 KiB"), (1_048_570, "1.0 MiB"), (160_432_128, "153 MiB"),
      (Int.max, "8.0 EiB"),
    ] {
      #expect(Quantity.bytes(number) == text)
    }
    for (number, text) in [
      (0, "0"), (9_999, "9999"), (10_000, "10 k"), (3_141_592, "3.1 M"), (999_600, "1.0 M"),
      (Int.max, "9.2 E"),
    ] {
      #expect(Quantity.count(number) == text)
    }
    #expect(Quantity.share(0, of: 10) == "0 %")
    #expect(Quantity.share(1, of: 1000) == "< 1 %")
    #expect(Quantity.share(12, of: 100) == "12 %")
    #expect(Quantity.share(5, of: 0) == "0 %")
    for (seconds, text) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (86_400, "24 h"), (900_000, "10 d")] {
      #expect(Quantity.duration(.seconds(seconds)) == text)
    }
  }

  @Test("Every kind of failure has its status")
  func statuses() {
    func status(_ code: Store.Error.Code) -> KVMapCommand.ExitStatus {
      Failure(reporting: Store.Error(code, "message")).status
    }
    #expect(status(.notFound) == .failure)
    #expect(status(.damaged) == .damaged)
    #expect(status(.notAStore) == .damaged)
    #expect(status(.newerFormat) == .failure)
    #expect(status(.cannotCreate) == .cannotCreate)
    #expect(status(.diskFull) == .inputOutput)
    #expect(status(.lost) == .inputOutput)
    #expect(status(.outcomeUnknown) == .inputOutput)
    #expect(status(.busy) == .busy)
    #expect(status(.permissionDenied) == .failure)
    #expect(status(.init(rawValue: "of a later version")) == .failure)
    #expect(Failure(reporting: DamagedInput(place: "line 1", reason: "x")).status == .damaged)
  }
}
