@testable import KVMapCommand

/// The input `bytes`, handed out `pieceSize` at a time.
func makeInput(_ bytes: [UInt8], pieceSize: Int = 65_536) -> ByteInput {
  var position = 0
  return ByteInput {
    let piece = Array(bytes[position..<min(bytes.count, position + pieceSize)])
    position += piece.count
    return piece
  }
}

/// All records of a dump.
func readAll(_ bytes: [UInt8], _ format: DumpFormat, pieceSize: Int = 65_536) throws -> [DumpRecord] {
  var reader = format.makeReader(makeInput(bytes, pieceSize: pieceSize))
  var records: [DumpRecord] = []
  var record = DumpRecord()
  while try reader.next(into: &record) { records.append(record) }
  return records
}

func readAll(_ text: String, _ format: DumpFormat) throws -> [DumpRecord] {
  try readAll(Array(text.utf8), format)
}

/// The dump of `records`.
func dump(_ records: [DumpRecord], _ format: DumpFormat) throws -> [UInt8] {
  let collected = Collected()
  let output = ByteOutput { collected.bytes += $0 }
  var writer: any DumpWriter =
    switch format {
    case .jsonl: JSONLinesWriter(output)
    case .gdbm: GDBMTextWriter(output, origin: testOrigin, program: "kvmap test")
    case .gdbmBinary: GDBMBinaryWriter(output, program: "kvmap test")
    }
  try writer.begin()
  for record in records { try writer.write(record) }
  try writer.finish()
  return collected.bytes
}

let testOrigin = GDBMTextWriter.Origin(
  file: "colours.gdbm", userID: 1000, user: "ada", groupID: 100, group: "users", mode: 0o640)

final class Collected {
  var bytes: [UInt8] = []
}

/// The fault that reading ends with; nil if it ends well.
func fault(_ bytes: [UInt8], _ format: DumpFormat) -> DamagedInput? {
  do {
    _ = try readAll(bytes, format)
    return nil
  } catch let fault as DamagedInput {
    return fault
  } catch {
    return DamagedInput(place: "nowhere", reason: "foreign error \(error)")
  }
}

func fault(_ text: String, _ format: DumpFormat) -> DamagedInput? {
  fault(Array(text.utf8), format)
}
