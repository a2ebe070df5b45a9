/// Reads the binary dump of gdbm (`gdbm_dump --format=binary`).
///
/// Four lines that begin with `!` and end with CR LF; then key and value in turn, each as its length and
/// its bytes, to the end of the input. gdbm puts a length through `htonl` into an `unsigned long` and writes
/// that as it lies in memory, so the form of lengths depends on the machine: see `LengthForm`. The first
/// length determines the form; the others have to agree.
///
/// The format has no end mark: a dump truncated exactly between two records looks whole.
struct GDBMBinaryReader: DumpReader {
  /// A length is a big-endian number of four bytes, with padding or without.
  private enum LengthForm {
    /// As 32-bit machines write it.
    case bare
    /// Four zero bytes after it: 64-bit machines, little-endian.
    case zerosAfter
    /// Four zero bytes before it: 64-bit machines, big-endian.
    case zerosBefore
  }

  private var input: ByteInput
  private var form: LengthForm?
  /// Bytes that were read to determine the form and belong to the next datum.
  private var readAhead: [UInt8] = []
  private var recordStart: UInt64 = 0
  private var sawHeader = false

  private static let longestHeaderLine = 1024

  init(_ input: ByteInput) {
    self.input = input
  }

  var place: String { "byte \(recordStart)" }

  mutating func next(into record: inout DumpRecord) throws -> Bool {
    record.expires = nil
    if !sawHeader { try readHeader() }
    recordStart = input.offset
    if try input.peek() == nil { return false }
    try readDatum(into: &record.key, atMost: DumpRecord.longestKey, what: "the key")
    try readDatum(into: &record.value, atMost: Int(Int32.max), what: "the value")
    return true
  }

  /// Never called: after a fault nothing marks where the next record begins.
  mutating func skipFault() throws {}

  private func fault(_ reason: String, at offset: UInt64) -> DamagedInput {
    DamagedInput(place: "byte \(offset)", reason: reason)
  }

  private mutating func readHeader() throws {
    for number in 0..<4 {
      let start = input.offset
      var line: [UInt8] = []
      while let text = try input.takeRun({ $0 != 0x0A }) {
        if text.count > Self.longestHeaderLine - line.count {
          throw fault("a line of the header is longer than \(Self.longestHeaderLine) bytes", at: start)
        }
        line.append(contentsOf: text)
      }
      guard try input.take() != nil else {
        throw fault("the dump ends in its header; it was cut off", at: start)
      }
      let beginning = number == 1 ? "! GDBM FLAT FILE DUMP" : "!"
      guard line.starts(with: beginning.utf8) else {
        throw fault("this is not the header of a binary dump of gdbm", at: start)
      }
    }
    sawHeader = true
  }

  // MARK: Data

  private mutating func readDatum(into output: inout [UInt8], atMost limit: Int, what: String) throws {
    let start = input.offset - UInt64(readAhead.count)
    let length = try readLength()
    guard length <= limit else {
      throw fault("\(what) has a length of \(length) bytes; the most is \(limit)", at: start)
    }
    output.removeAll(keepingCapacity: true)
    guard try take(Int(length), into: &output) else {
      throw fault("\(what) was cut off: \(output.count) of \(length) bytes", at: start)
    }
  }

  private mutating func readLength() throws -> UInt32 {
    let start = input.offset - UInt64(readAhead.count)
    let first = try readWord(start)
    switch form {
    case .bare:
      return first
    case .zerosAfter, .zerosBefore:
      let second = try readWord(start)
      let (length, zeros) = form == .zerosAfter ? (first, second) : (second, first)
      guard zeros == 0 else { throw fault("a length without its four zero bytes", at: start) }
      return length
    case nil:
      let second = try readWord(start)
      if second == 0 {
        form = .zerosAfter
        return first
      }
      if first == 0 {
        form = .zerosBefore
        return second
      }
      form = .bare
      readAhead = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: second >> $0) }
      return first
    }
  }

  private mutating func readWord(_ start: UInt64) throws -> UInt32 {
    var word: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = try readAhead.isEmpty ? input.take() : readAhead.removeFirst() else {
        throw fault("the dump ends inside a record; it was cut off", at: start)
      }
      word = word << 8 | UInt32(byte)
    }
    return word
  }

  private mutating func take(_ count: Int, into output: inout [UInt8]) throws -> Bool {
    let ready = min(count, readAhead.count)
    if ready > 0 {
      output.append(contentsOf: readAhead.prefix(ready))
      readAhead.removeFirst(ready)
    }
    return try input.take(count - ready, into: &output) == count - ready
  }
}
