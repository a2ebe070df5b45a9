/// Writes the binary dump of gdbm, as `gdbm_dump --format=binary` and `gdbm_load` do on little-endian 64-bit
/// machines, the ones that Swift runs on. `GDBMBinaryReader` describes the format.
struct GDBMBinaryWriter: DumpWriter {
  private var output: ByteOutput
  private let program: String

  init(_ output: ByteOutput, program: String) {
    self.output = output
    self.program = program
  }

  mutating func begin() throws {
    try output.append("!\r\n! GDBM FLAT FILE DUMP -- THIS IS NOT A TEXT FILE\r\n! \(program)\r\n!\r\n")
  }

  mutating func write(_ record: DumpRecord) throws {
    try GDBMLimits.check(record)
    try write(record.key)
    try write(record.value)
  }

  mutating func finish() throws {
    try output.flush()
  }

  private mutating func write(_ bytes: [UInt8]) throws {
    let length = UInt32(bytes.count)
    for shift in [24, 16, 8, 0] { try output.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
    for _ in 0..<4 { try output.append(0) }
    try output.append(bytes)
  }
}
