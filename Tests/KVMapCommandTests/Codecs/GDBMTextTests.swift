import Testing

@testable import KVMapCommand

@Suite("The text dump of gdbm")
struct GDBMTextTests {
  private static let records = [
    DumpRecord(key: Array("a".utf8), value: Array("hello".utf8)),
    DumpRecord(key: [0x00, 0xFF], value: Array(0...127)),
  ]

  /// What `gdbm_dump` 1.23 writes for a file with an empty value.
  private static let genuine = """
    # GDBM dump file created by GDBM version 1.23. 04/02/2022 on Sat Nov 21 04:46:06 2026
    #:version=1.1
    #:file=t.db
    #:uid=0,user=root,gid=0,group=root,mode=644
    #:format=standard
    # End of header
    #:len=1
    YQ==
    #:len=5
    aGVsbG8=
    #:len=2
    YmI=
    #:len=0
    #:count=2
    # End of data

    """

  @Test("is written as gdbm_dump does")
  func format() throws {
    let text = String(decoding: try dump(Self.records, .gdbm), as: UTF8.self)
    #expect(
      text == """
        # GDBM dump file created by kvmap test
        #:version=1.1
        #:file=colours.gdbm
        #:uid=1000,user=ada,gid=100,group=users,mode=640
        #:format=standard
        # End of header
        #:len=1
        YQ==
        #:len=5
        aGVsbG8=
        #:len=2
        AP8=
        #:len=128
        AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4
        OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3Bx
        cnN0dXZ3eHl6e3x9fn8=
        #:count=2
        # End of data

        """)
    #expect(try readAll(text, .gdbm) == Self.records)
  }

  @Test("keeps what would break a list of parameters out of the header")
  func oddNames() throws {
    let collected = Collected()
    var origin = testOrigin
    origin.file = "a,b\"c\nd"
    origin.user = nil
    origin.mode = 0o4
    var writer = GDBMTextWriter(ByteOutput { collected.bytes += $0 }, origin: origin, program: "kvmap test")
    try writer.begin()
    try writer.finish()
    let text = String(decoding: collected.bytes, as: UTF8.self)
    #expect(text.contains("\n#:file=a_b_c_d\n"))
    #expect(text.contains("\n#:uid=1000,gid=100,group=users,mode=004\n"))
    #expect(try readAll(text, .gdbm).isEmpty)
  }

  @Test("is read with its empty values, with LF and with CR LF")
  func genuine() throws {
    let expected = [
      DumpRecord(key: Array("a".utf8), value: Array("hello".utf8)),
      DumpRecord(key: Array("bb".utf8), value: []),
    ]
    #expect(try readAll(Self.genuine, .gdbm) == expected)
    let withReturns = Self.genuine.split(separator: "\n", omittingEmptySubsequences: false).joined(
      separator: "\r\n")
    #expect(try readAll(withReturns, .gdbm) == expected)
  }

  @Test("is refused wherever it is cut off")
  func truncation() throws {
    for whole in [Array(Self.genuine.utf8), try dump(Self.records, .gdbm)] {
      for length in 0..<whole.count - 1 {
        #expect(fault(Array(whole[..<length]), .gdbm) != nil, "cut to \(length) bytes")
      }
      #expect(fault(Array(whole.dropLast()), .gdbm) == nil)
    }
  }

  @Test("does not crash the reader, whichever byte is changed")
  func mutation() throws {
    let whole = Array(Self.genuine.utf8)
    for index in whole.indices {
      for byte: UInt8 in [0x00, 0x0A, 0x0D, 0x23, 0x2C, 0x30, 0x39, 0x3A, 0x3D, 0x41, 0xFF] {
        var changed = whole
        changed[index] = byte
        #expect(fault(changed, .gdbm)?.place != "nowhere")
      }
    }
  }

  @Test("reads the same in pieces of any size")
  func pieces() throws {
    let whole = try dump(Self.records, .gdbm)
    for size in 1...whole.count { #expect(try readAll(whole, .gdbm, pieceSize: size) == Self.records) }
  }

  @Test("may be pairs alone, with Base64 wrapped anywhere and comments between")
  func bare() throws {
    let text = "#:len=1\nYQ==\n# a comment\n#:len=5\naG\nVsb\n\nG8=\n"
    #expect(try readAll(text, .gdbm) == [DumpRecord(key: Array("a".utf8), value: Array("hello".utf8))])
  }

  @Test(
    "names the line of a fault",
    arguments: [
      (
        "#:len=1\nYQ==\n#:len=1\nYg==\n#:count=2\n# End of data\n", "line 5",
        "should hold 2 records, 1 were found"
      ),
      ("#:len=1\nYQ==\n#:len=1\nYg==\n#:count=1\n", "line 5", "without \"# End of data\""),
      ("#:version=1.1\n#:len=1\nYQ==\n#:len=1\nYg==\n", "line 5", "without \"#:count=\""),
      ("#:version=1.1\n# End of data\n", "line 2", "without \"#:count=\" before it"),
      ("#:version=2.0\n", "line 1", "version 2.0"),
      ("#:len=1\nYQ==\n", "line 2", "after a key"),
      ("#:len=2\nYQ==\n#:len=1\nYg==\n", "line 2", "1 of 2 bytes"),
      ("#:len=1\nYWI=\n#:len=1\nYg==\n", "line 2", "longer than its length"),
      ("#:len=1\nYQ=\n#:len=1\nYg==\n", "line 2", "cut off"),
      ("#:len=1\nY*==\n#:len=1\nYg==\n", "line 2", "Base64"),
      ("#:len=\nYQ==\n", "line 1", "sound number"),
      ("#:len=-1\nYQ==\n", "line 1", "sound number"),
      ("#:len=+1\nYQ==\n", "line 1", "sound number"),
      ("#:len=99999999999999999999\nYQ==\n", "line 1", "sound number"),
      ("#:len=65537\nYQ==\n", "line 1", "the most is 65536"),
      ("#:len=1\nYQ==\n#:len=18446744073709551615\nYQ==\n", "line 3", "the most is"),
      ("#:len=1\nYQ==\n#:len=9223372036854775807\nYQ==\n", "line 4", "1 of 9223372036854775807 bytes"),
      ("YQ==\n", "line 1", "expected \"#:len=\""),
      ("#:count=0\n# End of data\n#:len=1\n", "line 3", "more text"),
      ("#:count=0\n# End of data\nYQ==\n", "line 3", "more text"),
      ("#:count=0\n#:len=1\n", "line 2", "more data"),
      ("# nothing\n", "line 1", "no record"),
      ("#:len=1\nYQ==  \n#:len=1\nYg==\n", "line 2", "end of the line"),
    ])
  func faults(text: String, place: String, reason: String) throws {
    let found = try #require(fault(text, .gdbm))
    #expect(found.place == place)
    #expect(found.reason.contains(reason), "\(found)")
  }

  @Test("does not collect an endless line")
  func endlessLine() {
    let text = "#:file=" + String(repeating: "x", count: 70_000)
    #expect(fault(text, .gdbm)?.reason.contains("longer than 65536 bytes") == true)
  }

  @Test("is not written with what gdbm_load cannot read", arguments: [DumpFormat.gdbm, .gdbmBinary])
  func unfit(format: DumpFormat) {
    #expect(throws: UnfitRecord.self) { try dump([DumpRecord(key: [], value: [1])], format) }
    #expect(throws: UnfitRecord.self) { try dump([DumpRecord(key: [1], value: [])], format) }
  }
}
