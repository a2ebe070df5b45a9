/// Writes the text dump of gdbm, as `gdbm_dump --format=ascii` does and `gdbm_load` reads.
struct GDBMTextWriter: DumpWriter {
  /// The file that the dump says it comes from; `gdbm_load` gives the new file this name, owner and mode.
  struct Origin: Equatable, Sendable {
    /// A name for a gdbm file, never that of the store: `gdbm_load` without a name would overwrite it.
    var file: String
    var userID: UInt32
    var user: String?
    var groupID: UInt32
    var group: String?
    /// The permission bits.
    var mode: UInt32
  }

  /// 57 bytes make the 76 columns that gdbm writes.
  private static let bytesPerLine = 57

  private var output: ByteOutput
  private let origin: Origin
  private let program: String
  private var count: UInt64 = 0
  private var scratch: [UInt8] = []

  init(_ output: ByteOutput, origin: Origin, program: String) {
    self.output = output
    self.origin = origin
    self.program = program
  }

  mutating func begin() throws {
    try output.append("# GDBM dump file created by \(program)\n")
    try output.append("#:version=1.1\n")
    try output.append("#:file=\(Self.parameter(origin.file))\n")
    try output.append("#:uid=\(origin.userID),")
    if let user = origin.user { try output.append("user=\(Self.parameter(user)),") }
    try output.append("gid=\(origin.groupID),")
    if let group = origin.group { try output.append("group=\(Self.parameter(group)),") }
    let mode = String(origin.mode & 0o777, radix: 8)
    try output.append("mode=\(String(repeating: "0", count: 3 - mode.count))\(mode)\n")
    try output.append("#:format=standard\n# End of header\n")
  }

  mutating func write(_ record: DumpRecord) throws {
    try GDBMLimits.check(record)
    try write(record.key)
    try write(record.value)
    count += 1
  }

  mutating func finish() throws {
    try output.append("#:count=\(count)\n# End of data\n")
    try output.flush()
  }

  private mutating func write(_ bytes: [UInt8]) throws {
    try output.append("#:len=\(bytes.count)\n")
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + Self.bytesPerLine)
      scratch.removeAll(keepingCapacity: true)
      Base64.encode(bytes[start..<end], into: &scratch)
      scratch.append(0x0A)
      try output.append(scratch)
      start = end
    }
  }

  /// Text that is allowed in a list of parameters: one line, no comma, no quote.
  private static func parameter(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.value < 0x20 || $0 == "," || $0 == "\"" || $0.value == 0x7F ? "_" : $0 })
    )
  }
}
