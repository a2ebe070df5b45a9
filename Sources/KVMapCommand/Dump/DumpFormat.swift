/// The formats of dumps.
enum DumpFormat: String, CaseIterable, Sendable {
  /// JSON Lines; lossless.
  case jsonl
  /// gdbm's text form.
  case gdbm
  /// gdbm's binary form.
  case gdbmBinary = "gdbm-binary"

  /// Finds the format by the first byte of `input`, which is not taken.
  init(sniffing input: inout ByteInput) throws {
    switch try input.peek() {
    case UInt8(ascii: "{"): self = .jsonl
    case UInt8(ascii: "#"): self = .gdbm
    case UInt8(ascii: "!"): self = .gdbmBinary
    case nil:
      throw DamagedInput(place: "byte 0", reason: "the input is empty; even a dump of no records is not")
    default:
      throw DamagedInput(
        place: "byte 0", reason: "the input is no dump: it begins with none of '{', '#' and '!'")
    }
  }

  func makeReader(_ input: ByteInput) -> any DumpReader {
    switch self {
    case .jsonl: JSONLinesReader(input)
    case .gdbm: GDBMTextReader(input)
    case .gdbmBinary: GDBMBinaryReader(input)
    }
  }
}
