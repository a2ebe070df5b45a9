import MappedMemory
import SystemPackage

/// Writes an increment. It appears at its path when it is whole and durable, or not at all.
struct IncrementWriter: ~Copyable {
  private var file: File
  private let target: FilePath
  private let mode: UInt16
  private var buffer: [UInt8]
  private var written: Int64 = 0
  private var last: UInt64
  private(set) var count = 0

  private static let ownerMay: UInt16 = 0o600
  private static let bufferBytes = 256 << 10

  init(
    _ path: FilePath, _ header: IncrementFormat.Header, mode: UInt16
  ) throws(Store.Error) {
    let target = try Self.writing(path) { () throws(MappingError) in try File.followingLinks(path) }
    if try Self.writing(path, { () throws(MappingError) in try File.identity(of: target) }) != nil {
      throw Store.Error(
        .cannotCreate,
        "\(path): the backup cannot be created: there is a file already, and it is not replaced; choose another name"
      )
    }
    // The writer must be able to write to the file, whatever its mode allows later.
    let file = try Self.writing(path) { () throws(MappingError) in
      try File(
        unnamedIn: target.directory, named: target.lastComponent?.string ?? "", mode: mode | Self.ownerMay)
    }
    self.file = file
    self.target = target
    self.mode = mode
    buffer = header.encoded
    last = IncrementFormat.checksum(buffer[...], after: 0)
    buffer.appendWord(last)
  }

  /// Appends a put of `value`, or a removal.
  mutating func append(_ change: Store.Change, _ value: [UInt8]?) throws(Store.Error) {
    try append(
      change.kind == .put ? .put : .remove, key: change.key, value: value ?? [],
      number: change.kind == .put ? change.version : change.sequence, expiry: change.expiry.word)
    count += 1
  }

  private mutating func append(
    _ kind: IncrementFormat.Kind, key: [UInt8] = [], value: [UInt8] = [], number: UInt64,
    expiry: UInt64 = .max
  ) throws(Store.Error) {
    var part: [UInt8] = []
    part.reserveCapacity(IncrementFormat.fieldBytes + key.count + value.count)
    for word in [UInt64(kind.rawValue) | UInt64(key.count) << 8, UInt64(value.count), number, expiry] {
      part.appendWord(word)
    }
    part += key
    part += value
    try append(part)
  }

  private mutating func append(_ part: [UInt8]) throws(Store.Error) {
    last = IncrementFormat.checksum(part[...], after: last)
    buffer += part
    buffer.appendWord(last)
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  private mutating func flush() throws(Store.Error) {
    do { try unsafe file.write(buffer.span.bytes, at: written) } catch { throw Self.failed(target, error) }
    written += Int64(buffer.count)
    buffer.removeAll(keepingCapacity: true)
  }

  /// Writes the end, makes the file durable and gives it its name. An existing file is not replaced.
  consuming func publish() throws(Store.Error) {
    try append(.end, number: UInt64(count))
    try flush()
    do throws(MappingError) {
      try file.sync()
      if mode & Self.ownerMay != Self.ownerMay {
        let wanted = try file.status().permissions & (mode | ~Self.ownerMay)
        // A file system may keep no modes: then there is nothing to set.
        try? file.setPermissions(wanted)
      }
      if try !file.link(as: target) { try copyIntoFileOfItsOwn() }
    } catch {
      throw Self.failed(target, error)
    }
    do throws(MappingError) {
      try File.syncDirectory(target.directory)
    } catch {
      // A caller that is told of a failure must find no file.
      try? File.remove(target)
      throw Self.failed(target, error)
    }
  }

  /// Where a file can get no name later. A process that dies meanwhile leaves a file without an end.
  private func copyIntoFileOfItsOwn() throws(MappingError) {
    let made = try File(
      opening: target, access: .readWrite, create: true, exclusive: true, mode: mode | Self.ownerMay)
    do throws(MappingError) {
      try made.copyData(0..<written, of: file)
      try made.sync()
    } catch {
      try? File.remove(target)
      throw error
    }
  }

  private static func writing<R: ~Copyable>(
    _ path: FilePath, _ body: () throws(MappingError) -> R
  ) throws(Store.Error) -> R {
    do { return try body() } catch { throw failed(path, error) }
  }

  private static func failed(_ path: FilePath, _ error: MappingError) -> Store.Error {
    let converted = Store.Error(error).naming(path.string)
    if converted.code == .diskFull || converted.code == .notEnoughMemory { return converted }
    return Store.Error(.cannotCreate, "\(path): the backup cannot be created: \(error)", cause: error)
  }
}

extension Store.Expiry {
  /// In milliseconds since 1970; the largest number for never.
  fileprivate var word: UInt64 {
    if case .at(let time) = self { time } else { .max }
  }
}
