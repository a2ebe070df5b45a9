import MappedMemory
import SystemPackage

/// Reads an increment, whatever bytes the file has.
struct IncrementReader: ~Copyable {
  let header: IncrementFormat.Header
  private let file: File
  private let path: FilePath
  private let size: Int64
  private var position: Int64
  /// What was read ahead, from `position` on.
  private var buffer: [UInt8] = []
  private var start = 0
  private var last: UInt64
  private var count: UInt64 = 0
  private var isOver = false

  private static let bufferBytes = 256 << 10

  /// A change. What it does not say is empty.
  struct Change {
    var isPut: Bool
    var key: [UInt8]
    var value: [UInt8]
    /// The version of the value that was put, or the number of the removal.
    var number: SequenceNumber
    /// In milliseconds since 1970; nil for never.
    var expiry: UInt64?
  }

  /// - Throws: `notFound`, `permissionDenied`, `notAStore` if it is no increment, `newerFormat` or
  ///   `damaged`.
  init(_ path: FilePath) throws(Store.Error) {
    let file = try Self.reading(path) { () throws(MappingError) in try File(opening: path, access: .readOnly)
    }
    let size = try Self.reading(path) { () throws(MappingError) in try file.status().size }
    let start = try Self.reading(path) { () throws(MappingError) in
      try file.read(count: IncrementFormat.headerBytes + IncrementFormat.checksumBytes, at: 0)
    }
    let (header, checksum) = try Self.header(start[...], path)
    self.header = header
    last = checksum
    position = Int64(start.count)
    self.file = file
    self.size = size
    self.path = path
  }

  private static func reading<R: ~Copyable>(
    _ path: FilePath, _ body: () throws(MappingError) -> R
  ) throws(Store.Error) -> R {
    do { return try body() } catch { throw Store.Error(error).naming(path.string) }
  }

  private static func header(
    _ start: ArraySlice<UInt8>, _ path: FilePath
  ) throws(Store.Error) -> (IncrementFormat.Header, checksum: UInt64) {
    guard start.count >= 16, start.word(at: 0) == IncrementFormat.magic else {
      throw Store.Error(.notAStore, "\(path): the file is not a backup of changes")
    }
    guard start.word(at: 8) == IncrementFormat.version else {
      throw Store.Error(
        .newerFormat,
        "\(path): the backup is of version \(start.word(at: 8)) of its format, which this program cannot read"
      )
    }
    let count = IncrementFormat.headerBytes
    guard start.count == count + IncrementFormat.checksumBytes else {
      throw damaged(path, 0, "the file ends before its end")
    }
    let checksum = IncrementFormat.checksum(start.prefix(count), after: 0)
    guard start.word(at: count) == checksum else {
      throw damaged(path, 0, "its checksum is not that of its bytes")
    }
    let header = IncrementFormat.Header(
      identifier: (start.word(at: 16), start.word(at: 24)),
      since: SequenceNumber(number: start.word(at: 32)), upTo: SequenceNumber(number: start.word(at: 40)))
    guard header.since <= header.upTo, header.upTo < SequenceNumber.limit else {
      throw damaged(path, 0, "its numbers are none that a store gives")
    }
    return (header, checksum)
  }

  /// The next change; nil at the end, if the file has one.
  ///
  /// - Throws: `damaged` or `system`.
  mutating func next() throws(Store.Error) -> Change? {
    if isOver { return nil }
    let fields = try peek(IncrementFormat.fieldBytes)
    guard let kind = IncrementFormat.Kind(rawValue: UInt8(truncatingIfNeeded: fields.word(at: 0))) else {
      throw damaged("there is no change")
    }
    let (keyCount, valueCount) = (fields.word(at: 0) >> 8, fields.word(at: 8))
    let (number, expiry) = (fields.word(at: 16), fields.word(at: 24))
    guard keyCount <= UInt64(Layout.largestKey), valueCount <= UInt64(Layout.largestValue),
      kind == .put || valueCount == 0, kind != .end || keyCount == 0
    else { throw damaged("its lengths are none that a store has") }
    let valueStart = IncrementFormat.fieldBytes + Int(keyCount)
    let part = try part(valueStart + Int(valueCount))
    if kind == .end {
      guard number == count, position == size else { throw damaged("the end is not that of its changes") }
      isOver = true
      return nil
    }
    guard number <= header.upTo.number, kind == .put || number > header.since.number else {
      throw damaged("its number is none of those that the file begins with")
    }
    count += 1
    return Change(
      isPut: kind == .put, key: Array(part.dropFirst(IncrementFormat.fieldBytes).prefix(Int(keyCount))),
      value: Array(part.dropFirst(valueStart)), number: SequenceNumber(number: number),
      expiry: expiry == .max ? nil : expiry)
  }

  // MARK: Bytes

  /// The next `count` bytes, which a checksum follows; goes on after that.
  private mutating func part(_ count: Int) throws(Store.Error) -> ArraySlice<UInt8> {
    let whole = try peek(count + IncrementFormat.checksumBytes)
    let part = whole.prefix(count)
    let checksum = IncrementFormat.checksum(part, after: last)
    guard whole.word(at: count) == checksum else { throw damaged("its checksum is not that of its bytes") }
    last = checksum
    start += whole.count
    position += Int64(whole.count)
    return part
  }

  /// The next `count` bytes; does not go on.
  private mutating func peek(_ count: Int) throws(Store.Error) -> ArraySlice<UInt8> {
    guard Int64(count) <= size - position else { throw damaged("the file ends before its end") }
    if buffer.count - start < count {
      buffer.removeFirst(start)
      start = 0
      let (more, end) = (max(count, Self.bufferBytes) - buffer.count, position + Int64(buffer.count))
      do { buffer += try file.read(count: more, at: end) } catch {
        throw Store.Error(error).naming(path.string)
      }
      // It was cut short meanwhile.
      guard buffer.count >= count else { throw damaged("the file ends before its end") }
    }
    return buffer[start..<start + count]
  }

  private func damaged(_ found: String) -> Store.Error { Self.damaged(path, position, found) }

  private static func damaged(_ path: FilePath, _ position: Int64, _ found: String) -> Store.Error {
    Store.Error(
      .damaged,
      "\(path): the backup is damaged at offset \(UInt64(position).hexadecimal): \(found); take another copy of it"
    )
  }
}
